/*
 * The protocol of turns over HTTP, on the real Claude Agent SDK: what frames a turn has, in which order, and how it ends.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { framesOf, nextTurnId, startAgent, TurnFrames } from "./harness.ts";
import type { Agent, Body } from "./harness.ts";

/** From the call that cancels a turn to the first frame of the next: a cancelled turn has 1.4 s to end. */
const CANCEL_TO_NEXT_MS = 1_500;

describe("turns", () => {
  let model: Model;
  let agent: Agent;
  let session: string;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
    session = (await agent.turn({ prompt: "hello" })).session;
  });

  /** A turn of the one conversation that most tests share: its process is warm. */
  function asked(prompt: string): Body {
    return { agent_session: session, resume: true, prompt };
  }

  beforeEach(() => {
    model.control.clearRequests();
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  test("a turn is started, delta, message, usage, result, end, with the transcript somewhere before the result", async () => {
    const turn = await agent.turn(asked("What is 2+2?"));
    const types = turn.types.filter((type) => type !== "transcript");
    assert.deepEqual(types, ["started", "delta", "message", "usage", "result", "end"]);
    assert.ok(turn.transcript.some(({ entry }) => entry.type === "assistant"));
    assert.deepEqual(turn.types.slice(-2), ["result", "end"]);
    assert.equal(turn.result.status, "completed");
    assert.equal(turn.result.text, "4");
    assert.equal(turn.one("message").text, "4");
  });

  test("frames are numbered from 1 without a gap", async () => {
    const turn = await agent.turn(asked("[[words 50]] [[delay 5]]"));
    assert.deepEqual(
      turn.all.map((frame) => frame.n),
      turn.all.map((_frame, index) => index + 1),
    );
  });

  test("deltas joined are the message, and are fewer than the pieces that came", async () => {
    const turn = await agent.turn(asked("[[words 400]] [[delay 2]]"));
    const deltas = turn.of("delta");
    assert.equal(deltas.map((delta) => delta.text).join(""), turn.one("message").text);
    assert.ok(deltas.length > 2 && deltas.length < 50, `${deltas.length} deltas of 100 pieces`);
  });

  test("the first delta goes out before the second piece has come", async () => {
    const turn = await agent.begin(asked("[[hang-midway]] [[words 20]]"));
    assert.match((await turn.until("delta")).text, /^word1/);
    await model.control.waitFor((request) => request.state === "hanging");
    model.control.release();
    await turn.rest();
  });

  test("a tool call is started with its input, then finished, and its output is the answer", async () => {
    const turn = await agent.turn(asked('[[tool Bash {"command":"echo from-the-shell"}]]'));
    const [started, finished] = turn.of("tool");
    assert.deepEqual([started?.name, started?.status, finished?.status], ["Bash", "started", "finished"]);
    assert.deepEqual(started?.input, { command: "echo from-the-shell" });
    assert.equal(started?.id, finished?.id);
    assert.match(turn.result.text, /from-the-shell/);
    assert.deepEqual([turn.result.num_turns, turn.result.model_calls], [2, 2]);
  });

  test("a tool call that fails says failed", async () => {
    const turn = await agent.turn(asked('[[tool Bash {"command":"exit 3"}]]'));
    assert.equal(turn.of("tool").at(-1)?.status, "failed");
  });

  test("the text of a result is all text blocks, joined by blank lines", async () => {
    const turn = await agent.turn(asked('[[tool Bash {"command":"true"}]] [[say done at last]]'));
    const messages = turn.of("message").map((frame) => frame.text);
    assert.equal(turn.result.text, messages.join("\n\n"));
    assert.equal(messages.at(-1), "done at last");
  });

  test("usage and cost are of the turn alone, also on a process that had turns before", async () => {
    const first = await agent.turn({ prompt: "[[say one]]", options: { model: "claude-sonnet-5" } });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: "[[say two]]", options: { model: "claude-sonnet-5" } });
    for (const { result } of [first, second]) {
      assert.ok(result.usage.output_tokens > 0 && result.usage.output_tokens < 10, `${result.usage.output_tokens} output tokens`);
      assert.ok(result.cost_usd > 0);
      assert.equal(result.num_turns, 1);
      assert.equal(result.model, "claude-sonnet-5");
    }
  });

  test("slash commands and file mentions reach the model as they were written", async () => {
    await agent.turn(asked("/cost @/etc/hostname [[say ok]]"));
    assert.match(model.control.requests().at(-1)?.user_texts.at(-1) ?? "", /^\/cost @\/etc\/hostname/);
  });

  test("text with line separators is one frame a line all the same", async () => {
    const turn = await agent.turn(asked("[[say a\u2028b]]"));
    assert.equal(turn.result.text, "a\u2028b");
  });

  test("a turn that is known is attached to, not started twice", async () => {
    const turn_id = nextTurnId();
    const first = await agent.turn({ turn_id, ...asked("[[say once]]") });
    const again = await agent.turn({ turn_id, ...asked("[[say once]]") });
    assert.deepEqual(again.all, first.all);
    assert.equal(model.control.requests().length, 1);
  });

  test("a conversation's next turn forgets the one before", async () => {
    const first = await agent.turn(asked("[[say one]]"));
    await agent.turn({ agent_session: first.session, resume: true, prompt: "[[say two]]" });
    assert.equal((await agent.call("GET", `/turns/${first.id}`)).status, 404);
  });

  test("attaching after the n-th frame gives those that follow", async () => {
    const turn_id = nextTurnId();
    const whole = await agent.turn({ turn_id, ...asked("[[words 40]] [[delay 10]]") });
    const response = await agent.call("GET", `/turns/${turn_id}?after=3`);
    const rest = [];
    for await (const frame of framesOf(response)) rest.push(frame);
    assert.deepEqual(rest, whole.all.slice(3));
  });

  test("a reader attached to a running turn gets what it missed and what comes", async () => {
    const open = await agent.begin(asked("[[hang-midway]] [[words 20]]"));
    await open.until("delta");
    const second = framesOf(await agent.call("GET", `/turns/${open.id}?after=0`));
    const first = await second.next();
    assert.equal(first.value?.type, "started");
    await model.control.waitFor((request) => request.state === "hanging");
    model.control.release();
    const frames = [];
    for await (const frame of second) frames.push(frame);
    assert.equal(new TurnFrames(open.id, frames).result.status, "completed");
    await open.rest();
  });

  test("a turn goes on when nobody reads it", async () => {
    const open = await agent.begin(asked("[[hang-midway]] [[words 20]]"));
    await open.until("delta");
    await open.leave();
    await model.control.waitFor((request) => request.state === "hanging");
    model.control.release();
    const frames = [];
    for await (const frame of framesOf(await agent.call("GET", `/turns/${open.id}`))) frames.push(frame);
    assert.equal(new TurnFrames(open.id, frames).result.status, "completed");
  });

  test("a reader that does not read holds nothing up, and misses nothing", async () => {
    const open = await agent.begin(asked("[[words 60000]]"));
    await open.until("started");
    await agent.logged((line) => line.event === "turn_finished" && line["turn"] === open.id);
    const turn = await open.rest();
    assert.equal(turn.result.status, "completed");
    assert.deepEqual(
      turn.all.map((frame) => frame.n),
      turn.all.map((_frame, index) => index + 1),
    );
  });

  test("turns of several conversations run side by side", async () => {
    const opens = await Promise.all(["one", "two", "three"].map((word) => agent.begin({ prompt: `[[hang-midway]] [[say ${word} ${"word ".repeat(20)}]]` })));
    await Promise.all(opens.map((open) => open.until("delta")));
    assert.equal((await agent.health()).running, 3);
    await model.control.waitFor((request) => request.state === "hanging");
    model.control.release();
    const turns = await Promise.all(opens.map((open) => open.rest()));
    assert.deepEqual(
      turns.map((turn) => turn.result.text.split(" ")[0]),
      ["one", "two", "three"],
    );
    assert.equal(new Set(turns.map((turn) => turn.session)).size, 3);
  });

  test("a turn whose frames were deleted is not known any more", async () => {
    const turn_id = nextTurnId();
    await agent.turn({ turn_id, ...asked("[[say x]]") });
    assert.equal((await agent.call("DELETE", `/turns/${turn_id}`)).status, 200);
    assert.equal((await agent.call("GET", `/turns/${turn_id}`)).status, 404);
  });

  test("a conversation with a turn running takes no second one", async () => {
    const open = await agent.begin(asked("[[hang]]"));
    const { agent_session } = await open.until("started");
    const response = await agent.post({ agent_session, resume: true, prompt: "me too" });
    assert.equal(response.status, 409);
    assert.equal(((await response.json()) as { code: string }).code, "session_busy");
    await agent.call("POST", `/turns/${open.id}/cancel`);
    await open.rest();
  });

  test("a running turn is in the health answer", async () => {
    const open = await agent.begin(asked("[[hang]]"));
    const { instance } = await open.until("started");
    const { warm, ...health } = await agent.health();
    assert.deepEqual(health, { status: "ok", instance, protocol: 2, features: ["workspace", "turns", "actions"], sdk_version: "0.3.330", running: 1, turns: [open.id] });
    assert.ok(warm >= 1);
    await agent.call("POST", `/turns/${open.id}/cancel`);
    await open.rest();
  });

  describe("cancelled", () => {
    for (const [when, prompt] of [
      ["before the model answers", "[[hang]]"],
      ["in the middle of text", "[[hang-midway]] [[words 50]]"],
      ["in the middle of a tool", '[[tool Bash {"command":"sleep 60"}]]'],
    ] as const) {
      test(`${when}, a turn ends cancelled within two seconds and its conversation goes on`, async () => {
        const open = await agent.begin(asked(prompt));
        const { agent_session } = await open.until("started");
        if (prompt.includes("tool")) await open.until("tool");
        else await model.control.waitFor((request) => request.state === "hanging");
        const begun = performance.now();
        assert.equal((await agent.call("POST", `/turns/${open.id}/cancel`)).status, 202);
        const turn = await open.rest();
        assert.ok(performance.now() - begun < 2_000);
        assert.equal(turn.result.status, "cancelled");
        assert.equal(turn.types.at(-1), "end");
        const next = await agent.turn({ agent_session, resume: true, prompt: "What is 3+4?" });
        assert.deepEqual([next.result.text, next.one("started").warm], ["7", true]);
      });
    }

    test("a turn leaves its process to the next one, which knows what it had done", async () => {
      const open = await agent.begin(asked('quince [[tool Bash {"command":"echo half the work"}]] [[hang]]'));
      await model.control.waitFor((request) => request.state === "hanging");
      const begun = performance.now();
      await agent.call("POST", `/turns/${open.id}/cancel`);
      assert.equal((await open.rest()).result.status, "cancelled");
      const next = await agent.begin(asked("repeat everything I said"));
      assert.equal((await next.until("started")).warm, true);
      const ms = performance.now() - begun;
      assert.ok(ms < CANCEL_TO_NEXT_MS, `${Math.round(ms)} ms`);
      assert.match((await next.rest()).result.text, /quince/);
      const done = model.control.requests().at(-1)?.blocks.map((block) => block.type) ?? [];
      assert.ok(done.includes("tool_use") && done.includes("tool_result"), done.join(" "));
    });

    test("the model's API is let go at once", async () => {
      const open = await agent.begin(asked("[[hang]]"));
      await model.control.waitFor((request) => request.state === "hanging");
      await agent.call("POST", `/turns/${open.id}/cancel`);
      await open.rest();
      await model.control.waitFor((request) => request.aborted, 2_000);
    });

    test("in the same moment as it was asked for, a turn ends cancelled", async () => {
      const turn_id = nextTurnId();
      const [turn] = await Promise.all([agent.turn({ turn_id, ...asked("[[hang]]") }), agentKnows(agent, turn_id)]);
      assert.equal(turn.result.status, "cancelled");
    });

    test("while its process takes on another model, a turn ends cancelled", async () => {
      const turn_id = nextTurnId();
      const body = { turn_id, ...asked("[[hang]]"), options: { model: "claude-haiku-4-5" } };
      const [turn] = await Promise.all([agent.turn(body), agentKnows(agent, turn_id)]);
      assert.equal(turn.result.status, "cancelled");
    });

    test("a turn that was told to stop while its process started ends cancelled", async () => {
      const agent_session = crypto.randomUUID();
      const open = await agent.begin({ agent_session, prompt: "[[hang]]" });
      await agent.call("POST", `/turns/${open.id}/cancel`);
      const turn = await open.rest();
      assert.deepEqual(turn.types, ["result", "end"]);
      assert.equal(turn.result.status, "cancelled");
      const next = await agent.turn({ agent_session, prompt: "What is 2+5?" });
      assert.equal(next.result.text, "7", "the conversation is free at once");
    });
  });

  describe("the model's failures", () => {
    for (const [status, code] of [
      [401, "model_auth_failed"],
      [403, "model_auth_failed"],
      [400, "model_failed"],
      [500, "model_failed"],
    ] as const) {
      test(`${status} is ${code}, and the next turn works on the same process`, async () => {
        const failed = await agent.turn(asked(`[[fail ${status}]]`));
        assert.equal(failed.result.status, "failed");
        assert.deepEqual([failed.result.error?.code, failed.result.error?.http_status], [code, status]);
        assert.equal(failed.result.text, "");
        const next = await agent.turn({ agent_session: failed.session, resume: true, prompt: "What is 1+1?" });
        assert.deepEqual([next.result.text, next.one("started").warm], ["2", true]);
      });
    }

    test("429 is model_rate_limited with the seconds that the model asked for", async () => {
      const turn = await agent.turn(asked("[[fail 429 retry-after=2]]"));
      assert.equal(turn.result.error?.code, "model_rate_limited");
      assert.ok((turn.result.error?.retry_after ?? 0) >= 2);
      assert.equal(turn.of("retry")[0]?.status, 429);
    });

    test("a failure that passes costs a retry frame, not the turn", async () => {
      const turn = await agent.turn(asked("[[fail 500 times=1]] [[say recovered]]"));
      assert.equal(turn.result.text, "recovered");
      const { attempt, status, retracted } = turn.one("retry");
      assert.deepEqual([attempt, status, retracted], [1, 500, false]);
    });

    test("a stream that stays cut ends as model_failed, without its text", async () => {
      const turn = await agent.turn(asked("[[cut]] [[words 20]]"));
      assert.deepEqual([turn.result.error?.code, turn.result.text], ["model_failed", ""]);
    });

    test("a stream that is malformed is asked for again, whole, and retracted before that", async () => {
      const turn = await agent.turn(asked("[[malformed]] [[words 8]]"));
      const retracted = turn.all.findIndex((frame) => frame.type === "retry" && frame.retracted);
      const firstDelta = turn.types.indexOf("delta");
      assert.ok(firstDelta >= 0 && retracted > firstDelta, turn.types.join(" "));
    });

    test("too many steps is agent_failed with the SDK's subtype", async () => {
      const turn = await agent.turn({ prompt: '[[tool Bash {"command":"true"}]] [[tool Bash {"command":"true"}]]', options: { max_turns: 1 } });
      assert.equal(turn.result.error?.code, "agent_failed");
      assert.match(turn.result.error?.message ?? "", /^error_max_turns/);
      assert.equal(turn.result.subtype, "error_max_turns");
    });
  });
});

/** Cancels as soon as the turn is known. */
async function agentKnows(agent: Agent, turnId: string): Promise<void> {
  while ((await agent.call("POST", `/turns/${turnId}/cancel`)).status === 404);
}
