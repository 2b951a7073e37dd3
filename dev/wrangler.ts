/**
 * One `wrangler dev` as a child process: starts it, waits until it serves, and ends it with everything that it started.
 * Knows nothing of what is served.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { killGroup, killProcesses, processesEnd } from "../container/src/reap.ts";
import { eachLine } from "./lines.ts";
import { ROOT } from "./tools.mjs";

export type WranglerOptions = {
  cwd: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** A directory that only this wrangler uses. It is in the environment of everything that wrangler starts. */
  scratch: string;
  /** How long wrangler may take to end by itself and remove what it made. */
  graceMs: number;
  onLine: (line: string) => void;
};

/** For wrangler's start, after the Worker and the image were built. */
const READY_TIMEOUT_MS = 180_000;
const MAX_LINES_OF_ERROR = 40;

export class Wrangler {
  readonly #child: ChildProcess;
  readonly #options: WranglerOptions;
  readonly #exited: Promise<void>;

  private constructor(options: WranglerOptions) {
    this.#options = options;
    const nodeModules = join(ROOT, "node_modules");
    this.#child = spawn(join(nodeModules, ".bin/node"), ["--no-warnings", join(nodeModules, "wrangler/wrangler-dist/cli.js"), "dev", ...options.args], {
      cwd: options.cwd,
      // In its own process group, so that Ctrl-C in the terminal does not reach wrangler: this process ends it.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: `${join(nodeModules, ".bin")}:${process.env["PATH"] ?? ""}`,
        TMPDIR: options.scratch,
        WRANGLER_LOG_PATH: join(options.scratch, "logs"),
        WRANGLER_REGISTRY_PATH: join(options.scratch, "registry"),
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_HIDE_BANNER: "true",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        FORCE_COLOR: "0",
        ...options.env,
      },
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
      this.#child.once("error", () => resolve());
    });
  }

  /** Resolves with the port on which it serves. Rejects with its output if it ends or does not serve in time. */
  static async start(options: WranglerOptions): Promise<{ wrangler: Wrangler; port: number }> {
    const wrangler = new Wrangler(options);
    try {
      return { wrangler, port: await wrangler.#ready() };
    } catch (error) {
      await wrangler.kill();
      throw error;
    }
  }

  #ready(): Promise<number> {
    const said: string[] = [];
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${why}:\n${said.slice(-MAX_LINES_OF_ERROR).join("\n")}`));
      const timer = setTimeout(() => fail(`wrangler dev did not serve within ${READY_TIMEOUT_MS / 1000} s`), READY_TIMEOUT_MS);
      const hear = (raw: string): void => {
        const line = stripVTControlCharacters(raw);
        if (said.length < MAX_LINES_OF_ERROR * 10) said.push(line);
        this.#options.onLine(line);
        const port = /Ready on http:\/\/\S+:(\d+)/.exec(line)?.[1];
        if (port === undefined) return;
        clearTimeout(timer);
        resolve(Number(port));
      };
      for (const stream of [this.#child.stdout, this.#child.stderr]) if (stream !== null) eachLine(stream, hear);
      void this.#exited.then(() => {
        clearTimeout(timer);
        fail("wrangler dev ended before it served");
      });
    });
  }

  /** Resolves when it has ended. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Kills it at once, like a crash: it cannot tidy up. */
  async kill(): Promise<void> {
    await killProcesses({ leader: this.#child.pid, mark: this.#options.scratch });
    await this.#exited;
  }

  /** Asks it to end and to remove what it made, and kills what is left. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.killNow(), this.#options.graceMs);
    await this.#exited;
    clearTimeout(timer);
    // The processes that remove the containers outlive wrangler.
    await processesEnd(this.#options.scratch, this.#options.graceMs);
    await this.kill();
  }

  killNow(): void {
    killGroup(this.#child.pid);
  }
}
