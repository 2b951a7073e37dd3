/*
 * Calls of a subagent, on the real CLI: held like any other; when the turn gives up its process they cannot stay open, and the subagent is told to leave
 * them to the main conversation.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, TurnFrames } from "../harness.ts";
import { decide } from "./deciding.ts";

const LOOK_UP = { name: "look_up", description: "Looks something up.", input_schema: { type: "object", properties: { q: { type: "string" } } } };
const AGAIN = /Ask again from the main conversation/;

describe("calls of a subagent", () => {
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

  const CALLS = {
    permission: { call: 'Bash {"command":"touch below"}', options: { allowed_tools: ["Agent", "Bash"], ask_tools: ["Bash(touch:*)"] }, decision: { decision: "allow" } },
    tool: { call: 'mcp__client__look_up {"q":"x"}', options: { allowed_tools: ["Agent"], client_tools: [LOOK_UP] }, decision: { decision: "result", content: "found it" } },
  } as const;

  /** A subagent makes the call, and so does the main conversation afterwards if `again`. */
  function asked({ call, options }: { call: string; options: object }, again: boolean): Body {
    const task = { description: "look", prompt: `[[tool ${call}]]`, subagent_type: "general-purpose" };
    return { prompt: `[[tool Agent ${JSON.stringify(task)}]]${again ? ` [[tool ${call}]]` : ""}`, options: { ...options }, actions: true };
  }
  const made = (turn: TurnFrames): boolean => existsSync(join(agent.root, "workspace", turn.session, "below"));

  for (const kind of ["permission", "tool"] as const) {
    test(`${kind}: is held and decided like any other`, async () => {
      const open = await agent.begin(asked(CALLS[kind], false));
      const action = await open.until("action");
      assert.equal(action.kind, kind);
      await decide(agent, open.id, action.reference, CALLS[kind].decision);
      const turn = await open.rest();
      assert.equal(turn.result.status, "completed");
      if (kind === "permission") assert.ok(made(turn));
      else assert.match(turn.result.text, /found it/);
    });

    test(`${kind}: is denied when the turn is parked, and made again by the main conversation it is what the turn waits for`, async () => {
      const open = await agent.begin(asked(CALLS[kind], true));
      const below = await open.until("action");
      assert.equal((await agent.call("POST", `/turns/${open.id}/park`)).status, 202);
      const withdrawn = await open.until("action_resolved");
      assert.deepEqual([withdrawn.reference, withdrawn.outcome], [below.reference, "withdrawn"]);
      const again = await open.until("action");
      const turn = await open.rest();
      assert.deepEqual([turn.result.status, turn.result.actions, made(turn)], ["requires_action", [again.reference], false]);
      assert.notEqual(again.tool_call_id, below.tool_call_id);
      assert.match(JSON.stringify(turn.transcript.filter(({ subpath }) => subpath?.startsWith("subagents/"))), AGAIN);
    });
  }

  test("is denied when the turn is parked, and the turn ends if nobody makes it again", async () => {
    const open = await agent.begin(asked(CALLS.permission, false));
    await open.until("action");
    assert.equal((await agent.call("POST", `/turns/${open.id}/park`)).status, 202);
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, made(turn)], ["completed", false]);
    assert.match(turn.result.text, AGAIN);
  });
});
