/*
 * The SDK's messages as frames, on values alone: what cannot be brought about at will with a real model.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { smallInput } from "../src/mapper.ts";
import { mapped } from "./mapped.ts";

const delta = (text: string): object => stream({ type: "content_block_delta", delta: { type: "text_delta", text } });
const stream = (event: object, parent: string | null = null): object => ({ type: "stream_event", event, parent_tool_use_id: parent });
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
    assert.deepEqual([frames, mapper.text], [[], ""]);
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
    const { frames } = mapped(delta("half"), stream({ type: "message_start" }), delta("whole"), said("whole"));
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
});
