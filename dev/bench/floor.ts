/** Starts container/bench/floor.ts, the SDK alone, asks it for turns, and leaves nothing of it behind. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Answer, Ask, Times } from "../../container/bench/floor.ts";
import { killGroup, killProcesses } from "../../container/src/reap.ts";
import { ROOT } from "../tools.mjs";

const ANSWER_LIMIT_MS = 60_000;

export class Floor {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #onExit = (): void => void killGroup(this.#child.pid);
  #asked = 0;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    process.once("exit", this.#onExit);
  }

  /** No other process may use the directory: the floor's processes are recognised by it. */
  static async start(modelUrl: string, directory: string): Promise<Floor> {
    const env: NodeJS.ProcessEnv = { ANTHROPIC_BASE_URL: modelUrl, ANTHROPIC_API_KEY: "placeholder" };
    for (const name of ["PATH", "LANG", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]) if (process.env[name] !== undefined) env[name] = process.env[name];
    if (process.getuid?.() === 0) env["IS_SANDBOX"] = "1";
    for (const [name, folder] of Object.entries({ HOME: "home", TMPDIR: "tmp", WORKSPACE_ROOT: "workspace", STATE_ROOT: "state" })) {
      env[name] = join(directory, folder);
      await mkdir(env[name], { recursive: true });
    }
    const child = fork(join(ROOT, "container/bench/floor.ts"), {
      execPath: join(ROOT, "node_modules/.bin/node"),
      env,
      detached: true,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    return new Floor(child, directory);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** A turn on the first live process. */
  async turn(prompt: string): Promise<Times> {
    return first(await this.#ask(prompt, 1));
  }

  /** A turn on each of `processes` live processes at once. */
  turns(prompt: string, processes: number): Promise<Times[]> {
    return this.#ask(prompt, processes);
  }

  /** A whole `query()`, with a process of its own. */
  async fresh(prompt: string): Promise<Times> {
    return first(await this.#ask(prompt, 0));
  }

  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await killProcesses({ leader: this.#child.pid, mark: this.#directory });
    process.off("exit", this.#onExit);
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async #ask(prompt: string, processes: number): Promise<Times[]> {
    const ask: Ask = { id: ++this.#asked, prompt, processes };
    const answered = once(this.#child, "message", { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    this.#child.send(ask);
    const [answer] = (await answered) as [Answer];
    if ("error" in answer) throw new Error(`the floor could not: ${answer.error}`);
    return answer.times;
  }
}

function first(times: Times[]): Times {
  const [one] = times;
  if (one === undefined) throw new Error("the floor said no times");
  return one;
}
