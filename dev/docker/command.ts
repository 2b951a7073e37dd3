/** Runs one command with a time limit, for the Docker end-to-end test. If it fails, the error has the end of its output. */
import { spawn } from "node:child_process";
import { killProcesses } from "../../container/src/reap.ts";

export type CommandOptions = {
  timeoutMs: number;
  cwd?: string;
  env?: Readonly<Record<string, string>>;
};

/** The test cannot run on this machine. That says nothing about the product. */
export class NotPossible extends Error {}

/** Ended by the limit or by its own failure; `output` is the end of what it printed. */
export class CommandFailed extends Error {
  readonly output: string;

  constructor(message: string, output: string) {
    super(`${message}${output === "" ? "" : `:\n${output}`}`);
    this.output = output;
  }
}

const MAX_KEPT_CHARS = 1024 * 1024;
const SHOWN_LINES = 30;
let commands = 0;

/** Resolves with the command's standard output. Rejects if its status is not 0 or it takes too long; then everything it started is killed. */
export async function command(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const mark = `agent-docker-${process.pid}-${(commands += 1)}`;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env, AGENT_COMMAND: mark },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = (): void => void killProcesses({ leader: child.pid, mark });
  process.once("exit", kill);
  let out = "";
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out = (out + text).slice(-MAX_KEPT_CHARS);
    all = (all + text).slice(-MAX_KEPT_CHARS);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (all = (all + text).slice(-MAX_KEPT_CHARS)));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, options.timeoutMs);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code === 0) return out.trim();
  } catch (error) {
    throw new CommandFailed(`${program} did not start`, String(error));
  } finally {
    clearTimeout(timer);
    process.off("exit", kill);
  }
  const what = `\`${[program, ...args].join(" ").slice(0, 200)}\``;
  throw new CommandFailed(`${what} ${late ? `did not end within ${options.timeoutMs / 1000} s` : "failed"}`, all.trim().split("\n").slice(-SHOWN_LINES).join("\n"));
}

/** Like `command`, but resolves with undefined if the command fails. */
export async function attempt(program: string, args: readonly string[], options: CommandOptions): Promise<string | undefined> {
  try {
    return await command(program, args, options);
  } catch (error) {
    if (error instanceof CommandFailed) return undefined;
    throw error;
  }
}

/** Prints one line when the step begins and one when it is done. */
export async function step<T>(what: string, run: () => Promise<T>): Promise<T> {
  console.log(`docker: ${what} …`);
  const started = performance.now();
  const result = await run();
  console.log(`docker: ${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}
