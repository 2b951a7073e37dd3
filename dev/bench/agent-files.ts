/**
 * One account's agent on the whole stack, with R2 as miniflare has it: turns of shell commands with a clock, the death of its container, and
 * its files over HTTP. Measures nothing.
 */
import { createHash } from "node:crypto";
import { startStack } from "../stack.ts";
import type { Stack } from "../stack.ts";
import type { SnapshotOptions } from "../configuration.ts";
import type { Model } from "../model/server.ts";
import { Client } from "./client.ts";
import type { Turned } from "./client.ts";
import { Events } from "./events.ts";
import type { LogEvent } from "./events.ts";
import { containerPid } from "./product.ts";

/** Of a command: copying a large tree takes longer than a shell's default. */
const COMMAND_MS = 600_000;
const BEHIND_AN_ARCHIVE = 98;
const COUNT_OF_FILES_AT = 24;

/** `savingMs`: from the last text to the answer's end. `build`: the agent server's line about the save; absent if nothing changed. */
export type Saved = Turned & { savingMs: number; build: LogEvent | undefined };
export type Downloaded = { ms: number; bytes: number; sha256: string; tail: Buffer };

export class AgentFiles {
  readonly stack: Stack;
  readonly events: Events;
  readonly client: Client;

  private constructor(stack: Stack, events: Events) {
    this.stack = stack;
    this.events = events;
    this.client = new Client(stack.url, "bench");
  }

  static async start(model: Model, configuration: SnapshotOptions = {}): Promise<AgentFiles> {
    const events = new Events();
    return new AgentFiles(await startStack({ model, configuration, onLog: events.hear, handleSignals: false }), events);
  }

  /** A turn in which the agent runs a command, and its end. */
  async run(command: string, sessionId?: string, say = "[[say done]]"): Promise<Saved> {
    const turned = await this.client.stream(`[[tool Bash ${JSON.stringify({ command, timeout: COMMAND_MS })}]] ${say}`, sessionId);
    const { files } = turned;
    if (files?.saved !== true) throw new Error(`the files were not saved: ${JSON.stringify(files)}`);
    const finished = await this.#finished(turned.turnId);
    const build = files.changed.length === 0 ? undefined : await this.events.first((line) => isSaveOf(line, finished["session"], files.version));
    return { ...turned, savingMs: turned.ms - turned.lastTextMs, build };
  }

  /** Kills the container that a turn ran in, and says how long the next answer in a conversation takes. */
  async restart({ turnId }: Turned, sessionId: string): Promise<Turned> {
    const { container } = await this.#finished(turnId);
    const exited = this.events.next((line) => line.event === "container_exited" && line.container === container);
    process.kill(-(await this.serverPid(turnId)), "SIGKILL");
    await exited;
    return this.client.stream("[[say back]]", sessionId);
  }

  /** The agent server that a turn ran on. */
  async serverPid(turnId: string): Promise<number> {
    const { container = "" } = await this.#finished(turnId);
    if (this.stack.engine === undefined) throw new Error("the stack has no engine");
    return containerPid(this.stack.engine, container);
  }

  async upload(sessionId: string, path: string, body: Buffer): Promise<number> {
    const begun = performance.now();
    await (await this.#fetch(sessionId, path, { method: "PUT", body })).arrayBuffer();
    return performance.now() - begun;
  }

  /** A file, the first page of the list without a path, or all of it as an archive. */
  async download(sessionId: string, path = "", accept = "*/*"): Promise<Downloaded> {
    const begun = performance.now();
    const response = await this.#fetch(sessionId, path, { headers: { accept } });
    const hash = createHash("sha256");
    let bytes = 0;
    let tail = Buffer.alloc(0);
    for await (const chunk of response.body ?? []) {
      hash.update(chunk);
      bytes += chunk.length;
      tail = Buffer.concat([tail, chunk.subarray(-BEHIND_AN_ARCHIVE)]).subarray(-BEHIND_AN_ARCHIVE);
    }
    return { ms: performance.now() - begun, bytes, sha256: hash.digest("hex"), tail };
  }

  /** All files as an archive, and how many it says it has. */
  async archive(sessionId: string): Promise<Downloaded & { files: number }> {
    const archive = await this.download(sessionId, "", "application/zip");
    return { ...archive, files: Number(archive.tail.readBigUInt64LE(COUNT_OF_FILES_AT)) };
  }

  async #fetch(sessionId: string, path: string, init: RequestInit): Promise<Response> {
    const url = `${this.stack.url}/conversations/${sessionId}/files${path === "" ? "" : `/${path}`}?accountId=${this.client.accountId}`;
    const response = await fetch(url, init);
    if (!response.ok) throw new Error(`${init.method ?? "GET"} of files was answered: ${response.status} ${await response.text()}`);
    return response;
  }

  #finished(turnId: string): Promise<LogEvent> {
    return this.events.first((line) => line.event === "turn_finished" && line["turn"] === turnId);
  }
}

function isSaveOf(line: LogEvent, session: unknown, version: number): boolean {
  return line.event === "workspace_saved" && line["session"] === session && line["version"] === version;
}
