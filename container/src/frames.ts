/*
 * The frames of a turn and the log that keeps them: numbered from 1, read by any number of readers at their own pace.
 * Owns the bound on what a turn holds in memory. Knows nothing of the SDK or of HTTP.
 */
import type { Asked, ContinueBy, Outcome } from "./actions/terms.ts";
import type { WorkspaceFrame } from "./workspace/terms.ts";

export type Usage = {
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_creation_input_tokens: number;
};

/** Of one model in a turn. */
export type ModelUsage = Usage & { cost_usd: number };

/** How full the conversation is: the tokens of its last call, the model's window, and where the CLI compacts by itself. */
export type Context = { tokens: number; limit: number; auto_compact_at: number };

export type ErrorCode =
  | "model_auth_failed"
  | "model_rate_limited"
  | "model_failed"
  | "agent_failed"
  | "turn_interrupted"
  | "attachment_not_found"
  | "attachment_too_large"
  | "unsupported_attachment"
  | "output_invalid"
  | "invalid_output_schema"
  | "invalid_tool_schema";

export type TurnError = {
  code: ErrorCode;
  message: string;
  /** The model API's status, where it answered. */
  http_status?: number;
  /** Seconds to wait, where the model's API said so. */
  retry_after?: number;
};

export type ResultFrame = {
  type: "result";
  /** `requires_action`: it is parked, and goes on when what it waits for is decided. */
  status: "completed" | "failed" | "cancelled" | "requires_action";
  /** How it goes on, and what it waits for. */
  continue_by?: ContinueBy;
  actions?: string[];
  /** The SDK's word for how the turn ended. */
  subtype: string;
  /** The assistant's top-level text blocks, joined by blank lines; where the turn has an output, the JSON of that. */
  text: string;
  /** The value that the turn's schema asked for. */
  output?: unknown;
  error?: TurnError;
  model: string | null;
  /** Tokens, cost, the SDK's turns, the model's answers and the time of this turn alone. */
  usage: Usage;
  cost_usd: number;
  num_turns: number;
  model_calls: number;
  duration_ms: number;
  /** Why the model stopped, in the API's words. */
  stop_reason?: string;
  by_model?: Record<string, ModelUsage>;
  context?: Context;
};

/** Of one call of the model, when it has ended. */
export type UsageFrame = Usage & { type: "usage"; model: string; parent?: string };

/** An image stands for its data. */
export type ResultBlock = { type: "text"; text: string } | { type: "image"; media_type: string; bytes: number };

/**
 * `parent` is the call of the subagent that makes this one. `input` is always an object; its long strings are cut so that the frame stays
 * small, and `whole` then has more of them. `result` comes with the end, and `truncated` says that it is not all of it.
 */
export type ToolFrame = {
  type: "tool";
  id: string;
  name: string;
  status: "started" | "finished" | "failed" | "denied";
  input?: object;
  whole?: object;
  result?: string | ResultBlock[];
  truncated?: true;
  parent?: string;
};

export type Entry = { type: string; [field: string]: unknown };

export type Frame =
  | { type: "started"; agent_session: string; instance: string; warm: boolean }
  | { type: "delta"; text: string }
  /** A piece of the model's thinking, joined like deltas; a subagent's comes block by block. */
  | { type: "thinking"; text: string; parent?: string }
  /** A piece of the JSON of a call's input, joined like deltas. */
  | { type: "tool_input"; id: string; json: string }
  /** With `parent` a subagent's, which is no part of the answer. */
  | { type: "message"; text: string; parent?: string }
  | ToolFrame
  | UsageFrame
  /** The conversation so far is a summary from here on. */
  | { type: "compacted"; trigger: "manual" | "auto"; pre_tokens: number; post_tokens: number | null }
  /** The model does not see an attachment, of this turn's message or of an earlier one. `path` is null where it is no file or which one is not known. */
  | { type: "attachment_removed"; path: string | null; reason: string }
  /** What a reader should know. `events_dropped`: the frames `from` to `to` were forgotten before this reader came to them. */
  | { type: "notice"; code: string; message: string; from?: number; to?: number }
  /**
   * The model's API is asked again. `retracted` says that the text since the last `message` frame, and the thinking and input that
   * were streamed with it, are void: the stream was cut, and a new one takes its place. `attempt` is 0 where nothing but that is known.
   */
  | { type: "retry"; attempt: number; delay_ms: number; status: number | null; retracted: boolean }
  | { type: "transcript"; subpath?: string; entries: Entry[] }
  /** A piece of the JSON of one entry that is too large for a frame. Up to the one that is `last`, no other frame comes between. */
  | { type: "transcript_part"; subpath?: string; text: string; last: boolean }
  /** The messages that were offered to the turn and that it took in; right before its result. */
  | { type: "steered"; turn_ids: string[] }
  /** The turn waits for somebody: nothing of what it is about happens before the answer. */
  | ({ type: "action" } & Asked)
  /** It does not wait for that any more. */
  | { type: "action_resolved"; reference: string; outcome: Outcome }
  | ResultFrame
  /** Where the turn asked for its workspace: what its end has saved of it, to be fetched before the conversation's next turn. */
  | ({ type: "workspace" } & WorkspaceFrame)
  | { type: "end" };

/** A frame's line, at most. Whatever can be large is cut or divided before it is emitted. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;
/** All frames of a turn that are held. Over this, what nobody has to store is forgotten; a turn whose other frames exceed it is ended. */
export const MAX_TURN_FRAME_BYTES = 32 * 1024 * 1024;

type Kept = { n: number; line: string; bytes: number; type: Frame["type"]; ofSubagent: boolean };

/** Forgotten where the log is full: what tells how a turn goes, not what it leaves. */
const FORGETTABLE: readonly Frame["type"][] = ["delta", "thinking", "tool_input", "tool", "usage"];

/** Reads frames: called whenever there is one more. */
export type Reader = { wake(type: Frame["type"]): void };

export class FrameLog {
  #frames: Kept[] = [];
  #bytes = 0;
  #count = 0;
  #ended = false;
  /** The last frames that stand for the pieces before them. */
  #lastMessage = 0;
  #lastCall = 0;
  #readers = new Set<Reader>();
  readonly #maxBytes: number;

  constructor(maxBytes = MAX_TURN_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing that may be forgotten is left, and it is still too much. */
  get overfull(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** False: the frame is over `MAX_FRAME_BYTES` and not taken. */
  append(frame: Frame): boolean {
    if (this.#ended) return true;
    const n = this.#count + 1;
    const line = lineOf(n, frame);
    const bytes = Buffer.byteLength(line);
    if (bytes > MAX_FRAME_BYTES) return false;
    this.#count = n;
    const ofSubagent = "parent" in frame;
    this.#frames.push({ n, line, bytes, type: frame.type, ofSubagent });
    this.#bytes += bytes;
    if (frame.type === "message" && !ofSubagent) this.#lastMessage = n;
    if (frame.type === "tool" && !ofSubagent) this.#lastCall = n;
    if (frame.type === "end") this.#ended = true;
    for (const reader of this.#readers) reader.wake(frame.type);
    if (this.#bytes > this.#maxBytes) this.#forget();
    return true;
  }

  /** The first kept frame after the n-th; where those that follow it are forgotten, a notice of that, under the number of the last of them. */
  next(after: number): { n: number; line: string } | undefined {
    const found = this.#firstAfter(after);
    if (found === undefined || found.n === after + 1) return found;
    const [from, to] = [after + 1, found.n - 1];
    const notice: Frame = { type: "notice", code: "events_dropped", message: "the turn had more events than are kept", from, to };
    return { n: to, line: lineOf(to, notice) };
  }

  #firstAfter(after: number): Kept | undefined {
    const frames = this.#frames;
    const last = frames.at(-1);
    if (last === undefined || last.n <= after) return undefined;
    if (last.n === after + 1) return last;
    let low = 0;
    let high = frames.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((frames[middle]?.n ?? 0) > after) high = middle;
      else low = middle + 1;
    }
    return frames[low];
  }

  subscribe(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  /** Pieces that a message or a call stands for go first, then all that may be forgotten; what must be stored stays. */
  #forget(): void {
    this.#keep((frame) => (frame.type === "delta" ? frame.n > this.#lastMessage : frame.type !== "tool_input" || frame.n > this.#lastCall));
    if (this.overfull) this.#keep((frame) => !FORGETTABLE.includes(frame.type) && !(frame.type === "message" && frame.ofSubagent));
  }

  #keep(wanted: (frame: Kept) => boolean): void {
    this.#frames = this.#frames.filter(wanted);
    this.#bytes = this.#frames.reduce((sum, frame) => sum + frame.bytes, 0);
  }
}

function lineOf(n: number, frame: Frame): string {
  return `${JSON.stringify({ n, ...frame })}\n`;
}
