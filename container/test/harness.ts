/*
 * What the suites share: the real server as a child process against the stand-in of the model's API, and its protocol's client side.
 * Every process it starts is gone when `stop` has resolved; a process that a server left behind fails the suite.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Model } from "../../dev/model/server.ts";
import type { Block } from "../src/content.ts";
import type { Entry, Frame, ResultFrame } from "../src/frames.ts";
import type { WorkspaceWanted } from "../src/workspace/terms.ts";

export type Numbered = Frame & { n: number };
export type LogLine = { event: string; [field: string]: unknown };

export type Body = {
  turn_id?: string;
  agent_session?: string | null;
  prompt: string;
  content?: object[];
  resume?: boolean;
  options?: Record<string, unknown>;
  transcript?: TranscriptLine[];
  workspace?: Partial<WorkspaceWanted>;
  actions?: boolean;
  grants?: object[];
  continuation?: object;
};
export type TranscriptLine = { subpath: string | null; entry: Entry };

const EVENT_LIMIT_MS = 20_000;
const POLL_MS = 20;
let turnCount = 0;

export class Agent {
  readonly url: string;
  readonly root: string;
  readonly child: ChildProcess;
  readonly logs: LogLine[];
  readonly #exited: Promise<number | null>;

  constructor(url: string, root: string, child: ChildProcess, logs: LogLine[]) {
    this.url = url;
    this.root = root;
    this.child = child;
    this.logs = logs;
    this.#exited = once(child, "exit").then(([code]) => code as number | null);
  }

  /** The answer to `POST /turns`, frames not read yet. */
  post(body: Body, signal?: AbortSignal): Promise<Response> {
    const { transcript, ...first } = body;
    const head = { turn_id: nextTurnId(), agent_session: null, resume: false, options: {}, ...first, transcript: transcript !== undefined };
    const lines = [head, ...(transcript ?? [])].map((line) => JSON.stringify(line)).join("\n");
    return fetch(`${this.url}/turns`, { method: "POST", body: `${lines}\n`, ...(signal === undefined ? {} : { signal }) });
  }

  /** A turn from its first frame to its last. */
  async turn(body: Body): Promise<TurnFrames> {
    return (await this.begin(body)).rest();
  }

  /** A turn whose frames come one by one. */
  async begin(body: Body): Promise<OpenTurn> {
    const turnId = body.turn_id ?? nextTurnId();
    const response = await this.post({ ...body, turn_id: turnId });
    assert.equal(response.status, 200, await errorText(response));
    return new OpenTurn(turnId, response);
  }

  call(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`${this.url}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  /** Offers a message to a running turn; it has to be taken. */
  async offer(turnId: string, turn_id: string, prompt: string, content?: Block[]): Promise<void> {
    const response = await this.call("POST", `/turns/${turnId}/steer`, { turn_id, prompt, content });
    assert.deepEqual([response.status, await response.json()], [202, { offered: true }]);
  }

  async health(): Promise<{ status: string; instance: string; protocol: number; features: string[]; sdk_version: string; running: number; turns: string[]; warm: number }> {
    return (await (await this.call("GET", "/healthz")).json()) as Awaited<ReturnType<Agent["health"]>>;
  }

  /** The first line of the log, past or to come, that the predicate holds for. */
  async logged(predicate: (line: LogLine) => boolean): Promise<LogLine> {
    return until(() => this.logs.find(predicate), "a log line that did not come");
  }

  /** So many processes have come up since the server started. */
  async processesReady(count = 1): Promise<LogLine[]> {
    const ready = (): LogLine[] => this.logs.filter((line) => line.event === "process_ready");
    await until(() => (ready().length >= count ? true : undefined), "a process did not come up");
    return ready();
  }

  /** The process that a turn ran on. */
  async pidOf(turn: TurnFrames): Promise<unknown> {
    return (await this.logged((line) => line.event === "turn_finished" && line["turn"] === turn.id))["pid"];
  }

  /** The process ids of what this server's CLIs are and have started. */
  processes(): Promise<number[]> {
    return processesWith(this.root, this.child.pid);
  }

  exited(): Promise<number | null> {
    return this.#exited;
  }

  /** Ends the server as the platform does, and finds nothing left of it. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    await this.#exited;
    const left = await this.processes();
    for (const pid of left) process.kill(pid, "SIGKILL");
    const files = await readdir(this.root);
    await rm(this.root, { recursive: true, force: true });
    assert.deepEqual(left, [], "processes outlived their server");
    assert.deepEqual(files.filter((name) => name.startsWith("claude-resume")), [], "a resume left files");
  }
}

/** `through`: a program that becomes the server when it is called with these arguments and the server's. */
export async function startAgent(model: Model, env: Record<string, string> = {}, through: { program: string; leading: string[] } = { program: process.execPath, leading: [] }): Promise<Agent> {
  const root = mkdtempSync(join(tmpdir(), "agent-test-"));
  // The users of conversations go through it to their own folders.
  if (env["AGENT_UID_BASE"] !== undefined) chmodSync(root, 0o711);
  const child = spawn(through.program, [...through.leading, "--disable-sigusr1", join(import.meta.dirname, "../src/main.ts")], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: root,
      LANG: "C.UTF-8",
      IS_SANDBOX: "1",
      TMPDIR: root,
      PORT: "0",
      WORKSPACE_ROOT: join(root, "workspace"),
      STATE_ROOT: join(root, "state"),
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: "placeholder",
      SECRET_OF_THE_HOST: "not for the agent",
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const logs: LogLine[] = [];
  void readLogs(child, logs);
  const listening = await until(() => logs.find((line) => line.event === "listening"), "the server did not start");
  return new Agent(`http://127.0.0.1:${String(listening["port"])}`, root, child, logs);
}

/** The frames of a turn that has ended. */
export class TurnFrames {
  readonly id: string;
  readonly all: Numbered[];

  constructor(id: string, all: Numbered[]) {
    this.id = id;
    this.all = all;
  }

  of<T extends Frame["type"]>(type: T): Extract<Numbered, { type: T }>[] {
    return this.all.filter((frame): frame is Extract<Numbered, { type: T }> => frame.type === type);
  }

  one<T extends Frame["type"]>(type: T): Extract<Numbered, { type: T }> {
    const frames = this.of(type);
    assert.equal(frames.length, 1, `${frames.length} ${type} frames`);
    return frames[0] as Extract<Numbered, { type: T }>;
  }

  get types(): string[] {
    return this.all.map((frame) => frame.type);
  }

  get result(): ResultFrame {
    return this.one("result");
  }

  get session(): string {
    return this.one("started").agent_session;
  }

  /** What a caller that stores transcripts has after this turn. */
  get transcript(): TranscriptLine[] {
    const lines: TranscriptLine[] = [];
    let pieces = "";
    for (const frame of this.all) {
      if (frame.type === "transcript") lines.push(...frame.entries.map((entry) => ({ subpath: frame.subpath ?? null, entry })));
      if (frame.type !== "transcript_part") continue;
      pieces += frame.text;
      if (!frame.last) continue;
      lines.push({ subpath: frame.subpath ?? null, entry: JSON.parse(pieces) as Entry });
      pieces = "";
    }
    assert.equal(pieces, "", "an entry's last piece is missing");
    return lines;
  }
}

/** A turn under way: frames are taken one after the other. */
export class OpenTurn {
  readonly id: string;
  readonly seen: Numbered[] = [];
  readonly #frames: AsyncGenerator<Numbered, void>;

  constructor(id: string, response: Response) {
    this.id = id;
    this.#frames = framesOf(response);
  }

  /** Up to the next frame of these types. False: the turn ended before that. */
  async untilAny(types: Frame["type"][]): Promise<boolean> {
    for (;;) {
      const next = await this.#frames.next();
      if (next.done === true) return false;
      this.seen.push(next.value);
      if (types.includes(next.value.type)) return true;
    }
  }

  async until<T extends Frame["type"]>(type: T): Promise<Extract<Numbered, { type: T }>> {
    for (;;) {
      const next = await this.#frames.next();
      if (next.done === true) return assert.fail(`the turn ended without a ${type} frame`);
      this.seen.push(next.value);
      if (next.value.type === type) return next.value as Extract<Numbered, { type: T }>;
    }
  }

  async rest(): Promise<TurnFrames> {
    for await (const frame of this.#frames) this.seen.push(frame);
    return new TurnFrames(this.id, this.seen);
  }

  /** The reader goes away; the turn is none of its business any more. */
  async leave(): Promise<void> {
    await this.#frames.return();
  }
}

export async function* framesOf(response: Response): AsyncGenerator<Numbered, void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as Numbered;
  }
  assert.equal(rest, "", "the last line is whole");
}

export function nextTurnId(): string {
  turnCount += 1;
  return `turn_${process.pid}_${turnCount}`;
}

/** Looks until there is something; for what announces itself by no event. */
export async function until<T>(look: () => T | undefined | Promise<T | undefined>, complaint: string): Promise<T> {
  const deadline = performance.now() + EVENT_LIMIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < deadline, complaint);
    await sleep(POLL_MS);
  }
}

async function processesWith(root: string, exceptPid: number | undefined): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === exceptPid) continue;
    const environment = await readFile(`/proc/${name}/environ`, "latin1").catch(() => "");
    if (environment.includes(root)) found.push(Number(name));
  }
  return found;
}

async function readLogs(child: ChildProcess, logs: LogLine[]): Promise<void> {
  let rest = "";
  for await (const chunk of child.stdout ?? []) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) logs.push(JSON.parse(line) as LogLine);
  }
}

async function errorText(response: Response): Promise<string> {
  return response.status === 200 ? "" : response.text();
}
