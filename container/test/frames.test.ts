/*
 * What a turn keeps of its frames, and in what form a frame leaves: the wire format is pinned here byte for byte.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameLog } from "../src/frames.ts";
import type { Frame } from "../src/frames.ts";

function linesOf(log: FrameLog, after = 0): string[] {
  const lines = [];
  for (let frame = log.next(after); frame !== undefined; frame = log.next(frame.n)) lines.push(frame.line);
  return lines;
}

function logOf(maxBytes: number, frames: Frame[]): FrameLog {
  const log = new FrameLog(maxBytes);
  for (const frame of frames) log.append(frame);
  return log;
}

function numbers(log: FrameLog): number[] {
  return linesOf(log).map((line) => (JSON.parse(line) as { n: number }).n);
}

/** What stands in the place of forgotten frames. */
const dropped = (from: number, to: number): object => ({ n: to, type: "notice", code: "events_dropped", message: "the turn had more events than are kept", from, to });

test("a frame is one line of JSON that begins with its number", () => {
  const log = logOf(10_000, [
    { type: "started", agent_session: "s", instance: "i", warm: true },
    { type: "delta", text: "a\nb" },
    { type: "tool", id: "t", name: "Bash", status: "started", input: { command: "ls" } },
    { type: "retry", attempt: 1, delay_ms: 500, status: 529, retracted: false },
    { type: "transcript", subpath: "subagents/x", entries: [{ type: "user" }] },
    { type: "thinking", text: "hm" },
    { type: "tool_input", id: "t", json: '{"a"' },
    { type: "tool", id: "t", name: "Bash", status: "denied", result: "no", parent: "p" },
    { type: "usage", model: "m", input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 },
    { type: "compacted", trigger: "auto", pre_tokens: 9, post_tokens: 1 },
    { type: "attachment_removed", path: null, reason: "r" },
    { type: "end" },
  ]);
  assert.deepEqual(linesOf(log), [
    '{"n":1,"type":"started","agent_session":"s","instance":"i","warm":true}\n',
    '{"n":2,"type":"delta","text":"a\\nb"}\n',
    '{"n":3,"type":"tool","id":"t","name":"Bash","status":"started","input":{"command":"ls"}}\n',
    '{"n":4,"type":"retry","attempt":1,"delay_ms":500,"status":529,"retracted":false}\n',
    '{"n":5,"type":"transcript","subpath":"subagents/x","entries":[{"type":"user"}]}\n',
    '{"n":6,"type":"thinking","text":"hm"}\n',
    '{"n":7,"type":"tool_input","id":"t","json":"{\\"a\\""}\n',
    '{"n":8,"type":"tool","id":"t","name":"Bash","status":"denied","result":"no","parent":"p"}\n',
    '{"n":9,"type":"usage","model":"m","input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3,"cache_creation_input_tokens":4}\n',
    '{"n":10,"type":"compacted","trigger":"auto","pre_tokens":9,"post_tokens":1}\n',
    '{"n":11,"type":"attachment_removed","path":null,"reason":"r"}\n',
    '{"n":12,"type":"end"}\n',
  ]);
});

test("reading after the n-th frame begins with the one that follows it", () => {
  const log = logOf(10_000, [{ type: "delta", text: "a" }, { type: "delta", text: "b" }, { type: "delta", text: "c" }]);
  assert.deepEqual(linesOf(log, 1), linesOf(log).slice(1));
  assert.deepEqual(linesOf(log, 3), []);
  assert.deepEqual(linesOf(log, 99), []);
});

test("nothing follows the end", () => {
  const log = logOf(10_000, [{ type: "end" }, { type: "delta", text: "late" }]);
  assert.deepEqual(numbers(log), [1]);
});

test("a full log forgets the deltas that a message stands for, and keeps every number", () => {
  const text = "x".repeat(100);
  const log = logOf(600, [
    { type: "delta", text },
    { type: "delta", text },
    { type: "message", text },
    { type: "delta", text: "new" },
    { type: "transcript", entries: [{ type: "user", text }] },
    { type: "delta", text: "newer" },
  ]);
  assert.deepEqual(numbers(log), [2, 3, 4, 5, 6]);
  assert.deepEqual(JSON.parse(linesOf(log)[0] ?? ""), dropped(1, 2));
  assert.equal(log.overfull, false);
});

test("a full log forgets the input that a call has, and no other", () => {
  const json = "x".repeat(100);
  const log = logOf(450, [
    { type: "tool_input", id: "t", json },
    { type: "tool", id: "t", name: "Bash", status: "started" },
    { type: "tool_input", id: "u", json },
    { type: "transcript", entries: [{ type: "user", json }] },
  ]);
  assert.deepEqual(linesOf(log).map((line) => (JSON.parse(line) as { type: string }).type), ["notice", "tool", "tool_input", "transcript"]);
});

test("a log that is still too full forgets tools and open deltas, and what must be stored stays", () => {
  const text = "x".repeat(100);
  const log = logOf(350, [
    { type: "message", text },
    { type: "tool", id: "t", name: "Bash", status: "started", input: { text } },
    { type: "delta", text },
    { type: "thinking", text },
    { type: "tool_input", id: "t", json: text },
    { type: "message", text, parent: "t" },
    { type: "usage", model: text, input_tokens: 1, output_tokens: 1, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    { type: "transcript", entries: [{ type: "user", text }] },
  ]);
  assert.deepEqual(numbers(log), [1, 7, 8]);
  assert.equal(log.overfull, false);
});

test("a subagent's message stands for none of the answer's deltas", () => {
  const text = "x".repeat(100);
  const log = logOf(440, [{ type: "delta", text: "mine" }, { type: "message", text: "theirs", parent: "t" }, { type: "transcript", entries: [{ type: "user", text }] }, { type: "tool_input", id: "t", json: text }, { type: "tool", id: "t", name: "Bash", status: "started" }]);
  assert.deepEqual(linesOf(log).map((line) => (JSON.parse(line) as { type: string }).type), ["delta", "message", "transcript", "notice", "tool"]);
});

test("a reader that was behind is told which frames are forgotten, and one that had them is not", () => {
  const text = "x".repeat(100);
  const log = logOf(700, [{ type: "started", agent_session: "s", instance: "i", warm: true }, ...Array<Frame>(4).fill({ type: "delta", text }), { type: "message", text }, { type: "end" }]);
  assert.deepEqual(linesOf(log, 1).map((line) => JSON.parse(line) as object), [dropped(2, 5), { n: 6, type: "message", text }, { n: 7, type: "end" }]);
  assert.deepEqual(JSON.parse(linesOf(log, 3)[0] ?? ""), dropped(4, 5));
  assert.deepEqual(numbers(log).slice(0, 3), [1, 5, 6]);
  assert.deepEqual(linesOf(log, 5).map((line) => (JSON.parse(line) as { n: number }).n), [6, 7]);
});

test("a log that holds too much of what must be stored says so", () => {
  assert.equal(logOf(50, [{ type: "message", text: "x".repeat(100) }]).overfull, true);
});

test("a reader hears of each frame until it leaves", () => {
  const log = new FrameLog();
  let heard = 0;
  const leave = log.subscribe({ wake: () => (heard += 1) });
  log.append({ type: "delta", text: "a" });
  leave();
  log.append({ type: "delta", text: "b" });
  assert.equal(heard, 1);
});
