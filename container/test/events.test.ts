/*
 * The events of a turn on the real SDK, row by row: what each frame holds, in which order, and what it does not hold.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { MAX_RESULT_BYTES, MAX_WHOLE_BYTES } from "../src/events/tools.ts";
import { jsonBytes } from "../src/pieces.ts";
import { startAgent } from "./harness.ts";
import type { Agent, Body, Numbered, TurnFrames } from "./harness.ts";

const MODEL = { model: "claude-sonnet-5" };
const joined = (frames: (Numbered & { text: string })[]): string => frames.map(({ text }) => text).join("");

describe("a turn tells", () => {
  let model: Model;
  let agent: Agent;
  let session: string;
  before(async () => {
    model = await startModel();
    agent = await startAgent(model);
    session = (await agent.turn({ prompt: "hello", options: MODEL })).session;
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const asked = (prompt: string): Body => ({ agent_session: session, resume: true, prompt, options: MODEL });
  const kinds = (turn: TurnFrames): string[] => turn.types.filter((type) => !type.startsWith("transcript"));

  test("thinking in pieces, before the answer and apart from it", async () => {
    const thought = Array.from({ length: 40 }, (_, n) => `thought${n}`).join(" ");
    const turn = await agent.turn(asked(`[[thinking ${thought}]] [[delay 5]] [[say four]]`));
    const pieces = turn.of("thinking");
    assert.equal(joined(pieces), thought);
    assert.ok(pieces.length > 1 && pieces.length < 10, `${pieces.length} frames of 10 pieces`);
    assert.ok(pieces.every((frame) => !("parent" in frame)));
    assert.deepEqual([...new Set(kinds(turn))], ["started", "thinking", "delta", "message", "usage", "result", "end"]);
    assert.deepEqual([turn.result.text, joined(turn.of("delta"))], ["four", "four"]);
  });

  test("nothing of thinking where the model has none", async () => {
    assert.deepEqual(kinds(await agent.turn(asked("[[say four]]"))), ["started", "delta", "message", "usage", "result", "end"]);
  });

  test("a call's input in pieces, whose JSON the started call has", async () => {
    const input = { command: `echo ${Array.from({ length: 30 }, (_, n) => `word${n}`).join(" ")}` };
    const turn = await agent.turn(asked(`[[tool Bash ${JSON.stringify(input)}]] [[delay 5]] [[say done]]`));
    const [started] = turn.of("tool");
    const pieces = turn.of("tool_input");
    assert.ok(pieces.length > 1);
    assert.deepEqual(JSON.parse(pieces.map(({ json }) => json).join("")), input);
    assert.ok(pieces.every(({ id, n }) => id === started?.id && n < (started?.n ?? 0)));
  });

  test("a call's result with its end", async () => {
    const [, ended] = (await agent.turn(asked('[[tool Bash {"command":"echo one; echo two"}]] [[say done]]'))).of("tool");
    assert.deepEqual([ended?.status, ended?.result, ended?.truncated], ["finished", "one\ntwo", undefined]);
  });

  test("a long result cut to what a frame holds", async () => {
    const [, ended] = (await agent.turn(asked(`[[tool Bash {"command":"printf 'é%.0s' $(seq 12000)"}]] [[say done]]`))).of("tool");
    assert.ok(typeof ended?.result === "string" && /^é+$/.test(ended.result) && ended.result.length > 8_000);
    assert.ok(jsonBytes(ended.result) <= MAX_RESULT_BYTES);
    assert.equal(ended.truncated, true);
  });

  test("an image in a result by its type and size", async () => {
    const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const calls = `[[tool Bash {"command":"echo ${png} | base64 -d > a.png"}]] [[tool Read {"file_path":"a.png"}]] [[say done]]`;
    const ended = (await agent.turn(asked(calls))).of("tool").at(-1);
    assert.deepEqual([ended?.name, ended?.status], ["Read", "finished"]);
    assert.deepEqual(ended?.result, [{ type: "image", media_type: "image/png", bytes: Buffer.from(png, "base64").length }]);
  });

  test("a long input small, and larger beside it", async () => {
    const content = "line\n".repeat(20_000);
    const turn = await agent.turn(asked(`[[tool Write ${JSON.stringify({ file_path: "long.txt", content })}]] [[say done]]`));
    const [started, ended] = turn.of("tool");
    const { input, whole } = started as { input: { content: string }; whole: { file_path: string; content: string } };
    assert.ok(JSON.stringify(input).length <= 2048 && content.startsWith(input.content.slice(0, -1)));
    assert.ok(jsonBytes(whole) <= MAX_WHOLE_BYTES && content.startsWith(whole.content.slice(0, -1)) && whole.content.length > 4 * input.content.length);
    assert.equal(ended?.status, "finished");
    assert.ok(!("whole" in (ended ?? {})));
  });

  test("that a call was denied, and why", async () => {
    const turn = await agent.turn({ prompt: '[[tool Bash {"command":"touch outside"}]] [[tool Bash {"command":"git status --bad-option"}]] [[say tried]]', options: { allowed_tools: ["Bash(git status:*)"] } });
    const ends = turn.of("tool").filter(({ status }) => status !== "started");
    assert.deepEqual(ends.map(({ status }) => status), ["denied", "failed"]);
    assert.match(String(ends[0]?.result), /Permission to use Bash has been denied/);
  });

  test("each call of the model with its tokens, which add up to the turn's", async () => {
    const turn = await agent.turn(asked('[[tool Bash {"command":"true"}]] [[say done]]'));
    const calls = turn.of("usage");
    assert.deepEqual(kinds(turn).filter((type) => type !== "tool_input"), ["started", "tool", "usage", "tool", "delta", "message", "usage", "result", "end"]);
    assert.ok(calls.every((call) => call.model === MODEL.model && !("parent" in call)));
    for (const name of ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] as const) {
      assert.equal(calls.reduce((sum, call) => sum + call[name], 0), turn.result.usage[name], name);
    }
    assert.ok(calls.every((call) => call.output_tokens > 1));
  });

  test("in its result why the model stopped, what each model used, and how full the conversation is", async () => {
    const turn = await agent.turn(asked("[[say done]]"));
    const { result } = turn;
    const [call] = turn.of("usage");
    assert.equal(result.stop_reason, "end_turn");
    assert.deepEqual(result.by_model, { [MODEL.model]: { ...result.usage, cost_usd: result.cost_usd } });
    const tokens = call === undefined ? 0 : call.input_tokens + call.output_tokens + call.cache_read_input_tokens + call.cache_creation_input_tokens;
    assert.deepEqual(result.context, { tokens, limit: 1_000_000, auto_compact_at: 967_000 });
  });

  test("that the conversation was compacted, and how full it is from there on", async () => {
    const first = await agent.turn({ prompt: "[[say one]]", options: MODEL });
    const next = (prompt: string): Promise<TurnFrames> => agent.turn({ agent_session: first.session, resume: true, prompt, options: MODEL });
    await next("[[say two]]");
    const full = await next("[[say three]] [[usage 970000]]");
    assert.ok((full.result.context?.tokens ?? 0) >= 970_000);
    const turn = await next("[[say four]]");
    const { trigger, pre_tokens: before, post_tokens: then } = turn.one("compacted");
    assert.deepEqual([trigger, turn.result.text], ["auto", "four"]);
    assert.ok(before >= 970_000 && then !== null && then < 50_000, `${before}, ${then}`);
    assert.ok((turn.result.context?.tokens ?? Infinity) < 50_000);
    // The call that wrote the summary is the turn's, too, though no call of the answer.
    assert.ok(turn.result.usage.output_tokens > turn.of("usage").reduce((sum, call) => sum + call.output_tokens, 0));
  });

  test("what a subagent says, thinks, does and uses, with the call that it belongs to, and none of it in the answer", async () => {
    const prompt = '[[thinking hm, well]] [[tool Bash {"command":"echo from the sub"}]] [[say I am the sub]]';
    const call = JSON.stringify({ description: "look", prompt, subagent_type: "general-purpose" });
    const turn = await agent.turn({ prompt: `[[tool Agent ${call}]] [[say over]]`, options: { ...MODEL, allowed_tools: ["Agent", "Bash"] } });
    const parent = turn.of("tool")[0]?.id;
    const its = turn.all.filter((frame) => "parent" in frame);
    assert.ok(its.every((frame) => "parent" in frame && frame.parent === parent));
    const seen = its.map((frame) => (frame.type === "tool" ? `${frame.type} ${frame.status}` : frame.type)).filter((type) => type !== "usage");
    assert.deepEqual(seen, ["thinking", "tool started", "tool finished", "message"]);
    assert.deepEqual(its.flatMap((frame) => ("text" in frame ? [frame.text] : [])), ["hm, well", "I am the sub"]);
    assert.deepEqual([turn.result.text, turn.of("message").at(-1)?.text], ["over", "over"]);
    assert.equal(joined(turn.of("delta")), "over");
    const calls = turn.of("usage");
    assert.deepEqual(calls.map((usage) => usage.parent === parent).sort(), [false, false, true, true]);
    assert.equal(calls.reduce((sum, usage) => sum + usage.output_tokens, 0), turn.result.usage.output_tokens);
    assert.match(JSON.stringify(turn.of("tool").at(-1)?.result), /I am the sub/);
  });
});

describe("a turn whose message has attachments tells", () => {
  const inline = (type: "document" | "image", media_type: string, words: string): object => ({ type, source: { type: "base64", media_type, data: Buffer.from(words).toString("base64") } });
  const says = (text: string): object => ({ type: "text", text });
  const BAD_PDF = inline("document", "application/pdf", "no PDF");
  const GOOD_PDF = inline("document", "application/pdf", "%PDF-1.4");
  let model: Model;
  let agent: Agent;
  before(async () => {
    model = await startModel();
    agent = await startAgent(model);
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const removedIn = (turn: TurnFrames): object[] => turn.of("attachment_removed").map(({ path, reason }) => ({ path, reason }));
  const of = (content: object[], more: Partial<Body> = {}): Promise<TurnFrames> => agent.turn({ prompt: "", content, options: MODEL, ...more });
  const NOT_VALID = "The PDF specified was not valid.";

  /** A turn with two files, which the conversation's turn before has written. */
  async function withFiles(first: string, second: string, blocks: (a: object, b: object) => object[]): Promise<TurnFrames> {
    const { session } = await agent.turn({ prompt: `[[tool Bash {"command":"printf %s '${first}' > a; printf %s '${second}' > b"}]]`, options: MODEL });
    const file = (path: string, words: string): object => ({ type: "file", path, size: words.length, etag: createHash("sha256").update(words).digest("hex").slice(0, 32) });
    return of(blocks(file("a", first), file("b", second)), { agent_session: session, resume: true });
  }

  test("which file the API refused, and why, and goes on without it", async () => {
    const turn = await withFiles("no PDF", "a note", (a, b) => [
      says("[[say read]]"),
      { type: "document", source: { ...a, media_type: "application/pdf" } },
      { type: "image", source: { ...b, media_type: "image/png" } },
    ]);
    const [unreadable, refused] = removedIn(turn) as { path: string; reason: string }[];
    assert.deepEqual([refused, unreadable?.path, turn.result.text], [{ path: "a", reason: NOT_VALID }, "b", "read"]);
    assert.match(unreadable?.reason ?? "", /^Unable to resize image/);
  });

  test("that one was refused, once: the conversation goes on without it, elsewhere as well", async () => {
    const turn = await of([says("[[say read]]"), BAD_PDF]);
    assert.deepEqual([removedIn(turn), turn.result.text, turn.of("message").length], [[{ path: null, reason: NOT_VALID }], "read", 1]);
    const next = { agent_session: turn.session, resume: true, prompt: "[[say on]]", options: MODEL };
    const fresh = await startAgent(model);
    try {
      for (const server of [agent, fresh]) {
        model.control.clearRequests();
        const later = await server.turn({ ...next, ...(server === fresh ? { transcript: turn.transcript } : {}) });
        assert.deepEqual([removedIn(later), later.result.text], [[], "on"]);
        const [request, ...others] = model.control.requests();
        assert.deepEqual([request?.status, request?.blocks.some(({ type }) => type === "document"), others.length], [200, false, 0]);
      }
    } finally {
      await fresh.stop();
    }
  });

  test("that one of several was refused, which the API does not name to us", async () => {
    const turn = await withFiles("no PDF", "%PDF-1.4", (a, b) => [a, b].map((file) => ({ type: "document", source: { ...file, media_type: "application/pdf" } })));
    assert.deepEqual(removedIn(turn), [{ path: null, reason: NOT_VALID }]);
  });

  test("nothing of one that the model sees", async () => {
    const turn = await of([GOOD_PDF, says("[[say read]]")]);
    assert.deepEqual([removedIn(turn), turn.result.text], [[], "read"]);
    assert.ok(model.control.requests().at(-1)?.last_blocks.some(({ type }) => type === "document"));
  });
});
