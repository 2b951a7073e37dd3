/** What the agent and MCP servers send with an action, as forms and words; whatever its shape is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answersOf, outcomeOf, questionsOf, suggestedRules } from "../src/actions/action.ts";
import type { Action } from "../src/actions/action.ts";
import { answersFrom, fieldsOfSchema, initialValues } from "../src/actions/schema.ts";
import { ended, fold, newTurn, pendingOf, withAction } from "../src/chat/turns.ts";
import type { TurnView } from "../src/chat/turns.ts";

const action = (more: Partial<Action> = {}): Action => ({ action_id: "act_1", turn_id: "turn_1", session_id: "s", kind: "permission", status: "pending", created_at: 0, expires_at: 1, ...more });
const waiting = (): TurnView => fold({ ...newTurn("k", "q"), status: "running" }, { type: "action", data: action() });

test("questions are read with their options, and none of a shape that has no form", () => {
  const input = { questions: [{ question: "Which?", header: "H", multiSelect: true, options: [{ label: "a", description: "A" }, { label: 1 }, null] }] };
  assert.deepEqual(questionsOf(input), [{ question: "Which?", header: "H", isMultiple: true, options: [{ label: "a", description: "A" }] }]);
  for (const odd of [undefined, null, 1, [], { questions: 1 }, { questions: [{}] }, { questions: [{ question: "ok" }, { question: 2 }] }]) assert.deepEqual(questionsOf(odd), []);
});

test("what would be remembered is told in words", () => {
  const rules = [{ type: "addRules", rules: [{ toolName: "Bash", ruleContent: "ls" }, { toolName: "Write" }] }, { type: "setMode", mode: "acceptEdits" }];
  assert.deepEqual(suggestedRules(rules), ["Bash: ls", "every call of Write", "all changes of files"]);
  assert.deepEqual(suggestedRules("x"), []);
});

test("a flat schema is a form, whose answers have the types that it names", () => {
  const schema = {
    type: "object",
    required: ["name", "count"],
    properties: {
      name: { type: "string", title: "Name" },
      count: { type: "integer", default: 2, minimum: 1 },
      note: { type: "string" },
      tone: { type: "string", enum: ["a", "b"], enumNames: ["A", "B"] },
      size: { type: "string", oneOf: [{ const: "s", title: "Small" }] },
      tags: { type: "array", items: { type: "string", enum: ["x", "y"] } },
      now: { type: "boolean", default: true },
    },
  };
  const fields = fieldsOfSchema(schema) ?? [];
  assert.deepEqual(fields.map(({ kind, input }) => `${kind} ${input}`), ["string text", "integer number", "string text", "choice text", "choice text", "choices text", "boolean text"]);
  assert.deepEqual(fields[3]?.choices, [{ value: "a", label: "A" }, { value: "b", label: "B" }]);
  assert.deepEqual(answersFrom(fields, { ...initialValues(fields), name: "Ada", tone: "b", tags: ["y"] }), { name: "Ada", count: 2, tone: "b", tags: ["y"], now: true });
  assert.equal(fieldsOfSchema({ properties: { deep: { type: "object" } } }), undefined);
  assert.deepEqual(fieldsOfSchema(undefined), []);
});

test("a turn requires action as long as one of its actions is pending", () => {
  const two = fold(waiting(), { type: "action", data: action({ action_id: "act_2" }) });
  assert.equal(two.status, "requires_action");
  const one = fold(two, { type: "action_resolved", data: { action_id: "act_1", status: "resolved", decision: "allow" } });
  assert.deepEqual([one.status, pendingOf(one).map(({ action_id }) => action_id)], ["requires_action", ["act_2"]]);
  assert.equal(fold(one, { type: "action_resolved", data: { action_id: "act_2", status: "expired" } }).status, "running");
});

test("an action that was read before it was decided does not bring its form back", () => {
  const decided = fold(waiting(), { type: "action_resolved", data: { action_id: "act_1", status: "resolved", decision: "deny" } });
  assert.equal(withAction(decided, action()), decided);
  const known = withAction(decided, action({ status: "resolved", decision: { decision: "deny", message: "No." } }));
  assert.deepEqual(known.parts.map((part) => (part.kind === "action" ? outcomeOf(part.action) : "")), ["Denied: No."]);
});

test("nothing is waited for in a turn that has ended", () => {
  const turn = ended(waiting(), "cancelled");
  assert.deepEqual([turn.status, pendingOf(turn).length], ["cancelled", 0]);
});

test("how an action ended is told as it was", () => {
  const told = (more: Partial<Action>): string => outcomeOf(action({ status: "resolved", ...more }));
  assert.equal(told({ status: "expired" }), "Nobody answered in time, so the agent went on without it");
  assert.equal(told({ decision: { decision: "allow", remember: "conversation" } }), "Allowed for this conversation");
  assert.equal(told({ kind: "plan", decision: { decision: "deny", message: "Shorter." } }), "Plan not approved: Shorter.");
  assert.equal(told({ kind: "question", decision: { decision: "deny" } }), "Not answered");
  assert.deepEqual(answersOf(action({ decision: { decision: "answer", answers: { "Which?": ["a", "b"], n: 1 } } })), [["Which?", "a, b"], ["n", "1"]]);
});
