/*
 * Permissions on the real CLI: a call that a rule asks about runs when it is allowed, as it was allowed, and not before; held and parked.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { decisionMessage } from "../../src/actions/continuation.ts";
import type { Continuation } from "../../src/actions/terms.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, OpenTurn, TurnFrames } from "../harness.ts";
import { decide } from "./deciding.ts";

describe("permissions", () => {
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

  const ASK = { ask_tools: ["Bash(touch:*)"] };
  const touch = (name: string, say = "[[say done]]"): string => `[[tool Bash {"command":"touch ${name}"}]] ${say}`;
  const asked = (prompt: string, options: object = ASK): Body => ({ prompt, options: { ...options }, actions: true });
  const at = (turn: TurnFrames, name: string): string => join(agent.root, "workspace", turn.session, name);

  test("a call that a rule asks about runs when it is allowed and not before", async () => {
    const open = await agent.begin(asked(touch("allowed")));
    const action = await open.until("action");
    const entries = open.seen.flatMap((frame) => (frame.type === "transcript" ? frame.entries : []));
    assert.ok(JSON.stringify(entries).includes(action.tool_call_id ?? "?"), "the transcript has the call before it is asked about");
    assert.deepEqual([action.kind, action.tool, action.input], ["permission", "Bash", { command: "touch allowed" }]);
    const { agent_session: session } = open.seen.find((frame) => frame.type === "started") as { agent_session: string };
    assert.equal(existsSync(join(agent.root, "workspace", session, "allowed")), false);
    assert.deepEqual(await decide(agent, open.id, action.reference, { decision: "allow" }), [200, { resolved: true }]);
    const resolved = await open.until("action_resolved");
    assert.deepEqual([resolved.reference, resolved.outcome], [action.reference, "allowed"]);
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.text, existsSync(at(turn, "allowed"))], ["completed", "done", true]);
    assert.deepEqual(await decide(agent, open.id, action.reference, { decision: "deny" }), [200, { resolved: false }]);
    assert.equal((await decide(agent, open.id, "another", { decision: "allow" }))[0], 404);
  });

  test("a call that is denied does not run, and the model reads why", async () => {
    const open = await agent.begin(asked(touch("denied", "")));
    const action = await open.until("action");
    await decide(agent, open.id, action.reference, { decision: "deny", message: "Not today." });
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, existsSync(at(turn, "denied"))], ["completed", false]);
    assert.match(turn.result.text, /Not today\./);
  });

  test("a call runs with the input that it was allowed with", async () => {
    const open = await agent.begin(asked(touch("asked")));
    const action = await open.until("action");
    await decide(agent, open.id, action.reference, { decision: "allow", input: { command: "echo changed > changed" } });
    const turn = await open.rest();
    assert.deepEqual([existsSync(at(turn, "asked")), readFileSync(at(turn, "changed"), "utf8")], [false, "changed\n"]);
  });

  async function parked(open: OpenTurn): Promise<TurnFrames> {
    const response = await agent.call("POST", `/turns/${open.id}/park`);
    assert.equal(response.status, 202);
    return open.rest();
  }

  test("a command is asked about if one of its parts is, whatever the mode", async () => {
    for (const options of [{ ...ASK, permission_mode: "bypassPermissions" }, { ...ASK, permission_mode: "acceptEdits" }, { ...ASK, allowed_tools: ["Bash"] }]) {
      const open = await agent.begin(asked('[[tool Bash {"command":"touch part; echo b >> parts"}]]', options));
      const action = await open.until("action");
      await decide(agent, open.id, action.reference, { decision: "deny" });
      const turn = await open.rest();
      assert.deepEqual([turn.result.status, existsSync(at(turn, "part")), existsSync(at(turn, "parts"))], ["completed", false, false], JSON.stringify(options));
    }
    const other = await agent.begin(asked('[[tool Bash {"command":"mkfifo part; echo b >> parts"}]]', { ...ASK, permission_mode: "dontAsk" }));
    const turn = await other.rest();
    assert.deepEqual([other.seen.some(({ type }) => type === "action"), existsSync(at(turn, "parts"))], [false, false], "no rule is about it");
  });

  test("rules count for their turn, in the next one of the conversation and in another conversation not", async () => {
    const deny = { deny_tools: ["Bash(touch:*)"] };
    const first = await (await agent.begin(asked(touch("ruled", ""), deny))).rest();
    assert.equal(existsSync(at(first, "ruled")), false);
    const next = await (await agent.begin({ ...asked(touch("ruled"), {}), agent_session: first.session, resume: true })).rest();
    const other = await (await agent.begin(asked(touch("ruled"), {}))).rest();
    assert.deepEqual([existsSync(at(next, "ruled")), existsSync(at(other, "ruled"))], [true, true]);
  });

  for (const where of ["in its process", "in another process"] as const) {
    test(`a parked call runs once when it is made again ${where}`, async () => {
      const open = await agent.begin(asked(touch("parked")));
      const action = await open.until("action");
      const first = await parked(open);
      assert.deepEqual([first.result.status, first.result.continue_by, first.result.actions], ["requires_action", "message", [action.reference]]);
      assert.equal(first.result.num_turns, 1, "calls of the model");
      assert.equal(existsSync(at(first, "parked")), false);
      if (where === "in another process") await agent.call("POST", `/sessions/${first.session}/stop`);
      const { reference, kind, tool_call_id, tool, input } = action;
      const continuation: Continuation = { run: 1, by: "message", actions: [{ reference, kind, tool_call_id, tool, input, decision: { decision: "allow" } } as Continuation["actions"][number]] };
      model.control.script(decisionMessage(continuation) as string, `${touch("parked", "")} [[tool Bash {"command":"touch parked"}]] [[say twice]]`);
      const rest = await agent.begin({ agent_session: first.session, resume: true, prompt: "", options: ASK, actions: true, continuation });
      // The call that was approved runs unasked, once: the same again is asked about.
      const again = await rest.until("action");
      assert.deepEqual([again.input, existsSync(at(first, "parked"))], [{ command: "touch parked" }, true]);
      await decide(agent, rest.id, again.reference, { decision: "deny" });
      const turn = await rest.rest();
      assert.deepEqual([turn.result.status, turn.result.text], ["completed", "twice"]);
    });
  }
});
