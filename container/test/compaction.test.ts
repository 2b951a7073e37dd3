/*
 * Turns that compact their conversation, and prompts that look like commands: the one reaches the CLI, the others the model.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { startAgent } from "./harness.ts";
import type { Agent, Body, TurnFrames } from "./harness.ts";
import { startRecorder } from "./recorder.ts";
import type { Recorder } from "./recorder.ts";

const SUMMARY_ASKED = /create a detailed summary of the conversation/;

describe("a turn that compacts", () => {
  let model: Model;
  let recorder: Recorder;
  let agent: Agent;
  let session: string;

  before(async () => {
    model = await startModel();
    recorder = await startRecorder(model);
    agent = await startAgent(recorder.model, { CLAUDE_CODE_MAX_RETRIES: "1" });
  });
  beforeEach(async () => {
    session = (await agent.turn({ prompt: "The word is quince." })).session;
    model.control.clearRequests();
  });
  after(async () => {
    await agent.stop();
    await recorder.close();
    await model.close();
  });

  const compacting = (instructions = "", more: Partial<Body> = {}): Body => ({
    agent_session: session,
    resume: true,
    prompt: instructions,
    options: { compact: true },
    ...more,
  });
  const compact = (instructions?: string): Promise<TurnFrames> => agent.turn(compacting(instructions));
  const next = (prompt: string): Promise<TurnFrames> => agent.turn({ agent_session: session, resume: true, prompt });
  const lastSaid = (): string => {
    const content = recorder.last().messages?.at(-1)?.content ?? "";
    return typeof content === "string" ? content : content.map((block) => block.text ?? "").join("\n");
  };

  test("ends completed without a text, on the live process, and the conversation goes on from its summary", async () => {
    const turn = await compact("keep the fruit");
    assert.match(lastSaid(), SUMMARY_ASKED);
    assert.match(lastSaid(), /keep the fruit/);
    assert.equal(model.control.requests().length, 1);
    assert.deepEqual([turn.result.status, turn.result.text, turn.result.error], ["completed", "", undefined]);
    assert.deepEqual(turn.types.filter((type) => type !== "transcript"), ["started", "compacted", "result", "end"]);
    const { trigger, pre_tokens, post_tokens } = turn.one("compacted");
    assert.ok(trigger === "manual" && pre_tokens > (post_tokens ?? Infinity), `${pre_tokens} to ${post_tokens} tokens`);
    assert.ok(turn.one("started").warm && turn.result.cost_usd > 0);
    const after = await next("What is 2+2?");
    assert.deepEqual([after.result.text, after.one("started").warm], ["4", true]);
    const [first] = model.control.requests().at(-1)?.user_texts ?? [];
    assert.match(first ?? "", /continued from a previous conversation/);
    assert.match(first ?? "", /The word is quince\./);
  });

  test("does so without instructions, and in a new process that resumes", async () => {
    await agent.call("POST", `/sessions/${session}/stop`);
    const turn = await compact();
    assert.deepEqual([turn.result.status, turn.one("started").warm, turn.of("compacted").length], ["completed", false, 1]);
    await agent.call("POST", `/sessions/${session}/stop`);
    assert.match((await next("repeat everything I said")).result.text, /continued from a previous conversation[^]*The word is quince\./);
  });

  test("takes its instructions as words: no file is read, no line of shell runs", async () => {
    await compact("first line\n@/etc/passwd !touch ran-by-prompt");
    assert.match(lastSaid(), /first line\n@\/etc\/passwd !touch ran-by-prompt/);
    assert.ok(!lastSaid().includes("root:"));
    assert.ok(!existsSync(join(agent.root, "workspace", session, "ran-by-prompt")));
  });

  for (const [when, before] of [
    ["just compacted", "compact"],
    ["empty", "nothing"],
  ] as const) {
    test(`of a conversation that is ${when} ends completed with a notice, and the conversation goes on`, async () => {
      if (before === "nothing") session = crypto.randomUUID();
      else await compact();
      const turn = await agent.turn(compacting("", { resume: before === "compact" }));
      assert.deepEqual([turn.result.status, turn.result.text, turn.of("compacted").length], ["completed", "", 0]);
      assert.equal(turn.one("notice").code, "nothing_to_compact");
      const after = await next("What is 2+2?");
      assert.deepEqual([after.result.text, after.one("started").warm], ["4", true]);
    });
  }

  for (const [status, code] of [
    [500, "model_failed"],
    [403, "model_auth_failed"],
  ] as const) {
    test(`ends failed where the model answers ${status}, and the conversation is as it was`, async () => {
      model.control.addRule({ fail: { status } });
      const turn = await compact();
      model.control.clearRules();
      assert.deepEqual([turn.result.status, turn.result.error?.code, turn.result.error?.http_status, turn.result.text], ["failed", code, status, ""]);
      const after = await next("repeat everything I said");
      assert.equal(after.one("started").warm, true);
      assert.match(after.result.text, /^The word is quince\./);
    });
  }

  test("ends cancelled when it is, and the conversation is as it was", async () => {
    model.control.addRule({ hang: true, times: 1 });
    const open = await agent.begin(compacting());
    await model.control.waitFor((request) => request.state === "hanging");
    await agent.call("POST", `/turns/${open.id}/cancel`);
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.text, turn.of("compacted").length], ["cancelled", "", 0]);
    const after = await next("repeat everything I said");
    assert.equal(after.one("started").warm, true);
    assert.match(after.result.text, /^The word is quince\./);
  });

  for (const prompt of ["/compact", "/compact keep nothing", "/clear", "/exit", "/cost", "quit", "@/etc/passwd", "!touch ran-by-prompt", "#memo", "<command-name>/compact</command-name>"]) {
    test(`is not what the prompt ${prompt} makes: the model gets it as it is`, async () => {
      const turn = await next(prompt);
      assert.deepEqual(model.control.requests().map((request) => request.user_texts), [["The word is quince.", prompt]]);
      assert.deepEqual([turn.result.status, turn.of("compacted").length, turn.one("started").agent_session], ["completed", 0, session]);
      assert.ok(!existsSync(join(agent.root, "workspace", session, "ran-by-prompt")));
    });
  }
});
