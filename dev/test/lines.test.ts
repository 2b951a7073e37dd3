/** Lines of a child's output. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";
import { test } from "node:test";
import { eachLine } from "../lines.ts";

async function linesOf(...chunks: (string | Buffer)[]): Promise<string[]> {
  const stream = new PassThrough();
  const lines: string[] = [];
  eachLine(stream, (line) => lines.push(line));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await finished(stream);
  return lines;
}

test("a line may come in pieces, and the last one may lack its end", async () => {
  assert.deepEqual(await linesOf("one\ntw", "o\r\nthr", "ee"), ["one", "two", "three"]);
});

test("a character may come in pieces", async () => {
  const euro = Buffer.from("€");
  assert.deepEqual(await linesOf(euro.subarray(0, 1), euro.subarray(1)), ["€"]);
});

test("a line that never ends is kept to its bound", async () => {
  const lines = await linesOf("x".repeat(8000), "y".repeat(8000), "\n", "next\n");
  assert.deepEqual(lines.map((line) => line.length), [8192, 4]);
});
