/*
 * Rules that were remembered, on the real CLI: what they cover runs unasked in the conversation's next turn, and nothing else does.
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

describe("what was remembered", () => {
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

  const bash = (command: string): string => `[[tool Bash ${JSON.stringify({ command })}]]`;
  const asking = (prompt: string): Body => ({ prompt, options: { permission_mode: "default" }, actions: true });
  const is = (turn: TurnFrames, name: string): boolean => existsSync(join(agent.root, "workspace", turn.session, name));

  test("covers such calls in the next turn, and neither another tool nor another command", async () => {
    const open = await agent.begin(asking(bash("touch a")));
    const action = await open.until("action");
    const suggestions = action.suggestions as { type: string }[];
    assert.deepEqual(suggestions.map(({ type }) => type), ["addRules"], "a mode would cover other tools");
    await decide(agent, open.id, action.reference, { decision: "allow" });
    const first = await open.rest();
    const write = `[[tool Write ${JSON.stringify({ file_path: join(agent.root, "workspace", first.session, "written"), content: "x" })}]]`;
    const next = await agent.begin({ ...asking(`${bash("touch a")} ${bash("touch a")} ${write} ${bash("mkfifo b")}`), agent_session: first.session, resume: true, grants: suggestions });
    for (const tool of ["Write", "Bash"]) {
      const asked = await next.until("action");
      assert.deepEqual([asked.tool, is(first, "a")], [tool, true]);
      await decide(agent, next.id, asked.reference, { decision: "deny" });
    }
    await next.rest();
    assert.deepEqual([is(first, "written"), is(first, "b")], [false, false]);
  });
});
