/*
 * Many calls of one message, on the real CLI: each gets what was decided about it, and a call in a subagent waits like any other as long as it is held.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, Numbered, TurnFrames } from "../harness.ts";
import { decide } from "./deciding.ts";

const CALLS = 20;
const LOOK_UP = { name: "look_up", description: "Looks something up.", input_schema: { type: "object", properties: { q: { type: "number" } } } };
type ActionFrame = Extract<Numbered, { type: "action" }>;

type ToolResult = { type: string; tool_use_id: string; content: unknown; is_error?: boolean };

/** What the transcript has of each call. */
function resultsIn(turn: TurnFrames): Map<string, ToolResult> {
  const contents = turn.transcript.flatMap(({ entry }) => (entry as { message?: { content?: unknown } }).message?.content ?? []);
  const results = (contents as ToolResult[]).filter(({ type }) => type === "tool_result");
  assert.equal(results.length, CALLS);
  return new Map(results.map((result) => [result.tool_use_id, result]));
}

describe("many calls", () => {
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

  const asked = (prompt: string, options: object): Body => ({ prompt, options: { ...options }, actions: true });
  const made = (turn: TurnFrames, name: string): boolean => existsSync(join(agent.root, "workspace", turn.session, name));
  const together = (calls: string[]): string => calls.map((call, n) => `[[${n === 0 ? "tool" : "also"} ${call}]]`).join(" ");

  test("a result with an image that is not in it loses that image alone", async () => {
    const open = await agent.begin(asked("[[tool mcp__client__look_up {}]]", { client_tools: [LOOK_UP] }));
    const image = { type: "image", source: { type: "url", url: "https://a.test/a.png" } };
    await decide(agent, open.id, (await open.until("action")).reference, { decision: "result", content: [{ type: "text", text: "found it" }, image] });
    const read = JSON.stringify((await open.rest()).transcript);
    assert.match(read, /found it/);
    assert.match(read, /an image that cannot be shown/);
    assert.doesNotMatch(read, /Invalid tools\/call result/);
  });

  test("of the caller's tools are asked about all at once: some are answered, some fail, one expires", async () => {
    const open = await agent.begin(asked(together(Array.from({ length: CALLS }, (_, q) => `mcp__client__look_up {"q":${q}}`)), { client_tools: [LOOK_UP] }));
    const actions: ActionFrame[] = [];
    while (actions.length < CALLS) actions.push(await open.until("action"));
    const decisionOf = (q: number): object => (q === 7 ? { decision: "expired" } : { decision: "result", content: `result ${q}.`, is_error: q % 2 === 1 });
    for (const { reference, input } of actions.toReversed()) await decide(agent, open.id, reference, decisionOf((input as { q: number }).q));
    const turn = await open.rest();
    assert.equal(turn.result.status, "completed");
    assert.equal(new Set(actions.map(({ reference }) => reference)).size, CALLS);
    const results = resultsIn(turn);
    for (const { tool_call_id, input } of actions) {
      const { q } = input as { q: number };
      const { content, is_error = false } = results.get(tool_call_id ?? "") as ToolResult;
      assert.match(JSON.stringify(content), q === 7 ? /Nobody answered in time/ : new RegExp(`"result ${q}\\."`));
      assert.equal(is_error, q % 2 === 1);
    }
    const outcomes = turn.of("action_resolved").map(({ outcome }) => outcome);
    assert.deepEqual([outcomes.length, outcomes.filter((outcome) => outcome === "expired").length], [CALLS, 1]);
  });

  test("that a rule asks about run as far as they are allowed, each once", async () => {
    const calls = Array.from({ length: CALLS }, (_, n) => `Bash {"command":"touch t-${n}; echo ${n} >> runs-${n}"}`);
    const open = await agent.begin(asked(`${together(calls)} [[say done]]`, { ask_tools: ["Bash(touch:*)"] }));
    const allows = (n: number): boolean => n % 3 !== 0;
    // The CLI asks about one command after the other.
    for (let n = 0; n < CALLS; n += 1) {
      const { reference, input } = await open.until("action");
      const number = Number(/t-(\d+)/.exec((input as { command: string }).command)?.[1]);
      const decision = number === 5 ? { decision: "expired" } : { decision: allows(number) ? "allow" : "deny" };
      await decide(agent, open.id, reference, decision);
    }
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.text], ["completed", "done"]);
    for (let n = 0; n < CALLS; n += 1) assert.equal(made(turn, `t-${n}`), allows(n) && n !== 5, `t-${n}`);
  });
});
