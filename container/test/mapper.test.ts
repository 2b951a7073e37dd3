/*
 * The SDK's messages as frames, on values alone: what cannot be brought about at will with a real model.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { MAX_RESULT_BYTES, MAX_WHOLE_BYTES, smallInput, smallResult, wholeInput } from "../src/events/tools.ts";
import { MAX_MODELS } from "../src/events/usage.ts";
import type { Entry, Frame } from "../src/frames.ts";
import { mapped } from "./mapped.ts";

const delta = (text: string): object => stream({ type: "content_block_delta", delta: { type: "text_delta", text } });
const stream = (event: object, parent: string | null = null): object => ({ type: "stream_event", event, parent_tool_use_id: parent });
const began = stream({ type: "message_start", message: { model: "m", usage: {} } });
const thinking = (text: string): object => stream({ type: "content_block_delta", delta: { type: "thinking_delta", thinking: text } });
const block = (content: object, more: object = {}): object => said("", { message: { model: "m", content: [content] }, ...more });
const said = (text: string, more: object = {}): object => ({
  type: "assistant",
  uuid: `uuid-${text}`,
  message: { model: "m", content: [{ type: "text", text }] },
  parent_tool_use_id: null,
  ...more,
});
const retry = (status: number | null): object => ({ type: "system", subtype: "api_retry", attempt: 1, retry_delay_ms: 500.4, error_status: status });
const ended = (more: object): SDKResultMessage =>
  ({ type: "result", subtype: "success", is_error: false, num_turns: 1, duration_ms: 5, terminal_reason: "completed", ...more }) as SDKResultMessage;

describe("text", () => {
  test("of deltas is joined, but for the first, which is sent at once", () => {
    const { frames } = mapped(delta("a"), delta("b"), delta("c"), said("abc"));
    assert.deepEqual(frames, [
      { type: "delta", text: "a" },
      { type: "delta", text: "bc" },
      { type: "message", text: "abc" },
    ]);
  });

  test("of a subagent is not the turn's", () => {
    const { frames, mapper } = mapped(stream({ type: "content_block_delta", delta: { type: "text_delta", text: "x" } }, "t1"), said("x", { parent_tool_use_id: "t1" }));
    assert.deepEqual([frames, mapper.text], [[{ type: "message", text: "x", parent: "t1" }], ""]);
  });

  test("of a synthetic message about an API error is no answer", () => {
    assert.deepEqual(mapped(said("API Error", { error: "rate_limit" })).frames, []);
  });
});

describe("what was streamed is retracted", () => {
  test("by the retry that follows a cut", () => {
    const { frames } = mapped(delta("half"), retry(null));
    assert.deepEqual(frames.at(-1), { type: "retry", attempt: 1, delay_ms: 500, status: null, retracted: true });
  });

  test("when its message stops without having been given", () => {
    const { frames } = mapped(delta("half"), stream({ type: "message_stop" }), retry(null));
    assert.deepEqual(
      frames.filter((frame) => frame.type === "retry").map((frame) => frame.retracted),
      [true, false],
    );
  });

  test("when another message starts in its place", () => {
    const { frames } = mapped(delta("half"), began, delta("whole"), said("whole"));
    assert.deepEqual(
      frames.map((frame) => frame.type),
      ["delta", "retry", "delta", "message"],
    );
  });

  test("when a later message supersedes it, and is not in the answer", () => {
    const { frames, mapper } = mapped(said("refused"), said("fine", { supersedes: ["uuid-refused"] }));
    assert.deepEqual(
      frames.map((frame) => frame.type),
      ["message", "retry", "message"],
    );
    assert.equal(mapper.text, "fine");
  });

  test("never once its message stands", () => {
    const { frames } = mapped(delta("all"), said("all"), stream({ type: "message_stop" }), retry(500));
    assert.equal(frames.at(-1)?.type === "retry" && frames.at(-1), frames.at(-1));
    assert.ok(frames.every((frame) => frame.type !== "retry" || !frame.retracted));
  });

  test("when it is thinking as well, until its block stands", () => {
    const { frames } = mapped(thinking("hm"), began, thinking("ah"), block({ type: "thinking", thinking: "ah" }), began);
    assert.deepEqual(frames, [
      { type: "thinking", text: "hm" },
      { type: "retry", attempt: 0, delay_ms: 0, status: null, retracted: true },
      { type: "thinking", text: "ah" },
    ]);
  });
});

describe("thinking", () => {
  test("is never joined with text", () => {
    const { frames } = mapped(thinking("a"), thinking("b"), delta("c"), delta("d"), thinking("e"));
    assert.deepEqual(frames, [
      { type: "thinking", text: "a" },
      { type: "thinking", text: "b" },
      { type: "delta", text: "c" },
      { type: "delta", text: "d" },
      { type: "thinking", text: "e" },
    ]);
  });

  test("that was not streamed comes whole, in frames that are small", () => {
    const text = "é".repeat(600_000);
    const { frames } = mapped(block({ type: "thinking", thinking: text }));
    assert.equal(frames.map((frame) => (frame.type === "thinking" ? frame.text : "")).join(""), text);
    assert.equal(frames.length, 2);
  });

  test("that the API hides is no event", () => {
    assert.deepEqual(mapped(block({ type: "redacted_thinking", data: "x" }), block({ type: "thinking", thinking: "" })).frames, []);
  });
});

describe("a call's input", () => {
  const start = (index: number, id: string): object => stream({ type: "content_block_start", index, content_block: { type: "tool_use", id } });
  const json = (index: number, partial: string): object => stream({ type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json: partial } });

  test("is told by the call that it is of", () => {
    const { frames } = mapped(began, start(0, "t"), json(0, ""), json(0, "{}"), start(1, "u"), json(1, "{"), json(1, "}"));
    assert.deepEqual(frames, [
      { type: "tool_input", id: "t", json: "{}" },
      { type: "tool_input", id: "u", json: "{" },
      { type: "tool_input", id: "u", json: "}" },
    ]);
  });

  test("of no call is none: of a block before a cut, and of what the API itself runs", () => {
    const server = stream({ type: "content_block_start", index: 1, content_block: { type: "server_tool_use", id: "s" } });
    assert.deepEqual(mapped(began, start(0, "t"), began, json(0, "{}"), server, json(1, "{}")).frames, []);
  });
});

describe("a call ends", () => {
  const use = block({ type: "tool_use", id: "t", name: "Bash", input: {} });
  const ended = (content: unknown, more: object = {}, error = true): object => ({
    ...{ type: "user", parent_tool_use_id: null, message: { content: [{ type: "tool_result", tool_use_id: "t", content, is_error: error }] } },
    ...more,
  });
  const last = (...messages: object[]): Frame | undefined => mapped(use, ...messages).frames.at(-1);

  test("denied where the SDK says so, in either way", () => {
    const told = { type: "system", subtype: "permission_denied", tool_use_id: "t" };
    const meta = { tool_result_meta: [{ id: "other" }, { id: "t", permission_decision: { decision: "reject" } }] };
    const denied = { type: "tool", id: "t", name: "Bash", status: "denied", result: "no" };
    assert.deepEqual([last(told, ended("no")), last(ended("no", meta))], [denied, denied]);
  });

  test("failed or finished where it ran", () => {
    const meta = { tool_result_meta: [{ id: "t", permission_decision: { decision: "accept" } }] };
    const of = (status: string): object => ({ type: "tool", id: "t", name: "Bash", status, result: "x" });
    assert.deepEqual([last(ended("x", meta)), last(ended("x", meta, false)), last(ended("x", { tool_result_meta: null }))], [of("failed"), of("finished"), of("failed")]);
  });

  test("without a result where it has none", () => {
    assert.deepEqual(last(ended(undefined, {}, false)), { type: "tool", id: "t", name: "Bash", status: "finished" });
  });
});

describe("a call's result in a frame", () => {
  const text = (words: string): object => ({ type: "text", text: words });
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } };

  test("is as it was where it is small", () => {
    assert.deepEqual(smallResult("words"), { result: "words" });
    assert.deepEqual(smallResult([text("a"), image]), { result: [text("a"), { type: "image", media_type: "image/png", bytes: 3 }] });
  });

  for (const [what, content] of [
    ["a long text", "é".repeat(20_000)],
    ["a text of what JSON escapes", "\u0000".repeat(20_000)],
    ["plain text behind what JSON escapes", "\u0000".repeat(2_000) + "x".repeat(20_000)],
    ["a long block", [text("a"), text("😀".repeat(20_000)), text("b")]],
    ["many blocks", Array.from({ length: 10_000 }, () => text("a"))],
    ["many images", Array.from({ length: 10_000 }, () => image)],
    ["an image's type that is no such thing", [{ ...image, source: { ...image.source, media_type: "x".repeat(1_000_000) } }, text("y".repeat(MAX_RESULT_BYTES))]],
  ] as const) {
    test(`is cut and says so where it is not: ${what}`, () => {
      const { result, truncated } = smallResult(content);
      const bytes = Buffer.byteLength(JSON.stringify(result));
      assert.ok(truncated === true && bytes <= MAX_RESULT_BYTES && bytes > MAX_RESULT_BYTES / 2, `${bytes} bytes`);
    });
  }

  test("leaves out what is neither text nor an image, and says so", () => {
    assert.deepEqual(smallResult([text("a"), { type: "document", source: { type: "base64", data: "AAAA" } }]), { result: [text("a")], truncated: true });
    assert.deepEqual(smallResult([null, text("a")]), { result: [], truncated: true });
  });
});

describe("the conversation is compacted", () => {
  const boundary = (metadata: object): object => ({ type: "system", subtype: "compact_boundary", compact_metadata: metadata });

  test("by hand or by itself, to as many tokens as the SDK says", () => {
    const { frames } = mapped(boundary({ trigger: "manual", pre_tokens: 9, post_tokens: 2 }), boundary({ trigger: "auto", pre_tokens: 7 }));
    assert.deepEqual(frames, [
      { type: "compacted", trigger: "manual", pre_tokens: 9, post_tokens: 2 },
      { type: "compacted", trigger: "auto", pre_tokens: 7, post_tokens: null },
    ]);
  });

  test("and then holds what is left of it", () => {
    const usage = { contextWindow: 200_000, maxOutputTokens: 64_000 };
    const { mapper } = mapped({ type: "system", subtype: "init", model: "m" }, boundary({ trigger: "manual", pre_tokens: 9, post_tokens: 2 }));
    assert.deepEqual(mapper.result(ended({ modelUsage: { m: usage, other: usage } })).context, { tokens: 2, limit: 200_000, auto_compact_at: 167_000 });
  });
});

describe("a subagent's calls of the model", () => {
  const usage = { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 };
  const entry = (id: string, more: object = {}, message: object = {}): Entry => ({ type: "assistant", agentId: "a", message: { id, model: "m", stop_reason: "end_turn", usage, ...message }, ...more });
  const its = said("x", { parent_tool_use_id: "t", agent_id: "a" });

  test("are told once each, when they are whole", () => {
    const { mapper, frames } = mapped(its);
    mapper.entries([entry("1", {}, { stop_reason: null }), entry("1"), entry("1"), entry("2")]);
    assert.deepEqual(frames.slice(1), Array(2).fill({ type: "usage", model: "m", ...usage, parent: "t" }));
  });

  test("are not told of an agent that nobody knows, of the CLI's own words, or of what is no answer", () => {
    const { mapper, frames } = mapped(its);
    mapper.entries([entry("1", { agentId: "b" }), entry("2", { isApiErrorMessage: true }), { type: "user", agentId: "a" }, { type: "assistant", agentId: "a" }, { type: "assistant", agentId: "a", message: null }]);
    assert.equal(frames.length, 1);
  });
});

test("a subagent's message that is too long is cut, and that is told", () => {
  const { frames, stops } = mapped(said("x".repeat(3 * 1024 * 1024), { parent_tool_use_id: "t" }));
  const [message, notice] = frames;
  assert.deepEqual([message?.type === "message" && message.text.length, notice?.type === "notice" && notice.code, stops], [512 * 1024, "message_cut", []]);
});

test("what a transcript says of attachments may be of any form", () => {
  const { mapper, frames } = mapped();
  for (const details of [undefined, 1, "{", "400 {}", '400 {"error":{"message":1}}', "400"]) mapper.entries([{ type: "assistant", apiError: "media_removed", errorDetails: details }]);
  assert.deepEqual(frames, Array(6).fill({ type: "attachment_removed", path: null, reason: "unprocessable" }));
});

describe("a result", () => {
  test("is told by is_error, not by its subtype", () => {
    const frame = mapped().mapper.result(ended({ is_error: true, api_error_status: 529, result: "Overloaded", terminal_reason: "api_error" }));
    assert.deepEqual([frame.status, frame.error], ["failed", { code: "model_failed", message: "Overloaded", http_status: 529 }]);
  });

  test("of an interrupted turn is cancelled, with no error", () => {
    const frame = mapped(said("so far")).mapper.result(ended({ subtype: "error_during_execution", is_error: true, errors: ["x"], terminal_reason: "aborted_streaming" }));
    assert.deepEqual([frame.status, frame.error, frame.text], ["cancelled", undefined, "so far"]);
  });

  test("of a model that cannot be reached is model_failed without a status", () => {
    const frame = mapped().mapper.result(ended({ is_error: true, api_error_status: null, result: "Connection error", terminal_reason: "api_error" }));
    assert.deepEqual(frame.error, { code: "model_failed", message: "Connection error" });
  });

  test("tells the cost without the noise of adding floats", () => {
    const model = (costUSD: number): object => ({ inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0, costUSD });
    const frame = mapped().mapper.result(ended({ model_usage_since_last_result: { a: model(0.1), b: model(0.2) } }));
    assert.equal(frame.cost_usd, 0.3);
  });

  test("adds up the usage of every model of the turn", () => {
    const one = { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheCreationInputTokens: 4, costUSD: 0.5 };
    const frame = mapped().mapper.result(ended({ model_usage_since_last_result: { a: one, b: one } }));
    assert.deepEqual(frame.usage, { input_tokens: 2, output_tokens: 4, cache_read_input_tokens: 6, cache_creation_input_tokens: 8 });
    assert.equal(frame.cost_usd, 1);
    const each = { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4, cost_usd: 0.5 };
    assert.deepEqual(frame.by_model, { a: each, b: each });
  });

  test("names no more models than its bound, and none where nothing was used", () => {
    const one = { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheCreationInputTokens: 4, costUSD: 0.5 };
    const many = Object.fromEntries(Array.from({ length: MAX_MODELS + 1 }, (_, n) => [`${n}-${"m".repeat(1_000)}`, one]));
    const frame = mapped().mapper.result(ended({ model_usage_since_last_result: many }));
    assert.deepEqual([Object.keys(frame.by_model ?? {}).length, frame.usage.input_tokens], [MAX_MODELS, MAX_MODELS + 1]);
    assert.ok(JSON.stringify(frame).length < 8_000);
    for (const field of ["by_model", "context", "stop_reason"]) assert.ok(!(field in mapped().mapper.result(ended({}))), field);
  });

  test("says why the model stopped, shortly", () => {
    assert.equal(mapped().mapper.result(ended({ stop_reason: "x".repeat(1_000) })).stop_reason?.length, 256);
    assert.ok(!("stop_reason" in mapped().mapper.result(ended({ stop_reason: null }))));
  });

  test("takes the main loop's model for the room that there is, whatever the subagents had", () => {
    const call = [began, stream({ type: "message_delta", delta: {}, usage: { input_tokens: 10, output_tokens: 5 } })];
    const of = (contextWindow: number, more: object = {}): object => ({ contextWindow, maxOutputTokens: 64_000, ...more });
    const context = (models: object): unknown => mapped({ type: "system", subtype: "init", model: "asked" }, ...call).mapper.result(ended({ modelUsage: models })).context;
    const expected = { tokens: 15, limit: 1_000_000, auto_compact_at: 967_000 };
    assert.deepEqual(context({ sub: of(1), m: of(1_000_000) }), expected);
    assert.deepEqual(context({ sub: of(1), "m[1m]": of(1_000_000, { canonicalModel: "m" }) }), expected);
    assert.deepEqual(context({ sub: of(1), asked: of(1_000_000) }), expected);
    assert.deepEqual(context({ alone: of(1_000_000) }), expected);
    assert.equal(context({ sub: of(1), other: of(1_000_000) }), undefined);
  });
});

describe("a tool's input in a frame", () => {
  test("is the input itself where it is small", () => {
    assert.deepEqual(smallInput({ command: "ls" }), { command: "ls" });
  });

  test("has its long strings cut where it is not", () => {
    const small = smallInput({ file_path: "/a", content: "x".repeat(100_000) }) as { file_path: string; content: string };
    assert.equal(small.file_path, "/a");
    assert.ok(JSON.stringify(small).length <= 2048 && small.content.endsWith("…"));
  });

  test("is left out where cutting does not help", () => {
    assert.equal(smallInput({ list: Array.from({ length: 5_000 }, () => "y") }), undefined);
  });

  test("has more of it beside it, where it was cut", () => {
    const started = (input: object): Frame | undefined => mapped(block({ type: "tool_use", id: "t", name: "Write", input })).frames[0];
    const whole = (input: object): object | undefined => {
      const frame = started(input);
      return frame?.type === "tool" ? frame.whole : undefined;
    };
    assert.equal(whole({ command: "ls" }), undefined);
    const middling = { content: "x".repeat(10_000) };
    assert.deepEqual(whole(middling), middling);
    const { content } = whole({ content: "é".repeat(100_000) }) as { content: string };
    assert.ok(Buffer.byteLength(JSON.stringify({ content })) <= MAX_WHOLE_BYTES && content.length > 4_000 && content.endsWith("…"));
    assert.deepEqual(started({ list: Array.from({ length: 1_000 }, () => "y") }), { type: "tool", id: "t", name: "Write", status: "started", whole: { list: Array.from({ length: 1_000 }, () => "y") } });
    assert.equal(wholeInput({ list: Array.from({ length: 5_000 }, () => "y") }), undefined);
  });
});
