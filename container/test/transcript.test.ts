/*
 * Held transcripts on a real disk: whole or not at all, within a bound; and the lines they are read by.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { LineTooLong, linesOf } from "../src/lines.ts";
import { Transcripts } from "../src/transcript.ts";
import type { TranscriptLine } from "../src/transcript.ts";

const root = mkdtempSync(join(tmpdir(), "transcripts-test-"));
after(() => rmSync(root, { recursive: true }));
const fileOf = (session: string): string => join(root, session, "transcript.jsonl");

const line = (text: string, subpath: string | null = null): TranscriptLine => ({ subpath, entry: { type: "user", text } });
async function* stream<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

describe("a transcript", () => {
  test("is read as it was written, each subpath for itself", async () => {
    const held = new Transcripts(fileOf);
    await held.open("a");
    held.append("a", [line("one\u2028\nsame line"), line("elsewhere", "subagents/x")]);
    held.append("a", [line("two")]);
    assert.deepEqual(await held.load("a", null), [line("one\u2028\nsame line").entry, line("two").entry]);
    assert.deepEqual(await held.load("a", "subagents/x"), [line("elsewhere").entry]);
    assert.deepEqual(await held.subpaths("a"), ["subagents/x"]);
  });

  test("is written by itself: lines of one moment together, a great many at once", async ({ mock }) => {
    const held = new Transcripts(fileOf);
    await held.open("w");
    const watcher = watch(fileOf("w"));
    mock.timers.enable({ apis: ["setTimeout"] });
    held.append("w", [line("one")]);
    held.append("w", [line("two")]);
    assert.equal(readFileSync(fileOf("w"), "utf8"), "");
    const together = once(watcher, "change");
    mock.timers.runAll();
    await together;
    assert.equal(readFileSync(fileOf("w"), "utf8"), ["one", "two"].map((text) => `${JSON.stringify(line(text))}\n`).join(""));
    const alone = once(watcher, "change");
    held.append("w", [line("x".repeat(1024 * 1024))]);
    await alone;
    watcher.close();
  });

  test("is not begun in the middle", () => {
    const held = new Transcripts(fileOf);
    held.append("b", [line("second half")]);
    assert.equal(held.has("b"), false);
  });

  test("without a word of the user's or the assistant's has nothing to resume", async () => {
    const held = new Transcripts(fileOf);
    await held.open("c");
    held.append("c", [{ subpath: null, entry: { type: "queue-operation" } }]);
    assert.deepEqual([held.has("c"), held.hasMessages("c")], [true, false]);
  });

  test("that is sent takes the place of the held one", async () => {
    const held = new Transcripts(fileOf);
    await held.open("d");
    held.append("d", [line("old")]);
    await held.replace("d", stream(line("new")));
    assert.deepEqual(await held.load("d", null), [line("new").entry]);
  });

  test("that does not arrive whole is not kept", async () => {
    const held = new Transcripts(fileOf);
    async function* broken(): AsyncGenerator<TranscriptLine> {
      yield line("first");
      throw new Error("cut");
    }
    await assert.rejects(held.replace("e", broken()), /cut/);
    assert.deepEqual([held.has("e"), existsSync(fileOf("e"))], [false, false]);
  });

  test("of the least recently used goes when all together are too large", async () => {
    const held = new Transcripts(fileOf, 350);
    for (const session of ["f", "g", "h"]) await held.open(session);
    held.append("f", [line("x".repeat(50))]);
    held.append("g", [line("x".repeat(50))]);
    held.append("f", [line("again")]);
    held.append("h", [line("x".repeat(100))]);
    assert.deepEqual([held.has("f"), held.has("g"), held.has("h")], [true, false, true]);
    for (const session of ["f", "h"]) await held.drop(session);
  });
});

describe("lines", () => {
  async function split(...chunks: string[]): Promise<string[]> {
    const lines = [];
    for await (const text of linesOf(stream(...chunks.map((chunk) => Buffer.from(chunk))), 10)) lines.push(text);
    return lines;
  }

  test("end where line feeds are, across chunks, and a last one needs none", async () => {
    assert.deepEqual(await split("a", "b\nc", "d\n", "\n", "e"), ["ab", "cd", "e"]);
  });

  test("keep characters whole that chunks cut apart", async () => {
    const bytes = Buffer.from("é\n");
    const lines = [];
    for await (const text of linesOf(stream(bytes.subarray(0, 1), bytes.subarray(1)), 10)) lines.push(text);
    assert.deepEqual(lines, ["é"]);
  });

  test("over the bound are refused, with or without a line feed", async () => {
    await assert.rejects(split("12345678901\n"), LineTooLong);
    await assert.rejects(split("123456", "78901"), LineTooLong);
  });
});
