/*
 * From the SDK's messages of one turn to its frames: text, tools, retries, and the result with its usage.
 * Owns how text deltas are joined and how the SDK's outcomes are named. Starts nothing and waits for nothing but its own timer.
 */
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Frame, ResultFrame, TurnError, Usage } from "./frames.ts";

/** Deltas that come sooner than this after the last one are joined. */
const DELTA_JOIN_MS = 25;
/** The JSON of a tool's input in a frame is at most this long. */
const MAX_TOOL_INPUT_CHARS = 2048;
const INPUT_STRING_CUTS = [1024, 256, 64, 16];

type Block = { uuid: string; text: string };
type ToolUse = { id: string; name: string; input: unknown };

export class TurnMapper {
  readonly #emit: (frame: Frame) => void;
  readonly #begun = performance.now();
  #pending = "";
  #joinTimer: NodeJS.Timeout | undefined;
  #lastDelta = -DELTA_JOIN_MS;
  /** Text was streamed that no `message` frame stands for yet. */
  #open = false;
  #blocks: Block[] = [];
  #tools = new Map<string, string>();
  #model: string | null = null;
  #retryAfterMs = 0;
  /** Answers of the model that began, subagents' too. */
  #modelCalls = 0;

  constructor(emit: (frame: Frame) => void) {
    this.#emit = emit;
  }

  get text(): string {
    return this.#blocks.map((block) => block.text).join("\n\n");
  }

  /** Every message of the turn but its result. Unknown ones are no error. */
  message(message: SDKMessage): void {
    switch (message.type) {
      case "stream_event":
        if (message.event.type === "message_start") this.#modelCalls += 1;
        if (message.parent_tool_use_id === null) this.#streamed(message.event);
        return;
      case "assistant":
        return this.#assistant(message);
      case "user":
        return this.#toolResults(message);
      case "system":
        if (message.subtype === "init") this.#model = message.model;
        if (message.subtype === "api_retry") this.#retried(message.attempt, message.retry_delay_ms, message.error_status);
        return;
      default:
    }
  }

  /** What stands between this turn's frames and any frame that is not made here. */
  flush(): void {
    clearTimeout(this.#joinTimer);
    this.#joinTimer = undefined;
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    this.#lastDelta = performance.now();
    this.#emit({ type: "delta", text });
  }

  result(result: SDKResultMessage): ResultFrame {
    const error = this.#errorOf(result);
    const cancelled = result.terminal_reason?.startsWith("aborted_") ?? false;
    return {
      ...this.#frame(cancelled ? "cancelled" : error === undefined ? "completed" : "failed", result.subtype),
      ...(error === undefined || cancelled ? {} : { error }),
      ...usageOf(result),
      num_turns: result.num_turns,
      duration_ms: Math.round(result.duration_ms),
    };
  }

  /** The end of a turn that the SDK says nothing about: cancelled before it began, or its process is gone. */
  endedWithoutResult(status: "failed" | "cancelled", subtype: string, error?: TurnError): ResultFrame {
    return { ...this.#frame(status, subtype), ...(error === undefined ? {} : { error }) };
  }

  #frame(status: ResultFrame["status"], subtype: string): ResultFrame {
    return {
      type: "result",
      status,
      subtype,
      text: this.text,
      model: this.#model,
      usage: { input_tokens: 0, output_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
      cost_usd: 0,
      num_turns: 0,
      model_calls: this.#modelCalls,
      duration_ms: Math.round(performance.now() - this.#begun),
    };
  }

  #streamed(event: Extract<SDKMessage, { type: "stream_event" }>["event"]): void {
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") this.#delta(event.delta.text);
    // A whole block's assistant message comes before its stop: what is still open at these was cut.
    else if (event.type === "message_start" || event.type === "message_stop") this.#retract();
  }

  #delta(text: string): void {
    if (text === "") return;
    this.#open = true;
    this.#pending += text;
    if (this.#joinTimer !== undefined) return;
    const wait = this.#lastDelta + DELTA_JOIN_MS - performance.now();
    if (wait <= 0) this.flush();
    else this.#joinTimer = setTimeout(() => this.flush(), wait);
  }

  #retract(): void {
    if (this.#open) this.#retried(0, 0, null);
  }

  #retried(attempt: number, delayMs: number, status: number | null): void {
    this.flush();
    if (status === 429) this.#retryAfterMs = delayMs;
    this.#emit({ type: "retry", attempt, delay_ms: Math.round(delayMs), status, retracted: this.#open });
    this.#open = false;
  }

  #assistant(message: Extract<SDKMessage, { type: "assistant" }>): void {
    this.flush();
    const top = message.parent_tool_use_id === null;
    if (message.supersedes !== undefined) this.#supersede(message.supersedes);
    for (const block of message.message.content) {
      if (block.type === "tool_use") this.#toolStarted(block, message.parent_tool_use_id);
      // A synthetic message that carries an API error is no answer; the result says it.
      if (block.type !== "text" || !top || message.error !== undefined || block.text === "") continue;
      this.#open = false;
      this.#model = message.message.model;
      this.#blocks.push({ uuid: message.uuid, text: block.text });
      this.#emit({ type: "message", text: block.text });
    }
  }

  #supersede(uuids: string[]): void {
    const before = this.#blocks.length;
    this.#blocks = this.#blocks.filter((block) => !uuids.includes(block.uuid));
    if (this.#blocks.length < before) this.#open = true;
    this.#retract();
  }

  #toolStarted(use: ToolUse, parent: string | null): void {
    this.#tools.set(use.id, use.name);
    const input = smallInput(use.input);
    this.#emit({
      type: "tool",
      id: use.id,
      name: use.name,
      status: "started",
      ...(input === undefined ? {} : { input }),
      ...(parent === null ? {} : { parent }),
    });
  }

  #toolResults(message: Extract<SDKMessage, { type: "user" }>): void {
    if (typeof message.message.content === "string") return;
    for (const block of message.message.content) {
      if (block.type !== "tool_result") continue;
      const name = this.#tools.get(block.tool_use_id);
      if (name === undefined) continue;
      this.#tools.delete(block.tool_use_id);
      this.flush();
      const parent = message.parent_tool_use_id;
      const status = block.is_error === true ? "failed" : "finished";
      this.#emit({ type: "tool", id: block.tool_use_id, name, status, ...(parent === null ? {} : { parent }) });
    }
  }

  #errorOf(result: SDKResultMessage): TurnError | undefined {
    if (!result.is_error) return undefined;
    if (result.subtype !== "success") {
      const detail = result.errors.join("; ");
      return { code: "agent_failed", message: detail === "" ? result.subtype : `${result.subtype}: ${detail}` };
    }
    const status = result.api_error_status ?? undefined;
    const about = { message: result.result, ...(status === undefined ? {} : { http_status: status }) };
    if (status === 401 || status === 403) return { code: "model_auth_failed", ...about };
    if (status !== 429) return { code: result.terminal_reason === "api_error" || status !== undefined ? "model_failed" : "agent_failed", ...about };
    const seconds = Math.ceil(this.#retryAfterMs / 1000);
    return { code: "model_rate_limited", ...about, ...(seconds > 0 ? { retry_after: seconds } : {}) };
  }
}

/** A billionth of a dollar is below every price: what is finer comes of adding floats. */
const COST_UNITS_A_USD = 1e9;

/** The SDK's `usage` is the main loop's alone; this counts every call of the turn. Its types don't name it. */
type Counted = SDKResultMessage & { model_usage_since_last_result?: SDKResultMessage["modelUsage"] };

function usageOf(result: Counted): { usage: Usage; cost_usd: number } {
  const usage: Usage = { input_tokens: 0, output_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  let cost = 0;
  for (const model of Object.values(result.model_usage_since_last_result ?? {})) {
    usage.input_tokens += model.inputTokens;
    usage.output_tokens += model.outputTokens;
    usage.cache_read_input_tokens += model.cacheReadInputTokens;
    usage.cache_creation_input_tokens += model.cacheCreationInputTokens;
    cost += model.costUSD;
  }
  return { usage, cost_usd: Math.round(cost * COST_UNITS_A_USD) / COST_UNITS_A_USD };
}

/** The input as an object whose JSON is small: its strings are cut, harder and harder; undefined where that is not enough. */
export function smallInput(input: unknown): object | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  if (JSON.stringify(input).length <= MAX_TOOL_INPUT_CHARS) return input;
  for (const limit of INPUT_STRING_CUTS) {
    const cut = (_key: string, value: unknown): unknown => (typeof value === "string" && value.length > limit ? `${value.slice(0, limit)}…` : value);
    const json = JSON.stringify(input, cut);
    if (json.length <= MAX_TOOL_INPUT_CHARS) return JSON.parse(json) as object;
  }
  return undefined;
}
