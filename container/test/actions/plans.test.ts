/*
 * Plans on the real CLI: until somebody approves the plan nothing is changed, and then the mode is the one that a turn has without a plan; held and parked.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, OpenTurn, TurnFrames } from "../harness.ts";
import { decide } from "./deciding.ts";

/** What the CLI says to the model when it goes on by itself. */
const GO_ON = "Continue from where you left off.";
const QUESTIONS = [{ question: "Which colour?", header: "Colour", multiSelect: false, options: [{ label: "Blue", description: "b" }, { label: "Red", description: "r" }] }];

describe("plans", () => {
  let model: Model;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const PLAN = { permission_mode: "plan", after_plan: "bypassPermissions" };
  const touch = (name: string): string => `[[tool Bash {"command":"touch ${name}"}]]`;
  const asked = (prompt: string, options: object = PLAN): Body => ({ prompt, options: { ...options }, actions: true });
  const made = (turn: TurnFrames, name: string): boolean => existsSync(join(agent.root, "workspace", turn.session, name));

  test("nothing is changed before the plan is approved, and then as the mode without a plan has it", async () => {
    const open = await agent.begin(asked(`${touch("early")} [[plan # Make it]] ${touch("late")} [[say done]]`));
    const action = await open.until("action");
    assert.deepEqual([action.kind, action.tool, (action.input as { plan: string }).plan], ["plan", "ExitPlanMode", "# Make it"]);
    await decide(agent, open.id, action.reference, { decision: "allow" });
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.text, turn.of("action").length], ["completed", "done", 1]);
    assert.deepEqual([made(turn, "early"), made(turn, "late")], [false, true]);
    const next = await agent.turn({ ...asked(touch("next"), {}), agent_session: turn.session, resume: true });
    assert.deepEqual([next.result.status, made(turn, "next")], ["completed", true]);
    const again = await agent.turn({ ...asked(touch("again"), PLAN), agent_session: turn.session, resume: true });
    assert.deepEqual([again.result.status, made(turn, "again")], ["completed", false], "the next plan is a plan again");
  });

  test("a plan that is denied is not carried out, and the model reads why", async () => {
    const open = await agent.begin(asked(`[[plan # Make it]] ${touch("denied")}`));
    const action = await open.until("action");
    await decide(agent, open.id, action.reference, { decision: "deny", message: "Not like this." });
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, made(turn, "denied")], ["completed", false]);
    assert.match(turn.result.text, /Not like this\./);
  });

  for (const [after_plan, allowed_tools, what] of [
    ["default", undefined, "asked about"],
    ["dontAsk", ["Read", "Write"], "denied"],
    ["dontAsk", ["Read", "Write", "Bash"], "run"],
  ] as const) {
    test(`after the plan, a call is ${what} where the mode is ${after_plan} and ${allowed_tools?.join(", ") ?? "any tool"} may be used`, async () => {
      const options = { permission_mode: "plan", after_plan, ...(allowed_tools && { allowed_tools }) };
      const open = await agent.begin(asked(`[[plan # Make it]] ${touch("late")}`, options));
      const action = await open.until("action");
      await decide(agent, open.id, action.reference, { decision: "allow" });
      if (what === "asked about") {
        const bash = await open.until("action");
        assert.deepEqual([bash.kind, bash.tool], ["permission", "Bash"]);
        await decide(agent, open.id, bash.reference, { decision: "deny" });
      }
      const turn = await open.rest();
      assert.deepEqual([turn.result.status, turn.of("action").length, made(turn, "late")], ["completed", what === "asked about" ? 2 : 1, what === "run"]);
    });
  }

  async function parked(open: OpenTurn): Promise<TurnFrames> {
    assert.equal((await agent.call("POST", `/turns/${open.id}/park`)).status, 202);
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.continue_by], ["requires_action", "results"]);
    return turn;
  }

  for (const where of ["in its process", "in another process", "in another container"] as const) {
    test(`parked, approved ${where}: the plan is carried out`, async () => {
      const open = await agent.begin(asked(`[[plan # Make it]] ${touch("late")} [[say done]]`));
      const { reference, kind, tool_call_id, tool, input } = await open.until("action");
      const first = await parked(open);
      if (where !== "in its process") await agent.call("POST", `/sessions/${first.session}/stop`);
      if (where === "in another container") await agent.call("DELETE", `/sessions/${first.session}`);
      model.control.script(GO_ON, `${touch("late")} [[say done]]`);
      const continuation = { run: 1, by: "results", actions: [{ reference, kind, tool_call_id, tool, input, decision: { decision: "allow" } }] };
      const transcript = where === "in another container" ? first.transcript : undefined;
      // The caller says by the mode that the plan was approved.
      const options = { ...PLAN, permission_mode: "bypassPermissions" };
      const turn = await agent.turn({ agent_session: first.session, resume: true, prompt: "", options, actions: true, continuation, ...(transcript && { transcript }) });
      assert.deepEqual([turn.result.status, turn.result.text, made(turn, "late")], ["completed", "done", true]);
    });
  }

  test("a plan that is approved after a question was answered in another process leads to the same mode", async () => {
    const options = { ...PLAN, questions: true };
    const open = await agent.begin(asked(`[[tool AskUserQuestion ${JSON.stringify({ questions: QUESTIONS })}]]`, options));
    const { reference, kind, tool_call_id, tool, input } = await open.until("action");
    assert.equal(kind, "question");
    const first = await parked(open);
    await agent.call("POST", `/sessions/${first.session}/stop`);
    model.control.script(GO_ON, `${touch("early")} [[plan # Make it blue]] ${touch("late")} [[say done]]`);
    const continuation = { run: 1, by: "results", actions: [{ reference, kind, tool_call_id, tool, input, decision: { decision: "answer", answers: { "Which colour?": "Blue" } } }] };
    const rest = await agent.begin({ agent_session: first.session, resume: true, prompt: "", options, actions: true, continuation });
    const plan = await rest.until("action");
    assert.equal(plan.kind, "plan");
    await decide(agent, rest.id, plan.reference, { decision: "allow" });
    const turn = await rest.rest();
    assert.deepEqual([turn.result.status, turn.result.text, made(turn, "early"), made(turn, "late")], ["completed", "done", false, true]);
  });

  test("without a mode for afterwards there is no way out of planning, and without questions none are asked", async () => {
    const turn = await agent.turn(asked(`[[tool ExitPlanMode {}]] [[tool AskUserQuestion {"questions":[]}]] ${touch("late")}`, { permission_mode: "plan" }));
    assert.deepEqual([turn.of("action").length, made(turn, "late")], [0, false]);
    assert.match(turn.result.text, /No such tool available: ExitPlanMode/);
    assert.match(turn.result.text, /No such tool available: AskUserQuestion/);
  });
});
