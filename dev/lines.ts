/** Splits a process's output into lines of bounded length; it never holds more than one such line. */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

const MAX_LINE_CHARS = 8192;

export function eachLine(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split(/\r?\n/);
    rest = (lines.pop() ?? "").slice(0, MAX_LINE_CHARS);
    for (const line of lines) onLine(line.slice(0, MAX_LINE_CHARS));
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
  // A broken pipe ends the output; the process's own exit is what is waited for.
  stream.on("error", () => {});
}
