/*
 * The longest time that a turn runs: what it waits for somebody does not count.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as macrotask } from "node:timers/promises";
import { Callbacks } from "../src/actions/callbacks.ts";
import type { Answer } from "../src/actions/gate.ts";
import type { Frame } from "../src/frames.ts";
import type { Run } from "../src/process.ts";
import type { Sessions } from "../src/sessions.ts";
import { MAX_TURN_MS, Turns } from "../src/turns.ts";
import type { Turn } from "../src/turns.ts";

/** A turn on a process that asks one question, and is at work until it is stopped; the question's reference and its answer. */
async function waiting(t: TestContext): Promise<{ turn: Turn; reference: string; answered: Promise<Answer> }> {
  const answered = Promise.withResolvers<Answer>();
  const callbacks = new Callbacks(() => {});
  const run = async (_message: unknown, { asks, signal }: Run): Promise<never> => {
    if (asks !== undefined) callbacks.beginTurn(asks);
    answered.resolve(callbacks.gate.ask({ kind: "permission", tool: "Bash", input: {}, stays: true }, signal));
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
  };
  const session = { id: "s", process: { callbacks, run, over: new Promise(() => {}) }, takeRemoved: () => [], attach: () => {}, detach: () => {}, forget: async () => {} };
  const sessions = { lease: async () => ({ session, warm: true }), release: () => {} } as unknown as Sessions;
  const turn = new Turns(sessions, "i").start({ turn_id: "t", session: null, resume: false, prompt: "p", options: {}, actions: true });
  const { promise: asked, resolve } = Promise.withResolvers<string>();
  const emit = turn.emit.bind(turn);
  t.mock.method(turn, "emit", (frame: Frame) => {
    emit(frame);
    if (frame.type === "action") resolve(frame.reference);
  });
  const reference = await asked;
  return { turn, reference, answered: answered.promise };
}

const nearly = MAX_TURN_MS - 60_000;

test("a turn that was answered after most of an hour may run another one", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { turn, reference, answered } = await waiting(t);
  t.mock.timers.tick(nearly);
  assert.equal(turn.decide(reference, { decision: "allow" }), true);
  assert.deepEqual(await answered, { decision: "allow" });
  await macrotask();
  t.mock.timers.tick(nearly);
  assert.equal(turn.stopped, undefined);
  t.mock.timers.tick(60_000);
  assert.deepEqual(turn.stopped as unknown, { code: "agent_failed", message: "the turn took too long" });
  await turn.ended;
});

test("one that nobody answers is parked", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { turn, answered } = await waiting(t);
  t.mock.timers.tick(MAX_TURN_MS);
  assert.deepEqual([await answered, turn.stopped], [{ decision: "parked" }, undefined]);
  turn.cancel();
  await turn.ended;
});
