/*
 * Calls that somebody else answers, on the real CLI: the caller's tools and questions. Held, each gets its answer where it waits; parked, it stays
 * open and is answered by its result, in its process or in another one.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, OpenTurn, TurnFrames } from "../harness.ts";
import { decide } from "./deciding.ts";

const LOOK_UP = { name: "look_up", description: "Looks something up.", input_schema: { type: "object", properties: { q: { type: "string" } }, required: ["q"] } };
const QUESTIONS = [{ question: "Which colour?", header: "Colour", multiSelect: false, options: [{ label: "Blue", description: "b" }, { label: "Red", description: "r" }] }];
/** What the CLI says to the model when it goes on by itself. */
const GO_ON = "Continue from where you left off.";

describe("open calls", () => {
  let model: Model;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
  });
  beforeEach(() => model.control.clearRequests());
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const asked = (prompt: string, options: object): Body => ({ prompt, options: { ...options }, actions: true });
  const call = (name: string, input: object): string => `[[tool ${name} ${JSON.stringify(input)}]]`;
  const results = (): string[] => model.control.requests().at(-1)?.blocks.filter(({ type }) => type === "tool_result").map(({ bytes }) => String(bytes)) ?? [];

  const KINDS = [
    { kind: "tool", options: { client_tools: [LOOK_UP] }, prompt: call("mcp__client__look_up", { q: "x" }), tool: "look_up", decision: { decision: "result", content: "42" }, answer: /42/ },
    { kind: "tool", options: { client_tools: [LOOK_UP], allowed_tools: ["Read"] }, prompt: call("mcp__client__look_up", { q: "x" }), tool: "look_up", decision: { decision: "result", content: [{ type: "text", text: "43" }] }, answer: /43/ },
    { kind: "tool", options: { client_tools: [LOOK_UP] }, prompt: call("mcp__client__look_up", { q: "x" }), tool: "look_up", decision: { decision: "expired" }, answer: /Nobody answered in time/ },
    { kind: "question", options: { questions: true }, prompt: call("AskUserQuestion", { questions: QUESTIONS }), tool: "AskUserQuestion", decision: { decision: "answer", answers: { "Which colour?": "Blue" } }, answer: /Blue/ },
    { kind: "question", options: { questions: true }, prompt: call("AskUserQuestion", { questions: QUESTIONS }), tool: "AskUserQuestion", decision: { decision: "deny", message: "No time." }, answer: /No time\./ },
  ] as const;

  async function parked(open: OpenTurn): Promise<TurnFrames> {
    assert.equal((await agent.call("POST", `/turns/${open.id}/park`)).status, 202);
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.continue_by], ["requires_action", "results"]);
    return turn;
  }

  for (const { kind, options, prompt, tool, decision, answer } of KINDS) {
    const what = `${kind}, ${decision.decision}${"allowed_tools" in options ? ", beside allowed tools" : ""}`;
    test(`held: ${what}`, async () => {
      const open = await agent.begin(asked(prompt, options));
      const action = await open.until("action");
      assert.deepEqual([action.kind, action.tool], [kind, tool]);
      await decide(agent, open.id, action.reference, decision);
      const turn = await open.rest();
      assert.equal(turn.result.status, "completed");
      assert.match(turn.result.text, answer);
      assert.ok(turn.of("tool").every(({ name }) => name === tool));
    });

    for (const where of ["in its process", "in another process", "in another container"] as const) {
      test(`parked, answered ${where}: ${what}`, async () => {
        const open = await agent.begin(asked(prompt, options));
        const { reference, tool_call_id, input } = await open.until("action");
        const first = await parked(open);
        if (where !== "in its process") await agent.call("POST", `/sessions/${first.session}/stop`);
        if (where === "in another container") await agent.call("DELETE", `/sessions/${first.session}`);
        model.control.script(GO_ON, "");
        const continuation = { run: 1, by: "results", actions: [{ reference, kind, tool_call_id, tool, input, decision }] };
        const transcript = where === "in another container" ? first.transcript : undefined;
        const turn = await agent.turn({ agent_session: first.session, resume: true, prompt: "", options: { ...options }, actions: true, continuation, ...(transcript && { transcript }) });
        assert.equal(turn.result.status, "completed");
        const last = model.control.requests().at(-1);
        assert.ok((last?.blocks ?? []).some(({ type }) => type === "tool_result"), "the model has the result");
        if (where === "in its process") assert.match(turn.result.text, answer);
        // What comes after goes on from it, and no call is left open.
        const next = await agent.turn({ agent_session: first.session, resume: true, prompt: "[[say next]]", options: { ...options }, actions: true });
        assert.equal(next.result.text, "next");
        void results;
      });
    }
  }
});
