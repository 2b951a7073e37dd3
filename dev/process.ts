/** Runs a command to its end, showing its output and keeping the newest of it. For the development programs only. */
import { spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";
import { ROOT } from "./tools.mjs";

/** A summary stands at the end of what a test runner says. */
const MAX_KEPT_CHARS = 4 * 1024 * 1024;

export type Outcome = { ok: boolean; output: string; seconds: number };
export type RunOptions = { cwd?: string; env?: NodeJS.ProcessEnv; quiet?: boolean };

export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const started = performance.now();
  const child = spawn(command, args, { cwd: options.cwd ?? ROOT, env: options.env ?? process.env, stdio: ["ignore", "pipe", "pipe"] });
  let kept = "";
  for (const [stream, shown] of [[child.stdout, process.stdout], [child.stderr, process.stderr]] as const) {
    const decoder = new StringDecoder("utf8");
    stream.on("data", (chunk: Buffer) => {
      kept = (kept + decoder.write(chunk)).slice(-MAX_KEPT_CHARS);
      if (options.quiet !== true) shown.write(chunk);
    });
  }
  const ok = await new Promise<boolean>((resolve) => {
    child.once("error", (error) => {
      kept += `${command} did not start: ${error.message}\n`;
      resolve(false);
    });
    child.once("close", (code) => resolve(code === 0));
  });
  return { ok, output: kept, seconds: (performance.now() - started) / 1000 };
}
