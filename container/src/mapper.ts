/*
 * From the SDK's messages of one turn, and the entries of its transcript, to its frames.
 * Owns their order and how the SDK's outcomes are named; what the parts of a turn look like is in events/. Starts nothing and waits for nothing.
 */
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import type { ContinueBy } from "./actions/terms.ts";
import type { Block } from "./content.ts";
import { Answer, MAX_ANSWER_BYTES } from "./events/answer.ts";
import { frames, Joined, MAX_PIECE_CHARS } from "./events/joined.ts";
import { shortName, shortSentence } from "./events/names.ts";
import { Removals } from "./events/removals.ts";
import { Tools } from "./events/tools.ts";
import { Used } from "./events/usage.ts";
import type { Entry, Frame, ResultFrame, TurnError } from "./frames.ts";
import { cutToChars } from "./pieces.ts";

/** Where a mapper's frames go, and how it ends a turn that goes beyond a bound. */
export type TurnPort = { emit(frame: Frame): void; stop(message: string): void };

type StreamEvent = Extract<SDKMessage, { type: "stream_event" }>["event"];
type Assistant = Extract<SDKMessage, { type: "assistant" }>;

export class TurnMapper {
  readonly #port: TurnPort;
  readonly #begun = performance.now();
  readonly #pieces: Joined;
  readonly #answer = new Answer();
  readonly #tools = new Tools();
  readonly #used = new Used();
  readonly #removals: Removals;
  /** Text or thinking was streamed that no whole block stands for yet. */
  #open = false;
  #thinking = false;
  /** The calls whose input is streamed, by the index of their block. */
  readonly #inputs = new Map<number, string>();
  #model: string | null = null;
  #retryAfterMs = 0;
  /** Answers of the model that began. */
  #modelCalls = 0;

  /** `content` are the blocks of the turn's message, where it is not only a text. */
  constructor(port: TurnPort, content: readonly Block[] = []) {
    this.#port = port;
    this.#pieces = new Joined((frame) => port.emit(frame));
    this.#removals = new Removals(content);
  }

  /** All of the answer, or as much of it as its bounds allow. */
  get text(): string {
    return this.#answer.text;
  }

  /** No tool was called but those that only read. */
  get onlyRead(): boolean {
    return this.#tools.onlyRead;
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
        return this.#emit(...this.#tools.ended(message));
      case "system":
        return this.#system(message);
      default:
    }
  }

  /** What the transcript alone tells: an attachment that was left out, and what a subagent's calls used. */
  entries(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const usage = this.#used.entry(entry);
      this.#emit(...this.#removals.entry(entry), ...(usage === undefined ? [] : [usage]));
    }
  }

  /** What stands between this turn's frames and any frame that is not made here. */
  flush(): void {
    this.#pieces.flush();
  }

  result(result: SDKResultMessage): ResultFrame {
    const error = this.#errorOf(result);
    const cancelled = result.terminal_reason?.startsWith("aborted_") ?? false;
    return {
      ...this.#frame(cancelled ? "cancelled" : error === undefined ? "completed" : "failed", result.subtype),
      ...(error === undefined || cancelled ? {} : { error: short(error) }),
      ...this.#used.result(result),
      ...(typeof result.stop_reason === "string" ? { stop_reason: shortName(result.stop_reason) } : {}),
      num_turns: result.num_turns,
      duration_ms: Math.round(result.duration_ms),
    };
  }

  /** The turn is parked: however the SDK ended it, it has not. */
  parked(result: ResultFrame, by: ContinueBy, actions: string[]): ResultFrame {
    const { error: _error, ...rest } = result;
    // An interrupt counts as turns to the SDK, and a process that is gone has counted none.
    const num_turns = Math.min(rest.num_turns || rest.model_calls, rest.model_calls);
    return { ...rest, num_turns, status: "requires_action", continue_by: by, actions };
  }

  /** The end of a turn that the SDK says nothing about: cancelled before it began, or its process is gone. */
  endedWithoutResult(status: "failed" | "cancelled", subtype: string, error?: TurnError): ResultFrame {
    return { ...this.#frame(status, subtype), ...(error === undefined ? {} : { error: short(error) }) };
  }

  #frame(status: ResultFrame["status"], subtype: string): ResultFrame {
    return {
      type: "result",
      status,
      subtype: shortName(subtype),
      text: this.text,
      model: this.#model === null ? null : shortName(this.#model),
      usage: { input_tokens: 0, output_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
      cost_usd: 0,
      num_turns: 0,
      model_calls: this.#modelCalls,
      duration_ms: Math.round(performance.now() - this.#begun),
    };
  }

  /** Behind the pieces that came before. */
  #emit(...frames: Frame[]): void {
    if (frames.length > 0) this.flush();
    for (const frame of frames) this.#port.emit(frame);
  }

  #system(message: Extract<SDKMessage, { type: "system" }>): void {
    switch (message.subtype) {
      case "init":
        this.#model = message.model;
        return this.#used.begun(message.model);
      case "api_retry":
        return this.#retried(message.attempt, message.retry_delay_ms, message.error_status);
      case "permission_denied":
        return this.#tools.denied(message);
      case "compact_boundary": {
        const { trigger, pre_tokens, post_tokens = null } = message.compact_metadata;
        this.#used.compacted(post_tokens);
        return this.#emit({ type: "compacted", trigger, pre_tokens, post_tokens });
      }
      default:
    }
  }

  #streamed(event: StreamEvent): void {
    switch (event.type) {
      case "content_block_start":
        if (event.content_block.type === "tool_use") this.#inputs.set(event.index, shortName(event.content_block.id));
        return;
      case "content_block_delta":
        return this.#delta(event.index, event.delta);
      case "message_start":
      case "message_stop":
        // A whole block's assistant message comes before its stop: what is still open at these was cut.
        this.#inputs.clear();
        if (this.#open || this.#thinking) this.#retried(0, 0, null);
        break;
      default:
    }
    const usage = this.#used.streamed(event);
    if (usage !== undefined) this.#emit(usage);
  }

  #delta(index: number, delta: Extract<StreamEvent, { type: "content_block_delta" }>["delta"]): void {
    if (delta.type === "text_delta") {
      this.#open ||= delta.text !== "";
      this.#pieces.add({ type: "delta" }, delta.text);
    } else if (delta.type === "thinking_delta") {
      this.#thinking ||= delta.thinking !== "";
      this.#pieces.add({ type: "thinking" }, delta.thinking);
    } else if (delta.type === "input_json_delta") {
      const id = this.#inputs.get(index);
      if (id !== undefined) this.#pieces.add({ type: "tool_input", id }, delta.partial_json);
    }
  }

  #retried(attempt: number, delayMs: number, status: number | null): void {
    if (status === 429) this.#retryAfterMs = delayMs;
    this.#emit({ type: "retry", attempt, delay_ms: Math.round(delayMs), status, retracted: this.#open || this.#thinking });
    this.#open = false;
    this.#thinking = false;
  }

  #assistant(message: Assistant): void {
    this.flush();
    const parent = message.parent_tool_use_id;
    this.#used.subagent(message.agent_id, parent);
    if (message.supersedes !== undefined) this.#supersede(message.supersedes);
    for (const block of message.message.content) {
      if (block.type === "tool_use") this.#emit(this.#tools.started(block, parent));
      // A synthetic message that carries an API error is no answer; the result says it.
      if (message.error !== undefined) continue;
      if (block.type === "thinking") this.#thought(block.thinking, parent);
      if (block.type !== "text" || block.text === "") continue;
      if (parent !== null) this.#subagentSaid(block.text, shortName(parent));
      else if (!this.#said(message, block.text)) return;
    }
  }

  /** False: it is too much. */
  #said(message: Assistant, text: string): boolean {
    this.#open = false;
    this.#model = message.message.model;
    this.#answer.add(message.uuid, text);
    if (this.#answer.overfull) this.#port.stop(`the answer is over ${MAX_ANSWER_BYTES / 1024 / 1024} MiB`);
    else this.#emit({ type: "message", text });
    return !this.#answer.overfull;
  }

  /** Of a subagent nothing is streamed, nor of an answer that the SDK took whole. */
  #thought(text: string, parent: string | null): void {
    const streamed = parent === null && this.#thinking;
    if (parent === null) this.#thinking = false;
    if (!streamed) this.#emit(...frames({ type: "thinking", ...(parent === null ? {} : { parent: shortName(parent) }) }, text));
  }

  #subagentSaid(text: string, parent: string): void {
    const said = cutToChars(text, MAX_PIECE_CHARS);
    this.#emit({ type: "message", text: said, parent });
    if (said.length < text.length) this.#emit({ type: "notice", code: "message_cut", message: `a subagent's message is over ${MAX_PIECE_CHARS} characters` });
  }

  #supersede(uuids: string[]): void {
    if (this.#answer.remove(uuids)) this.#open = true;
    if (this.#open) this.#retried(0, 0, null);
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

function short(error: TurnError): TurnError {
  return { ...error, message: shortSentence(error.message) };
}
