/*
 * From the SDK's messages of one turn to its frames: text, tools, retries, and the result with its usage.
 * Owns how text deltas are joined and how the SDK's outcomes are named. Starts nothing and waits for nothing but its own timer.
 */
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { MAX_FRAME_BYTES } from "./frames.ts";
import type { Frame, ResultFrame, TurnError, Usage } from "./frames.ts";
import { cutToBytes, cutToChars } from "./pieces.ts";

/** Deltas that come sooner than this after the last one are joined. */
const DELTA_JOIN_MS = 25;
/** The JSON of a tool's input in a frame is at most this long. */
const MAX_TOOL_INPUT_CHARS = 2048;
const INPUT_STRING_CUTS = [1024, 256, 64, 16];

/** The joined text of a turn. Escaped as JSON it may be larger, as far as a frame can hold it. */
export const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
const MAX_ANSWER_JSON_BYTES = MAX_FRAME_BYTES - 64 * 1024;
/** A character takes up to six bytes as JSON. */
const MAX_DELTA_CHARS = 512 * 1024;
/** The words of an error, whoever they are of. */
const MAX_ERROR_CHARS = 500;
/** Names and ids that come of the model or the SDK. */
const MAX_NAME_CHARS = 256;
/** They change no file. */
const READING_TOOLS = ["Read", "Glob", "Grep"];
const BLOCK_SEPARATOR = "\n\n";

/** Where a mapper's frames go, and how it ends a turn that goes beyond a bound. */
export type TurnPort = { emit(frame: Frame): void; stop(message: string): void };

type Block = { uuid: string; text: string; bytes: number; jsonBytes: number };
type ToolUse = { id: string; name: string; input: unknown };

export class TurnMapper {
  readonly #port: TurnPort;
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
  #onlyRead = true;

  constructor(port: TurnPort) {
    this.#port = port;
  }

  /** All of the answer, or as much of it as its bounds allow. */
  get text(): string {
    let text = cutToBytes(this.#blocks.map((block) => block.text).join(BLOCK_SEPARATOR), MAX_ANSWER_BYTES);
    while (jsonBytes(text) > MAX_ANSWER_JSON_BYTES) text = cutToBytes(text, Math.floor(Buffer.byteLength(text) / 2));
    return text;
  }

  /** No tool was called but those that only read. */
  get onlyRead(): boolean {
    return this.#onlyRead;
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
    for (let rest = text; rest !== ""; ) {
      const piece = cutToChars(rest, MAX_DELTA_CHARS);
      rest = rest.slice(piece.length);
      this.#port.emit({ type: "delta", text: piece });
    }
  }

  result(result: SDKResultMessage): ResultFrame {
    const error = this.#errorOf(result);
    const cancelled = result.terminal_reason?.startsWith("aborted_") ?? false;
    return {
      ...this.#frame(cancelled ? "cancelled" : error === undefined ? "completed" : "failed", result.subtype),
      ...(error === undefined || cancelled ? {} : { error: short(error) }),
      ...usageOf(result),
      num_turns: result.num_turns,
      duration_ms: Math.round(result.duration_ms),
    };
  }

  /** The end of a turn that the SDK says nothing about: cancelled before it began, or its process is gone. */
  endedWithoutResult(status: "failed" | "cancelled", subtype: string, error?: TurnError): ResultFrame {
    return { ...this.#frame(status, subtype), ...(error === undefined ? {} : { error: short(error) }) };
  }

  #frame(status: ResultFrame["status"], subtype: string): ResultFrame {
    return {
      type: "result",
      status,
      subtype: cutToChars(subtype, MAX_NAME_CHARS),
      text: this.text,
      model: this.#model === null ? null : cutToChars(this.#model, MAX_NAME_CHARS),
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
    this.#port.emit({ type: "retry", attempt, delay_ms: Math.round(delayMs), status, retracted: this.#open });
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
      this.#blocks.push({ uuid: message.uuid, text: block.text, bytes: Buffer.byteLength(block.text), jsonBytes: jsonBytes(block.text) });
      if (this.#overfull()) return this.#port.stop(`the answer is over ${MAX_ANSWER_BYTES / 1024 / 1024} MiB`);
      this.#port.emit({ type: "message", text: block.text });
    }
  }

  #overfull(): boolean {
    const between = this.#blocks.length - 1;
    const sum = (of: (block: Block) => number, separator: number): number => this.#blocks.reduce((bytes, block) => bytes + of(block), between * separator);
    return (
      sum((block) => block.bytes, BLOCK_SEPARATOR.length) > MAX_ANSWER_BYTES ||
      sum((block) => block.jsonBytes, jsonBytes(BLOCK_SEPARATOR)) > MAX_ANSWER_JSON_BYTES
    );
  }

  #supersede(uuids: string[]): void {
    const before = this.#blocks.length;
    this.#blocks = this.#blocks.filter((block) => !uuids.includes(block.uuid));
    if (this.#blocks.length < before) this.#open = true;
    this.#retract();
  }

  #toolStarted(use: ToolUse, parent: string | null): void {
    const name = cutToChars(use.name, MAX_NAME_CHARS);
    this.#tools.set(use.id, name);
    this.#onlyRead &&= READING_TOOLS.includes(name);
    const input = smallInput(use.input);
    this.#port.emit({ type: "tool", ...callOf(use.id, name, parent), status: "started", ...(input === undefined ? {} : { input }) });
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
      this.#port.emit({ type: "tool", ...callOf(block.tool_use_id, name, parent), status });
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

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

function short(error: TurnError): TurnError {
  return { ...error, message: cutToChars(error.message, MAX_ERROR_CHARS) };
}

function callOf(id: string, name: string, parent: string | null): { id: string; name: string; parent?: string } {
  return { id: cutToChars(id, MAX_NAME_CHARS), name, ...(parent === null ? {} : { parent: cutToChars(parent, MAX_NAME_CHARS) }) };
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
    const cut = (_key: string, value: unknown): unknown => (typeof value === "string" && value.length > limit ? `${cutToChars(value, limit)}…` : value);
    const json = JSON.stringify(input, cut);
    if (json.length <= MAX_TOOL_INPUT_CHARS) return JSON.parse(json) as object;
  }
  return undefined;
}
