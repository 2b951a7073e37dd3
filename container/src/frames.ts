/*
 * The frames of a turn and the log that keeps them: numbered from 1, read by any number of readers at their own pace.
 * Owns the bound on what a turn holds in memory. Knows nothing of the SDK or of HTTP.
 */
import type { WorkspaceFrame } from "./workspace/terms.ts";

export type Usage = {
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_creation_input_tokens: number;
};

export type ErrorCode =
  | "model_auth_failed"
  | "model_rate_limited"
  | "model_failed"
  | "agent_failed"
  | "turn_interrupted"
  | "attachment_not_found"
  | "attachment_too_large"
  | "unsupported_attachment";

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
  status: "completed" | "failed" | "cancelled";
  /** The SDK's word for how the turn ended. */
  subtype: string;
  /** The assistant's top-level text blocks, joined by blank lines. */
  text: string;
  error?: TurnError;
  model: string | null;
  /** Tokens, cost, the SDK's turns, the model's answers and the time of this turn alone. */
  usage: Usage;
  cost_usd: number;
  num_turns: number;
  model_calls: number;
  duration_ms: number;
};

export type Entry = { type: string; [field: string]: unknown };

export type Frame =
  | { type: "started"; agent_session: string; instance: string; warm: boolean }
  | { type: "delta"; text: string }
  | { type: "message"; text: string }
  /** `input` is always an object; its long strings are cut so that the frame stays small. `parent` is the subagent's call. */
  | { type: "tool"; id: string; name: string; status: "started" | "finished" | "failed"; input?: object; parent?: string }
  /**
   * The model's API is asked again. `retracted` says that the text since the last `message` frame is void:
   * its stream was cut, and a new message takes its place. `attempt` is 0 where nothing but that is known.
   */
  | { type: "retry"; attempt: number; delay_ms: number; status: number | null; retracted: boolean }
  /** An attachment of an earlier turn, or one that the API refused, is not before the model any more. */
  | { type: "attachment_removed"; path: string | null; reason: string }
  | { type: "transcript"; subpath?: string; entries: Entry[] }
  /** A piece of the JSON of one entry that is too large for a frame. Up to the one that is `last`, no other frame comes between. */
  | { type: "transcript_part"; subpath?: string; text: string; last: boolean }
  | ResultFrame
  /** Where the turn asked for its workspace: what its end has saved of it, to be fetched before the conversation's next turn. */
  | ({ type: "workspace" } & WorkspaceFrame)
  | { type: "end" };

/** A frame's line, at most. Whatever can be large is cut or divided before it is emitted. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;
/** All frames of a turn that are held. Over this, deltas and tool frames are forgotten; a turn whose other frames exceed it is ended. */
export const MAX_TURN_FRAME_BYTES = 32 * 1024 * 1024;

type Kept = { n: number; line: string; bytes: number; type: Frame["type"] };

/** Reads frames: called whenever there is one more. */
export type Reader = { wake(type: Frame["type"]): void };

export class FrameLog {
  #frames: Kept[] = [];
  #bytes = 0;
  #count = 0;
  #ended = false;
  #lastMessage = 0;
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
    const line = `${JSON.stringify({ n, ...frame })}\n`;
    const bytes = Buffer.byteLength(line);
    if (bytes > MAX_FRAME_BYTES) return false;
    this.#count = n;
    this.#frames.push({ n, line, bytes, type: frame.type });
    this.#bytes += bytes;
    if (frame.type === "message") this.#lastMessage = n;
    if (frame.type === "end") this.#ended = true;
    for (const reader of this.#readers) reader.wake(frame.type);
    if (this.#bytes > this.#maxBytes) this.#forget();
    return true;
  }

  /** The first kept frame after the n-th. */
  next(after: number): { n: number; line: string } | undefined {
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

  /** Deltas that a message stands for go first, then tool frames; what must be stored stays. */
  #forget(): void {
    this.#keep((frame) => frame.type !== "delta" || frame.n > this.#lastMessage);
    if (this.overfull) this.#keep((frame) => frame.type !== "delta" && frame.type !== "tool");
  }

  #keep(wanted: (frame: Kept) => boolean): void {
    this.#frames = this.#frames.filter(wanted);
    this.#bytes = this.#frames.reduce((sum, frame) => sum + frame.bytes, 0);
  }
}
