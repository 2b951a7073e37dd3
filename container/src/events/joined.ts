/*
 * Pieces of text, of thinking and of a call's input as they are streamed, joined to frames. What is of another kind, or of another call, is never joined.
 * Owns the one timer of a turn. Knows nothing of the SDK.
 */
import type { Frame } from "../frames.ts";
import { cutToChars } from "../pieces.ts";

/** Pieces that come sooner than this after the last frame are joined. */
const JOIN_MS = 25;
/** A character takes up to six bytes as JSON. */
export const MAX_PIECE_CHARS = 512 * 1024;

/** What a piece is a piece of. */
export type Kind = { type: "delta" } | { type: "thinking"; parent?: string } | { type: "tool_input"; id: string };

export class Joined {
  readonly #emit: (frame: Frame) => void;
  #kind: Kind = { type: "delta" };
  #pending = "";
  #timer: NodeJS.Timeout | undefined;
  #last = -JOIN_MS;

  constructor(emit: (frame: Frame) => void) {
    this.#emit = emit;
  }

  add(kind: Kind, text: string): void {
    if (text === "") return;
    if (!isSame(kind, this.#kind)) {
      this.flush();
      this.#kind = kind;
      this.#last = -JOIN_MS;
    }
    this.#pending += text;
    if (this.#timer !== undefined) return;
    const wait = this.#last + JOIN_MS - performance.now();
    if (wait <= 0) this.flush();
    else this.#timer = setTimeout(() => this.flush(), wait);
  }

  /** What waits goes now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    this.#last = performance.now();
    for (const frame of frames(this.#kind, text)) this.#emit(frame);
  }
}

/** One frame, or as many as a long text needs. */
export function* frames(kind: Kind, text: string): Generator<Frame, void> {
  for (let rest = text; rest !== ""; ) {
    const piece = cutToChars(rest, MAX_PIECE_CHARS);
    rest = rest.slice(piece.length);
    if (kind.type === "delta") yield { type: "delta", text: piece };
    else if (kind.type === "tool_input") yield { type: "tool_input", id: kind.id, json: piece };
    else yield { type: "thinking", text: piece, ...(kind.parent === undefined ? {} : { parent: kind.parent }) };
  }
}

function isSame(a: Kind, b: Kind): boolean {
  return a.type === b.type && (a.type !== "tool_input" || b.type !== "tool_input" || a.id === b.id);
}
