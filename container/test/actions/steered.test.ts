/*
 * Messages that a turn has taken in before it asks somebody, on the real CLI: told before the question, and not again.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { nextTurnId, startAgent } from "../harness.ts";
import type { Agent, OpenTurn } from "../harness.ts";
import { decide } from "./deciding.ts";

describe("a turn that was steered and asks", () => {
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

  /** A turn that takes a message in while its tool runs, which makes it ask. */
  async function asks(): Promise<{ open: OpenTurn; reference: string }> {
    const id = nextTurnId();
    const { session } = await agent.turn({ prompt: "hello" });
    const prompt = `[[tool Bash {"command":"until [ -e ${id} ]; do sleep 0.02; done"}]] [[say unsteered]]`;
    const open = await agent.begin({ turn_id: id, agent_session: session, resume: true, prompt, options: { ask_tools: ["Bash(touch:*)"] }, actions: true });
    await open.until("tool");
    await agent.offer(id, "o1", 'and also [[tool Bash {"command":"touch steered"}]] [[say both]]');
    const enqueued = (): number => open.seen.flatMap((frame) => (frame.type === "transcript" ? frame.entries : [])).filter((entry) => entry["operation"] === "enqueue").length;
    while (enqueued() < 2) await open.until("transcript");
    writeFileSync(join(agent.root, "workspace", session, id), "");
    const { reference } = await open.until("action");
    const types = open.seen.map(({ type }) => type);
    assert.ok(types.indexOf("steered") > -1 && types.indexOf("steered") < types.indexOf("action"), "it says so before it asks");
    return { open, reference };
  }

  test("says once what it took in", async () => {
    const { open, reference } = await asks();
    await decide(agent, open.id, reference, { decision: "allow" });
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.of("steered").map(({ turn_ids }) => turn_ids)], ["completed", [["o1"]]]);
  });

  test("has said so if its process dies while it waits", async () => {
    const { open, reference } = await asks();
    const { agent_session } = open.seen.find(({ type }) => type === "started") as { agent_session: string };
    const ready = (await agent.processesReady()).findLast((line) => line["session"] === agent_session);
    process.kill(Number(ready?.["pid"]), "SIGKILL");
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.actions, turn.of("steered").map(({ turn_ids }) => turn_ids)], ["requires_action", [reference], [["o1"]]]);
  });
});
