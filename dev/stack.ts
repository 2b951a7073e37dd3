/**
 * Runs the whole product on this machine: wrangler with the Worker, the container engine, and optionally the stand-in for the model.
 * `npm run dev` and the end-to-end tests both use it. It owns everything it starts and leaves nothing behind.
 */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfiguration, snapshotConfiguration } from "./configuration.ts";
import type { SnapshotOptions } from "./configuration.ts";
import { startEngine } from "./engine/engine.ts";
import type { Engine, Image } from "./engine/engine.ts";
import { startFront } from "./front.ts";
import type { Front, FrontOptions } from "./front.ts";
import { startModel } from "./model/server.ts";
import type { Model } from "./model/server.ts";
import { ROOT } from "./tools.mjs";
import { Wrangler } from "./wrangler.ts";

export type StackOptions = {
  /** 0, the default, chooses a free port. */
  port?: number;
  /** A server on that port in front of wrangler, for people and browsers. Tests speak to wrangler directly. */
  front?: Omit<FrontOptions, "port">;
  persistTo?: string;
  vars?: Record<string, string>;
  /** How a snapshot's configuration differs from wrangler.toml. */
  configuration?: SnapshotOptions;
  secrets?: Record<string, string>;
  wranglerArgs?: string[];
  /** A running stand-in, one that the stack starts (the default), or none: then the model is the one that the secrets belong to. */
  model?: Model | "own" | "none";
  /** What runs the containers. */
  containers?: "engine" | "docker";
  /** What the engine runs as the container's image; by default, this checkout's agent server. */
  image?: Image;
  /** Serve the checkout itself, with its .dev.vars and its storage, and rebuild on every change. Otherwise, serve a snapshot of it. */
  watch?: boolean;
  onLog?: (line: string) => void;
  /** On SIGINT, SIGTERM and SIGHUP, end this process and everything that the stack started. On by default. */
  handleSignals?: boolean;
};

export type Stack = {
  url: string;
  model?: Model;
  engine?: Engine;
  /** The newest lines of wrangler, the engine and the containers. */
  logs: string[];
  /** The first line that matches, past or future. */
  waitForLog(predicate: (line: string) => boolean, timeoutMs: number): Promise<string>;
  /** The directory of the objects' storage; undefined if it is the checkout's own. */
  state: string | undefined;
  /**
   * The Worker and all its objects die at once and start again on the same port and storage; containers live on.
   * `meanwhile` is called when they are dead.
   */
  restartWorker(meanwhile?: () => void | Promise<void>): Promise<void>;
  /** Resolves when the wrangler that serves now has ended, whatever the reason. */
  ended(): Promise<void>;
  stop(): Promise<void>;
};

export const AGENT_SERVER: Image = {
  // SIGUSR1 would open Node's debugger, and the agent can send it.
  command: [join(ROOT, "node_modules/.bin/node"), "--disable-sigusr1", "src/main.ts"],
  cwd: join(ROOT, "container"),
};
/** The Worker's key for the stand-in, which accepts any key. */
const PLACEHOLDER_KEY = "stand-in";
const CREDENTIALS = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];
const MAX_LOG_LINES = 5000;
const ANSWER_TIMEOUT_MS = 30_000;
const GRACE_MS = 10_000;
/** With Docker, wrangler removes each container and its sidecar before it ends, and allows each Docker command 30 s. Killed, it leaves them behind. */
const REMOVAL_MS = 90_000;
const LOOPBACK = "127.0.0.1";
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const asked = options.port ?? 0;
  if (asked !== 0) await needFreePort(asked, options.front?.ip);
  const log = new Log(options.onLog);
  const scratch = await mkdtemp(join(tmpdir(), "agent-stack-"));
  const closing: (() => Promise<void>)[] = [() => rm(scratch, { recursive: true, force: true, maxRetries: 5 })];
  const killing: (() => void)[] = [() => rmSync(scratch, { recursive: true, force: true })];
  const forget = onExit(options.handleSignals ?? true, killing);
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
    forget();
  };
  try {
    // The port is taken first: the build and wrangler's start can take minutes, and whoever asks meanwhile gets an answer.
    const front: Front | undefined = options.front && (await startFront({ ...options.front, port: asked }));
    if (front !== undefined) closing.push(() => front.close());
    await build(log.add);
    const model = options.model === undefined || options.model === "own" ? await startModel() : options.model;
    if (model !== "none" && model !== options.model) closing.push(() => model.close());

    const engine =
      options.containers === "docker"
        ? undefined
        : await startEngine({ socket: join(scratch, "docker.sock"), image: options.image ?? AGENT_SERVER, onLog: log.add });
    if (engine !== undefined) {
      closing.push(() => engine.stop());
      killing.push(() => engine.killNow());
    }

    const secrets = { ...options.secrets };
    const vars = { ...options.vars };
    if (model !== "none") {
      vars["MODEL_API_URL"] ??= model.url;
      if (!CREDENTIALS.some((name) => name in secrets || name in vars)) secrets["ANTHROPIC_API_KEY"] = PLACEHOLDER_KEY;
    }
    // A snapshot has its own .dev.vars. The checkout's belongs to the developer and is not written.
    const cwd = options.watch === true ? ROOT : await snapshot(scratch, secrets, options.configuration);
    if (options.watch === true) Object.assign(vars, secrets);
    const persistTo = options.persistTo ?? (options.watch === true ? undefined : join(scratch, "state"));
    // Wrangler's processes are recognised by this directory. Those of the containers are not: they outlive a restart of wrangler.
    const wranglerScratch = join(scratch, "wrangler");
    await mkdir(wranglerScratch);
    const wranglerOptions = (port: number) => ({
      cwd,
      scratch: wranglerScratch,
      graceMs: engine === undefined ? REMOVAL_MS : GRACE_MS,
      onLine: log.add,
      args: [
        ...["--ip", LOOPBACK, "--port", String(port), "--inspector-port", "0", "--show-interactive-dev-session=false"],
        ...(persistTo === undefined ? [] : ["--persist-to", persistTo]),
        ...Object.entries(vars).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
        ...(options.wranglerArgs ?? []),
      ],
      env: engine === undefined ? {} : engineEnvironment(engine),
    });
    let { wrangler, port } = await Wrangler.start(wranglerOptions(front === undefined ? asked : 0));
    front?.leadTo(port);
    // wrangler may be killed only in a snapshot: in the checkout and with Docker it has files and containers to remove.
    closing.push(() => (options.watch === true || engine === undefined ? wrangler.stop() : wrangler.kill()));
    killing.push(() => wrangler.killNow());
    const url = `http://127.0.0.1:${port}`;
    await answers(url);
    return {
      url: front === undefined ? url : `http://127.0.0.1:${front.port}`,
      ...(model !== "none" && { model }),
      ...(engine !== undefined && { engine }),
      logs: log.lines,
      ended: () => wrangler.exited,
      waitForLog: (predicate, timeoutMs) => log.waitFor(predicate, timeoutMs),
      state: persistTo,
      async restartWorker(meanwhile) {
        await wrangler.kill();
        await meanwhile?.();
        ({ wrangler, port } = await Wrangler.start(wranglerOptions(port)));
        await answers(url);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Tells wrangler and workerd where Docker's command line and socket are. */
function engineEnvironment(engine: Engine): Record<string, string> {
  return {
    WRANGLER_DOCKER_BIN: join(ROOT, "dev/docker-cli"),
    WRANGLER_DOCKER_HOST: `unix://${engine.socket}`,
    DOCKER_HOST: `unix://${engine.socket}`,
  };
}

/** Makes a directory with a copy of the built Worker and a configuration without the build step, so that later builds don't change it. */
async function snapshot(scratch: string, secrets: Record<string, string>, options: SnapshotOptions | undefined): Promise<string> {
  const configuration = snapshotConfiguration(await readConfiguration(), options);
  const directory = join(scratch, "worker");
  await cp(join(ROOT, "build"), join(directory, "build"), { recursive: true });
  await writeFile(join(directory, "wrangler.json"), JSON.stringify(configuration, null, 2));
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`);
  await writeFile(join(directory, ".dev.vars"), lines.join(""), { mode: 0o600 });
  return directory;
}

async function build(onLog: (line: string) => void): Promise<void> {
  const child = spawn(process.execPath, [join(ROOT, "dev/build.mjs")], { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error("the Worker does not build; what the build said is above");
  onLog("[stack] the Worker is built");
}

async function answers(url: string): Promise<void> {
  const deadline = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const response = await fetch(`${url}/health`, { signal: deadline });
  await response.arrayBuffer();
}

async function needFreePort(port: number, ip = LOOPBACK): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new PortBusy(port) : error);
    });
    probe.listen(port, ip, resolve);
  });
  await new Promise<void>((resolve) => probe.close(() => resolve()));
}

export class PortBusy extends Error {
  constructor(port: number) {
    super(`port ${port} is in use: stop what listens there, or take another with \`npm run dev -- --port ${port + 1}\``);
  }
}

/** Calls `killing` however this process ends. Returns a function that cancels that. */
function onExit(handleSignals: boolean, killing: readonly (() => void)[]): () => void {
  const killAll = (): void => {
    for (const kill of killing.toReversed()) kill();
  };
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => [signal, () => process.exit(code)] as const);
  process.once("exit", killAll);
  if (handleSignals) for (const [signal, handler] of handlers) process.once(signal, handler);
  return () => {
    process.off("exit", killAll);
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/** Keeps a bounded number of lines, and tells those who wait for one. */
class Log {
  readonly lines: string[] = [];
  readonly #waiting = new Set<(line: string) => void>();
  readonly #onLog: ((line: string) => void) | undefined;

  constructor(onLog: ((line: string) => void) | undefined) {
    this.#onLog = onLog;
  }

  readonly add = (line: string): void => {
    this.lines.push(line);
    if (this.lines.length > MAX_LOG_LINES) this.lines.shift();
    this.#onLog?.(line);
    for (const hear of this.#waiting) hear(line);
  };

  waitFor(predicate: (line: string) => boolean, timeoutMs: number): Promise<string> {
    const found = this.lines.find(predicate);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const hear = (line: string): void => {
        if (!predicate(line)) return;
        clearTimeout(timer);
        this.#waiting.delete(hear);
        resolve(line);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(hear);
        reject(new Error(`no such line in the log within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.add(hear);
    });
  }
}
