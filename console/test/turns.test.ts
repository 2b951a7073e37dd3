/** How events become what is shown: pieces, whole blocks, retractions, tool calls, ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ended, fold, fromHistory, newTurn } from "../src/chat/turns.ts";
import type { Part, Told, TurnView } from "../src/chat/turns.ts";

const after = (...events: Told[]): TurnView => events.reduce<TurnView>(fold, newTurn("k", "q"));
const parts = (...events: Told[]): Part[] => after(...events).parts;
const delta = (text: string): Told => ({ type: "delta", data: { text } });
const message = (content: string): Told => ({ type: "message", data: { role: "assistant", content } });
const tool = (status: string, more: Told["data"] = {}): Told => ({ type: "tool", data: { id: "t", name: "Bash", status, ...more } });

test("a whole block stands for the pieces before it, and the next piece begins another", () => {
  assert.deepEqual(parts(delta("a"), delta("b"), message("ab!"), delta("c")), [
    { kind: "text", text: "ab!", isWhole: true },
    { kind: "text", text: "c", isWhole: false },
  ]);
});

test("a retraction takes back the pieces since the last whole block, and nothing else", () => {
  const retry: Told = { type: "retry", data: { attempt: 2, delay_ms: 1, status: 529, retracted: true } };
  const turn = after(message("kept"), delta("void"), retry);
  assert.deepEqual(turn.parts, [{ kind: "text", text: "kept", isWhole: true }]);
  assert.deepEqual(turn.retrying, { attempt: 2, status: 529 });
  assert.equal(fold(turn, delta("again")).retrying, undefined);
});

test("a tool call keeps its input when its result comes", () => {
  const [call] = parts(tool("started", { input: { command: "ls" } }), tool("finished", { result: "a", truncated: true }));
  assert.deepEqual(call, { kind: "tool", id: "t", name: "Bash", status: "finished", input: { command: "ls" }, result: "a", isCut: true });
});

test("what subagents say is not the answer", () => {
  assert.deepEqual(parts({ type: "message", data: { content: "inner", parent: "t" } }, { type: "thinking", data: { text: "hm", parent: "t" } }), []);
});

test("an event that is not known changes nothing", () => {
  const turn = after(delta("a"));
  assert.equal(fold(turn, { type: "later", data: {} }), turn);
});

test("nothing of a turn that has ended goes on", () => {
  const turn = ended(after(delta("a"), tool("started")), "cancelled", "why");
  assert.deepEqual(turn.parts.map((part) => (part.kind === "tool" ? part.status : part.kind === "text" && part.isWhole)), [true, "stopped"]);
  assert.equal(turn.error, "why");
});

test("a conversation is its messages, what its turns did, and how they ended", () => {
  const at = (n: number, turn_id: string, role: "user" | "assistant", content: string) => ({ id: `msg_${n}`, turn_id, role, content, timestamp: n });
  const turn = (turn_id: string, more: object) => ({ turn_id, session_id: "s", created_at: 0, started_at: 1000, finished_at: 3500, ...more });
  const views = fromHistory(
    [at(1, "one", "user", "q1"), at(2, "one", "assistant", "a1"), at(3, "two", "user", "q2"), at(4, "three", "user", "q3")],
    [turn("one", { status: "completed" }), turn("two", { status: "failed", error: { code: "model_failed" } }), turn("three", { status: "running", finished_at: null })] as never,
    { one: [{ n: 1, type: "tool", id: "t", name: "Bash", status: "started" }, { n: 2, type: "tool", id: "t", name: "Bash", status: "finished" }, { n: 3, type: "message", content: "a1" }] },
  );
  assert.deepEqual(views.map(({ question, status, durationMs }) => [question, status, durationMs]), [["q1", "completed", 2500], ["q2", "failed", 2500], ["q3", "running", undefined]]);
  assert.deepEqual(views[0]?.parts.map(({ kind }) => kind), ["tool", "text"]);
  assert.deepEqual(views[1]?.error, { code: "model_failed" });
});
