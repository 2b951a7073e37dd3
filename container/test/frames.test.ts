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

test("a frame is one line of JSON that begins with its number", () => {
  const log = logOf(10_000, [
    { type: "started", agent_session: "s", instance: "i", warm: true },
    { type: "delta", text: "a\nb" },
    { type: "tool", id: "t", name: "Bash", status: "started", input: { command: "ls" } },
    { type: "retry", attempt: 1, delay_ms: 500, status: 529, retracted: false },
    { type: "transcript", subpath: "subagents/x", entries: [{ type: "user" }] },
    { type: "end" },
  ]);
  assert.deepEqual(linesOf(log), [
    '{"n":1,"type":"started","agent_session":"s","instance":"i","warm":true}\n',
    '{"n":2,"type":"delta","text":"a\\nb"}\n',
    '{"n":3,"type":"tool","id":"t","name":"Bash","status":"started","input":{"command":"ls"}}\n',
    '{"n":4,"type":"retry","attempt":1,"delay_ms":500,"status":529,"retracted":false}\n',
    '{"n":5,"type":"transcript","subpath":"subagents/x","entries":[{"type":"user"}]}\n',
    '{"n":6,"type":"end"}\n',
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
  assert.deepEqual(numbers(log), [3, 4, 5, 6]);
  assert.equal(log.overfull, false);
});

test("a log that is still too full forgets tools and open deltas, and what must be stored stays", () => {
  const text = "x".repeat(100);
  const log = logOf(350, [
    { type: "message", text },
    { type: "tool", id: "t", name: "Bash", status: "started", input: { text } },
    { type: "delta", text },
    { type: "transcript", entries: [{ type: "user", text }] },
  ]);
  assert.deepEqual(numbers(log), [1, 4]);
  assert.equal(log.overfull, false);
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
