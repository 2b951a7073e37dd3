/*
 * What pends, and how it ends: decided once, parked, withdrawn.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate, MAX_PENDING } from "../../src/actions/gate.ts";
import type { GatePort, Question } from "../../src/actions/gate.ts";
import { Grants, suggestionsFor } from "../../src/actions/grants.ts";
import { InvalidDecision, parseContinuation, parseDecision, refusal } from "../../src/actions/terms.ts";

const never = new AbortController().signal;
const question = (id: string, stays = true): Question => ({ kind: "permission", tool_call_id: id, tool: "Bash", input: { command: "ls" }, stays });

function portTo(told: string[]): GatePort {
  return {
    asked: async ({ reference }) => void told.push(`asked ${reference}`),
    resolved: (reference, outcome) => told.push(`${reference} ${outcome}`),
    letGo: async () => "withdrawn",
  };
}

function attached(): { gate: Gate; told: string[] } {
  const gate = new Gate();
  const told: string[] = [];
  gate.attach(portTo(told));
  return { gate, told };
}

test("a question is told, decided once and let go", async () => {
  const { gate, told } = attached();
  const answer = gate.ask(question("toolu_1"), never);
  assert.equal(gate.pending, 1);
  assert.equal(gate.decide("toolu_1", { decision: "allow" }), true);
  assert.equal(gate.decide("toolu_1", { decision: "deny" }), false);
  assert.deepEqual(await answer, { decision: "allow" });
  assert.equal(gate.decide("toolu_1", { decision: "deny" }), false);
  assert.equal(gate.decide("toolu_2", { decision: "allow" }), undefined);
  assert.deepEqual(told, ["asked toolu_1", "toolu_1 allowed"]);
});

test("without a turn, over the bound and after an abort nothing is asked and nothing allowed", async () => {
  assert.deepEqual(await new Gate().ask(question("a"), never), { decision: "withdrawn" });
  const { gate } = attached();
  const gone = new AbortController();
  const taken = gate.ask(question("a"), gone.signal);
  gone.abort();
  assert.deepEqual(await taken, { decision: "withdrawn" });
  assert.deepEqual(await gate.ask(question("b"), gone.signal), { decision: "withdrawn" });
  const all = Array.from({ length: MAX_PENDING }, (_, n) => gate.ask(question(`c${n}`), never));
  assert.deepEqual(await gate.ask(question("d"), never), { decision: "withdrawn" });
  gate.detach();
  for (const answer of await Promise.all(all)) assert.deepEqual(answer, { decision: "withdrawn" });
});

test("a parked turn lets everything go, tells what comes after it and holds nothing", async () => {
  const { gate, told } = attached();
  assert.equal(gate.park(), false);
  const first = gate.ask(question("a"), never);
  assert.equal(gate.park(), true);
  assert.deepEqual(await first, { decision: "parked" });
  assert.deepEqual(await gate.ask(question("b"), never), { decision: "parked" });
  assert.deepEqual(told, ["asked a", "asked b"]);
  gate.detach();
  gate.attach(portTo([]));
  assert.deepEqual(gate.parked, []);
});

test("an id that is no name is not used as one", async () => {
  const { gate, told } = attached();
  void gate.ask(question("../x"), never);
  void gate.ask({ kind: "elicitation", stays: true }, never);
  assert.match(told[0] ?? "", /^asked permission-[0-9a-f-]{36}$/);
  assert.match(told[1] ?? "", /^asked elicitation-[0-9a-f-]{36}$/);
  gate.detach();
});

test("of a command that the SDK suggests nothing for, that very command is suggested, and none if it is too long", () => {
  const grants = new Grants();
  const of = (command: string) => suggestionsFor("Bash", undefined, { command });
  grants.remember(of("touch a; echo b >> c"));
  assert.equal(grants.covers("Bash", of("touch a; echo b >> c")), true);
  assert.equal(grants.covers("Bash", of("touch a")), false);
  grants.remember(of("x".repeat(5_000)));
  assert.equal(grants.covers("Bash", of("x".repeat(5_000))), false);
});

test("a call is covered by the rules that were suggested for it, or by its whole tool", () => {
  const grants = new Grants();
  const rule = (tool: string, content?: string) =>
    suggestionsFor(tool, content === undefined ? [] : [{ type: "addRules", rules: [{ toolName: tool, ruleContent: content }], behavior: "allow", destination: "localSettings" }]);
  grants.remember(rule("Bash", "touch a"));
  assert.equal(grants.covers("Bash", rule("Bash", "touch a")), true);
  assert.equal(grants.covers("Bash", rule("Bash", "touch b")), false);
  assert.equal(grants.covers("Bash", [...rule("Bash", "touch a"), ...rule("Bash", "rm a")]), false);
  grants.remember(rule("Write"));
  assert.equal(grants.covers("Write", rule("Write", "x")), true);
  assert.equal(grants.covers("Bash", rule("Bash", "touch a")), false);
  grants.remember([{ type: "setMode", mode: "acceptEdits" }, { type: "addRules", behavior: "deny", rules: [{ toolName: "Edit" }] }, null, "x"]);
  assert.equal(grants.covers("Edit", [{ type: "setMode", mode: "acceptEdits", destination: "session" }]), true);
  assert.equal(grants.covers("Edit", rule("Edit")), false);
});

test("what was allowed once runs once, whatever the order of its fields, and not in a later turn", () => {
  const grants = new Grants();
  grants.allowOnce("Bash", { command: "ls", options: { a: 1, b: [2] } });
  assert.equal(grants.takeOnce("Bash", { command: "ls" }), false);
  assert.equal(grants.takeOnce("Bash", { options: { b: [2], a: 1 }, command: "ls" }), true);
  assert.equal(grants.takeOnce("Bash", { options: { b: [2], a: 1 }, command: "ls" }), false);
  grants.allowOnce("Bash", {});
  grants.endTurn();
  assert.equal(grants.takeOnce("Bash", {}), false);
});

test("what is no decision is refused", () => {
  for (const bad of [null, [], {}, { decision: "yes" }, { decision: "allow", input: [] }, { decision: "deny", message: 7 }, { decision: "answer" }, { decision: "result" }, { decision: "result", content: [1] }]) {
    assert.throws(() => parseDecision(bad), InvalidDecision, JSON.stringify(bad));
  }
  assert.deepEqual(parseDecision({ decision: "result", content: "4", is_error: true, extra: 1 }), { decision: "result", content: "4", is_error: true });
  assert.deepEqual(parseDecision({ decision: "allow", input: null }), { decision: "allow" });
  assert.notEqual(refusal({ decision: "expired" }), refusal({ decision: "deny" }));
  const action = { reference: "toolu_1", kind: "tool", decision: { decision: "expired" } };
  assert.deepEqual(parseContinuation({ run: 1, by: "results", actions: [action] }), { run: 1, by: "results", actions: [action] });
  for (const bad of [null, { run: 1, by: "x", actions: [action] }, { run: 1, by: "results", actions: [] }, { run: 1, by: "message", actions: [{ ...action, reference: "a b" }] }, { run: 1, by: "message", actions: [{ ...action, kind: "wish" }] }]) {
    assert.throws(() => parseContinuation(bad), InvalidDecision, JSON.stringify(bad));
  }
});
