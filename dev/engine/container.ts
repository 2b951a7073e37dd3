/**
 * One application container: the image's program as a child process with its own directories.
 * Starts it, ends it and removes every trace of it. Of HTTP and the network it knows only ports.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { killGroup, killProcesses } from "../../container/src/reap.ts";
import { eachLine } from "../lines.ts";

/** What stands for an image here: a program and the directory in which it runs. */
export type Image = { command: readonly [string, ...string[]]; cwd: string; env?: Readonly<Record<string, string>> };

/** The fields of Docker's create call that the engine uses. */
export type ContainerSpec = {
  env: Record<string, string>;
  labels: Record<string, string>;
  networkMode: string;
  image: string;
  stopTimeoutMs: number;
};

export type ContainerState = "created" | "running" | "exited";

const DEFAULT_PORT = 8080;
/** The only variables of the host's environment that a container gets. */
const HOST_VARIABLES = ["PATH", "LANG", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

export class AppContainer {
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly #image: Image;
  readonly #scratch: string;
  readonly #onLog: (line: string) => void;
  readonly #waiters = new Set<(exitCode: number) => void>();
  #child: ChildProcess | undefined;
  #starting: Promise<void> | undefined;
  #ended: Promise<void> = Promise.resolve();
  #ports = new Map<number, number>();
  state: ContainerState = "created";
  exitCode = 0;

  constructor(name: string, spec: ContainerSpec, image: Image, scratch: string, onLog: (line: string) => void) {
    this.name = name;
    this.spec = spec;
    this.#image = image;
    this.#scratch = scratch;
    this.#onLog = onLog;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The host's port for a port of the container; undefined if the program does not listen on that port. */
  hostPort(port: number): number | undefined {
    return this.state === "running" ? this.#ports.get(port) : undefined;
  }

  get port(): number {
    return [...this.#ports.values()][0] ?? 0;
  }

  /** Rejects if the program cannot be started. A program that ends at once counts as started. Calls during a start share it. */
  start(proxyUrl: string | undefined): Promise<void> {
    this.#starting ??= this.#launch(proxyUrl).finally(() => (this.#starting = undefined));
    return this.#starting;
  }

  async #launch(proxyUrl: string | undefined): Promise<void> {
    const root = await mkdtemp(join(this.#scratch, "c-"));
    const directories = { HOME: "home", TMPDIR: "tmp", WORKSPACE_ROOT: "workspace", STATE_ROOT: "state" };
    const env: Record<string, string> = { ...hostEnvironment(), ...this.#image.env };
    for (const [variable, directory] of Object.entries(directories)) {
      env[variable] = join(root, directory);
      await mkdir(env[variable]);
    }
    Object.assign(env, this.spec.env);
    if (process.getuid?.() === 0) env["IS_SANDBOX"] = "1";
    if (proxyUrl !== undefined) {
      for (const variable of ["HTTP_PROXY", "HTTPS_PROXY"]) env[variable] = env[variable.toLowerCase()] = proxyUrl;
    }
    const port = Number(env["PORT"] ?? DEFAULT_PORT);
    const hostPort = await freePort();
    env["PORT"] = String(hostPort);
    // Only this machine may reach the program.
    env["HOST"] = "127.0.0.1";

    const [program, ...args] = this.#image.command;
    const child = spawn(program, args, { cwd: this.#image.cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    // There must be no await between spawn and these listeners, or the exit could be missed.
    const exited = new Promise<number>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
    const spawned = new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    try {
      await spawned;
    } catch (error) {
      await rm(root, { recursive: true, force: true });
      throw error;
    }
    this.#child = child;
    this.#ports = new Map([[port, hostPort]]);
    this.state = "running";
    this.#log(`started, pid ${this.pid}, port ${port} is 127.0.0.1:${hostPort}`);
    for (const stream of [child.stdout, child.stderr]) eachLine(stream, (line) => this.#log(line));
    this.#ended = exited.then((code) => this.#finish(code, root));
  }

  /** As in Docker: a signal goes to the first process only, but SIGKILL ends all of them. */
  signal(name: NodeJS.Signals): boolean {
    if (this.state !== "running" || this.pid === 0) return false;
    if (name === "SIGKILL") killGroup(this.pid);
    else this.#child?.kill(name);
    return true;
  }

  /** Resolves when nothing of the container is left: no process, no directory. */
  async stop(timeoutMs: number): Promise<void> {
    if (!this.signal("SIGTERM")) return this.#ended;
    const timer = setTimeout(() => this.signal("SIGKILL"), timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Waits for a start in progress first, so that nothing comes up afterwards. */
  async kill(): Promise<void> {
    await this.#starting?.catch(() => {});
    this.signal("SIGKILL");
    await this.#ended;
  }

  /** For exit handlers, where nothing can be awaited. */
  killNow(): void {
    if (this.state === "running") killGroup(this.pid);
  }

  /** Resolves with the exit code, or with undefined if `signal` is aborted first. */
  wait(signal: AbortSignal): Promise<number | undefined> {
    if (this.state === "exited") return Promise.resolve(this.exitCode);
    return new Promise((resolve) => {
      const done = (code: number): void => {
        signal.removeEventListener("abort", gaveUp);
        resolve(code);
      };
      const gaveUp = (): void => {
        this.#waiters.delete(done);
        resolve(undefined);
      };
      signal.addEventListener("abort", gaveUp, { once: true });
      this.#waiters.add(done);
    });
  }

  async #finish(code: number, root: string): Promise<void> {
    this.exitCode = code;
    this.state = "exited";
    this.#log(`exited with code ${code}`);
    await killProcesses({ leader: this.pid, mark: root });
    for (const waiter of this.#waiters) waiter(code);
    this.#waiters.clear();
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }

  #log(line: string): void {
    this.#onLog(`[container ${shortName(this.name)}] ${line}`);
  }
}

/** Eight digits of the object's id, as shown in logs. */
function shortName(name: string): string {
  return name.split("-").at(-1)?.slice(0, 8) ?? name;
}

function hostEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of HOST_VARIABLES) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
