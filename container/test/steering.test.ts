/*
 * Messages that are offered to a running turn, on the real CLI: which are taken in, and that no other one ever runs by itself.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import type { Block } from "../src/content.ts";
import { MAX_OFFERS } from "../src/turn/offers.ts";
import { nextTurnId, startAgent } from "./harness.ts";
import type { Agent, Body, OpenTurn, TurnFrames } from "./harness.ts";

const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
/** What stands behind the end of a picture is part of its file alone. */
const OTHER_PIXEL = Buffer.concat([PIXEL, Buffer.from("other")]);

/** How the model gets a message that is folded into a turn. */
const FOLDED = "The user sent a new message while you were working:";

describe("steering", () => {
  let model: Model;
  let agent: Agent;
  let session: string;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
    await anew();
  });
  beforeEach(() => {
    model.control.clearRequests();
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  function asked(prompt: string, options: Record<string, unknown> = {}): Body {
    return { agent_session: session, resume: true, prompt, options };
  }

  type Waiting = { open: OpenTurn; id: string; toolEnds(): void };

  /** A turn whose tool runs until it is told to end. */
  async function withTool(then = "[[say unsteered]]", options: Record<string, unknown> = {}): Promise<Waiting> {
    const id = nextTurnId();
    const open = await agent.begin({ turn_id: id, ...asked(`[[tool Bash {"command":"until [ -e ${id} ]; do sleep 0.02; done"}]] ${then}`, options) });
    await open.until("tool");
    return { open, id, toolEnds: () => writeFileSync(join(agent.root, "workspace", session, id), "") };
  }

  /** Offers that the CLI has been given are in its queue, which its transcript tells. */
  async function queued(open: OpenTurn, count: number): Promise<void> {
    const enqueued = (): number =>
      open.seen.flatMap((frame) => (frame.type === "transcript" ? frame.entries : [])).filter((entry) => entry["operation"] === "enqueue").length;
    // The turn's own message is the first.
    while (enqueued() < count + 1) await open.until("transcript");
  }

  async function refusedOffer(turnId: string, turn_id: string, prompt = "too late"): Promise<[number, string]> {
    const response = await agent.call("POST", `/turns/${turnId}/steer`, { turn_id, prompt });
    return [response.status, ((await response.json()) as { code: string }).code];
  }

  async function withdrawn(turnId: string, offerId: string): Promise<boolean> {
    const response = await agent.call("DELETE", `/turns/${turnId}/steer/${offerId}`);
    assert.equal(response.status, 200);
    return ((await response.json()) as { withdrawn: boolean }).withdrawn;
  }

  const steered = (turn: TurnFrames): string[] => turn.of("steered").flatMap((frame) => frame.turn_ids);
  /** The last thing that the user said in each request of the model. */
  const said = (): string[] => model.control.requests().map((request) => request.user_texts.at(-1) ?? "");
  const everSaid = (text: string): boolean => model.control.requests().some((request) => request.user_texts.some((each) => each.includes(text)));

  /** A message that was taken in and not answered is shown to the model behind the next one, which the stand-in goes by. */
  async function anew(): Promise<void> {
    session = (await agent.turn({ prompt: "hello" })).session;
  }

  /** The conversation goes on in its process, which knows nothing of what was offered in vain. */
  async function goesOnWithout(text: string): Promise<void> {
    const next = await agent.turn(asked("repeat everything I said"));
    assert.deepEqual([next.one("started").warm, next.result.status], [true, "completed"]);
    assert.ok(!next.result.text.includes(text), next.result.text);
    assert.ok(!everSaid(text));
  }

  describe("while a tool runs", () => {
    test("a message is taken in, and the turn says so right before its result", async () => {
      const { open, toolEnds } = await withTool();
      await agent.offer(open.id, "o1", "look here instead [[say steered]]");
      await queued(open, 1);
      toolEnds();
      const turn = await open.rest();
      assert.deepEqual(turn.types.filter((type) => type !== "transcript").slice(-3), ["steered", "result", "end"]);
      assert.deepEqual(steered(turn), ["o1"]);
      assert.deepEqual([turn.result.status, turn.result.text], ["completed", "steered"]);
      assert.ok(said().at(-1)?.startsWith(`${FOLDED}\nlook here instead`), said().at(-1));
      assert.equal(said().length, 2, "it had no turn of its own");
    });

    test("several are taken in at once, in the order in which they came", async () => {
      const { open, toolEnds } = await withTool();
      for (const n of [1, 2, 3]) await agent.offer(open.id, `o${n}`, `number ${n}`);
      await queued(open, 3);
      toolEnds();
      const turn = await open.rest();
      assert.deepEqual(steered(turn), ["o1", "o2", "o3"]);
      assert.equal(model.control.requests().length, 2);
    });

    test("the same message offered twice is taken in once", async () => {
      const { open, toolEnds } = await withTool();
      for (const prompt of ["quince", "quince again"]) await agent.offer(open.id, "o1", prompt);
      await queued(open, 1);
      toolEnds();
      assert.deepEqual(steered(await open.rest()), ["o1"]);
      assert.equal(said().at(-1)?.split("quince").length, 2);
    });

    test("one too many is refused, and the others are taken in", async () => {
      const { open, toolEnds } = await withTool();
      const ids = Array.from({ length: MAX_OFFERS }, (_, n) => `o${n}`);
      for (const id of ids) await agent.offer(open.id, id, `I am ${id}`);
      assert.deepEqual(await refusedOffer(open.id, "one-more"), [409, "too_many_offers"]);
      await queued(open, MAX_OFFERS);
      toolEnds();
      assert.deepEqual(steered(await open.rest()), ids);
    });

    test("a message that is taken in makes room for another", async () => {
      const { open, toolEnds } = await withTool();
      for (let n = 0; n < MAX_OFFERS; n++) await agent.offer(open.id, `o${n}`, n < MAX_OFFERS - 1 ? `number ${n}` : '[[tool Bash {"command":"sleep 0.3"}]] [[say both]]');
      await queued(open, MAX_OFFERS);
      toolEnds();
      // Of the first tool its end, of the second its start.
      await open.until("tool");
      await open.until("tool");
      await agent.offer(open.id, "last", "[[say all]]");
      const turn = await open.rest();
      assert.deepEqual([steered(turn).length, turn.result.text], [MAX_OFFERS + 1, "all"]);
    });

    test("what an interactive Claude Code would take for a command or a file is taken in as it is", async () => {
      const texts = ["/compact", "/clear", "@/etc/passwd", "!touch ran", "#memo"];
      const { open, toolEnds } = await withTool();
      for (const [n, text] of texts.entries()) await agent.offer(open.id, `o${n}`, text);
      await queued(open, texts.length);
      toolEnds();
      assert.equal(steered(await open.rest()).length, texts.length);
      for (const text of texts) assert.ok(model.control.requests().at(-1)?.user_texts.some((each) => each.includes(`${FOLDED}\n${text}\n`)), text);
      assert.ok(!everSaid("root:"));
    });
  });

  describe("content blocks", () => {
    const words = (text: string): Block => ({ type: "text", text });
    const data = PIXEL.toString("base64");
    const inline: Block = { type: "image", source: { type: "base64", media_type: "image/png", data } };

    function file(path: string, bytes: Buffer): Block {
      const etag = createHash("sha256").update(bytes).digest("hex").slice(0, 32);
      return { type: "image", source: { type: "file", path, media_type: "image/png", size: bytes.length, etag } };
    }

    test("are taken in, files of the workspace among them, and the next process knows them", async () => {
      const { open, toolEnds } = await withTool();
      writeFileSync(join(agent.root, "workspace", session, "a.png"), OTHER_PIXEL);
      await agent.offer(open.id, "o1", "[[say seen]]", [inline, words("look"), file("a.png", OTHER_PIXEL), words("[[say seen]]")]);
      await queued(open, 1);
      toolEnds();
      const turn = await open.rest();
      assert.deepEqual([steered(turn), turn.result.text], [["o1"], "seen"]);
      const images = (): (number | null)[] => (model.control.requests().at(-1)?.blocks ?? []).flatMap((block) => (block.type === "image" ? [block.bytes] : []));
      assert.deepEqual(images(), [PIXEL.length, OTHER_PIXEL.length]);
      const stored = JSON.stringify(turn.transcript);
      assert.ok(stored.includes(data) && !stored.includes(OTHER_PIXEL.toString("base64")), "the file is a reference in the transcript");
      await agent.call("POST", `/sessions/${session}/stop`);
      assert.equal((await agent.turn(asked("[[say on]]"))).result.text, "on");
      assert.deepEqual(images(), [PIXEL.length, OTHER_PIXEL.length]);
    });

    test("with a document, which the CLI would leave out, are not taken in", async () => {
      const { open, toolEnds } = await withTool();
      const document: Block = { type: "document", source: { type: "text", media_type: "text/plain", data: "of plums" } };
      await agent.offer(open.id, "o1", "read", [words("quince, read"), document]);
      await agent.offer(open.id, "o2", "[[say steered]]");
      await queued(open, 1);
      toolEnds();
      const turn = await open.rest();
      assert.deepEqual([steered(turn), turn.result.text], [["o2"], "steered"]);
      await goesOnWithout("quince, read");
    });

    test("that cannot be had are not taken in, and hold up no other message", async () => {
      const { open, toolEnds } = await withTool();
      await agent.offer(open.id, "o1", "", [file("no-such.png", PIXEL)]);
      await agent.offer(open.id, "o2", "[[say steered]]");
      await queued(open, 1);
      toolEnds();
      const turn = await open.rest();
      assert.deepEqual([steered(turn), turn.result.text], [["o2"], "steered"]);
    });

    test("larger together than there is room for are refused", async () => {
      const open = await agent.begin(asked("[[hang-midway]] [[words 20]]"));
      await open.until("delta");
      const large = (n: number): Block => ({ type: "image", source: { type: "file", path: `${n}.png`, media_type: "image/png", size: 16 * 1024 * 1024, etag: "0".repeat(32) } });
      await agent.offer(open.id, "o1", "", [large(1)]);
      const response = await agent.call("POST", `/turns/${open.id}/steer`, { turn_id: "o2", prompt: "", content: [large(2)] });
      model.control.release();
      await open.rest();
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [409, "too_many_offers"]);
    });
  });

  test("a message that is offered before a tool runs waits for it", async () => {
    model.control.addRule({ hang: true, times: 1 });
    const open = await agent.begin(asked('[[tool Bash {"command":"sleep 0.3"}]] [[say unsteered]]'));
    await model.control.waitFor((request) => request.state === "hanging");
    await agent.offer(open.id, "o1", "[[say steered]]");
    model.control.release();
    const turn = await open.rest();
    assert.deepEqual([steered(turn), turn.result.text], [["o1"], "steered"]);
  });

  test("a message that is offered while text streams is not taken in, and never runs by itself", async () => {
    const open = await agent.begin(asked("[[hang-midway]] [[words 20]]"));
    await open.until("delta");
    await agent.offer(open.id, "o1", "quince, mid-text");
    model.control.release();
    const turn = await open.rest();
    assert.deepEqual([turn.types.includes("steered"), turn.result.status], [false, "completed"]);
    await goesOnWithout("quince, mid-text");
  });

  test("a message for a turn that has ended, or that nobody knows, is refused", async () => {
    const turn = await agent.turn(asked("[[say over]]"));
    assert.deepEqual(await refusedOffer(turn.id, "o1"), [409, "turn_ended"]);
    assert.deepEqual(await refusedOffer("nobody", "o1"), [404, "turn_not_found"]);
    assert.equal((await agent.call("DELETE", "/turns/nobody/steer/o1")).status, 404);
  });

  test("what is no offer is refused", async () => {
    const { open, toolEnds } = await withTool();
    for (const body of [{}, { turn_id: "o1" }, { turn_id: "o1", prompt: "  " }, { turn_id: "../x", prompt: "hello" }, { turn_id: open.id, prompt: "hello" }, { turn_id: "o1", prompt: "", content: [] }]) {
      const response = await agent.call("POST", `/turns/${open.id}/steer`, body);
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [400, "invalid_request"]);
    }
    assert.equal((await fetch(`${agent.url}/turns/${open.id}/steer`, { method: "POST" })).status, 400);
    toolEnds();
    await open.rest();
  });

  describe("withdrawn", () => {
    test("before a tool runs, a message is not taken in", async () => {
      const open = await agent.begin(asked("[[hang-midway]] [[words 20]]"));
      await open.until("delta");
      await agent.offer(open.id, "o1", "quince, held");
      assert.equal(await withdrawn(open.id, "o1"), true);
      model.control.release();
      await open.rest();
      await goesOnWithout("quince, held");
    });

    test("while a tool runs, a message is not taken in, and others are", async () => {
      const { open, toolEnds } = await withTool();
      await agent.offer(open.id, "o1", "quince, pushed");
      await agent.offer(open.id, "o2", "[[say steered]]");
      await queued(open, 2);
      assert.equal(await withdrawn(open.id, "o1"), true);
      toolEnds();
      const turn = await open.rest();
      assert.deepEqual([steered(turn), turn.result.text], [["o2"], "steered"]);
      await goesOnWithout("quince, pushed");
    });

    test("when it is taken in, a message stays so", async () => {
      const { open, toolEnds } = await withTool();
      await agent.offer(open.id, "o1", "[[hang-midway]] [[words 20]]");
      await queued(open, 1);
      toolEnds();
      await open.until("delta");
      assert.equal(await withdrawn(open.id, "o1"), false);
      model.control.release();
      const turn = await open.rest();
      assert.deepEqual(steered(turn), ["o1"]);
      assert.equal(await withdrawn(open.id, "o1"), false);
    });

    test("what was never offered is not in the turn", async () => {
      const turn = await agent.turn(asked("[[say over]]"));
      assert.equal(await withdrawn(turn.id, "o1"), true);
    });
  });

  describe("a turn that is cancelled", () => {
    test("while a tool runs leaves what was offered, which never runs by itself", async () => {
      const { open } = await withTool();
      await agent.offer(open.id, "o1", "quince, cancelled");
      await queued(open, 1);
      await agent.call("POST", `/turns/${open.id}/cancel`);
      assert.deepEqual(await refusedOffer(open.id, "o2"), [409, "turn_ended"]);
      const turn = await open.rest();
      assert.deepEqual([turn.result.status, turn.types.includes("steered")], ["cancelled", false]);
      await goesOnWithout("quince, cancelled");
    });

    test("after it took a message in says so", async () => {
      const { open, toolEnds } = await withTool();
      await agent.offer(open.id, "o1", "look here");
      await queued(open, 1);
      model.control.addRule({ hang: true, times: 1 });
      toolEnds();
      await model.control.waitFor((request) => request.state === "hanging");
      await agent.call("POST", `/turns/${open.id}/cancel`);
      const turn = await open.rest();
      assert.deepEqual([turn.result.status, steered(turn)], ["cancelled", ["o1"]]);
      await anew();
    });
  });

  test("a turn whose model fails after it took a message in says so", async () => {
    const { open, toolEnds } = await withTool();
    await agent.offer(open.id, "o1", "look here");
    await queued(open, 1);
    model.control.addRule({ fail: { status: 403 }, times: 1 });
    toolEnds();
    const turn = await open.rest();
    assert.deepEqual([turn.result.error?.code, steered(turn)], ["model_auth_failed", ["o1"]]);
    await anew();
  });

  test("a turn that ends with its last tool leaves what was offered, which never runs by itself", async () => {
    const first = await agent.turn({ prompt: "hello", options: { max_turns: 1 } });
    const open = await agent.begin({ agent_session: first.session, resume: true, prompt: '[[tool Bash {"command":"sleep 0.3"}]]', options: { max_turns: 1 } });
    await open.until("tool");
    await agent.offer(open.id, "o1", "quince, last");
    const turn = await open.rest();
    assert.deepEqual([turn.result.subtype, turn.types.includes("steered")], ["error_max_turns", false]);
    const next = await agent.turn({ agent_session: first.session, resume: true, prompt: "[[say on]]", options: { max_turns: 1 } });
    assert.deepEqual([next.one("started").warm, everSaid("quince, last")], [true, false]);
  });

  test("a turn that ends in spite of its tool has its process killed and its transcript forgotten, and what was offered did not run", async () => {
    model.control.addRule({ hang: true, times: 1 });
    const options = { max_budget_usd: 0.0001 };
    const open = await agent.begin({ prompt: '[[usage 100000]] [[tool Bash {"command":"sleep 0.5"}]]', options });
    await model.control.waitFor((request) => request.state === "hanging");
    await agent.offer(open.id, "o1", "quince, beyond the budget");
    model.control.release();
    const turn = await open.rest();
    assert.deepEqual([turn.result.subtype, turn.types.includes("steered")], ["error_max_budget_usd", false]);
    const asUser = turn.transcript.filter(({ entry }) => entry.type === "user" && JSON.stringify(entry).includes("quince, beyond"));
    assert.deepEqual(asUser, [], "its own turn was sent");
    const next = { agent_session: turn.session, resume: true, prompt: "[[say on]]" };
    assert.equal((await agent.post(next)).status, 409, "the transcript is asked for");
    assert.equal((await agent.turn({ ...next, transcript: turn.transcript })).result.text, "on");
    assert.ok(!everSaid("quince, beyond the budget"));
  });

  test("a subagent that works takes nothing in; the turn does when it is done", async () => {
    const task = { description: "wait", subagent_type: "general-purpose", prompt: '[[tool Bash {"command":"sleep 0.3"}]] [[say from below]]' };
    const open = await agent.begin({ prompt: `[[tool Agent ${JSON.stringify(task)}]]`, options: { allowed_tools: ["Agent", "Bash"] } });
    await open.until("tool");
    await agent.offer(open.id, "o1", "[[say from above]]");
    const turn = await open.rest();
    assert.deepEqual([steered(turn), turn.result.text], [["o1"], "from above"]);
    assert.ok(turn.of("tool").some((frame) => frame.parent !== undefined));
  });

  test("a process that dies under its turn takes nothing in, and its successor does not run what was offered", async () => {
    const { open } = await withTool();
    await agent.offer(open.id, "o1", "quince, orphaned");
    await queued(open, 1);
    const ready = (await agent.processesReady()).find((line) => line["session"] === session);
    process.kill(Number(ready?.["pid"]), "SIGKILL");
    const turn = await open.rest();
    assert.deepEqual([turn.result.error?.code, turn.types.includes("steered")], ["turn_interrupted", false]);
    const next = await agent.turn(asked("What is 2+2?"));
    assert.deepEqual([next.result.text, next.one("started").warm], ["4", false]);
    assert.ok(!everSaid("quince, orphaned"));
  });
});
