/*
 * Transcript entries as frames of a bounded size: many small entries in several frames, a large one in pieces of its JSON.
 * Also how a text is cut without breaking a character. Pure; sizes are bytes of UTF-8.
 */
import type { Entry, Frame } from "./frames.ts";

/** The entries of one `transcript` frame, and the piece in one `transcript_part`, which grows to twice that in the frame's own JSON. */
export const MAX_PIECE_BYTES = 1024 * 1024;
export const MAX_FRAME_ENTRIES = 1_000;
/** A larger entry is not sent: nobody could store it. */
export const MAX_ENTRY_BYTES = 12 * 1024 * 1024;

export class EntryTooLarge extends Error {
  constructor() {
    super(`an entry of the transcript is over ${MAX_ENTRY_BYTES / 1024 / 1024} MiB`);
  }
}

/** In order; the parts of one entry follow each other. Throws `EntryTooLarge` behind the frames of what comes before that entry. */
export function* transcriptFrames(subpath: string | null, entries: readonly Entry[]): Generator<Frame, void> {
  const where = subpath === null ? {} : { subpath };
  let waiting: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const json = JSON.stringify(entry);
    const size = Buffer.byteLength(json);
    if (waiting.length > 0 && (bytes + size > MAX_PIECE_BYTES || waiting.length === MAX_FRAME_ENTRIES)) {
      yield { type: "transcript", ...where, entries: waiting };
      waiting = [];
      bytes = 0;
    }
    if (size > MAX_ENTRY_BYTES) throw new EntryTooLarge();
    if (size > MAX_PIECE_BYTES) {
      yield* parts(json, where);
      continue;
    }
    waiting.push(entry);
    bytes += size;
  }
  if (waiting.length > 0) yield { type: "transcript", ...where, entries: waiting };
}

function* parts(json: string, where: { subpath?: string }): Generator<Frame, void> {
  const bytes = Buffer.from(json);
  for (let at = 0; at < bytes.length; ) {
    const end = cutAt(bytes, at + MAX_PIECE_BYTES);
    yield { type: "transcript_part", ...where, text: bytes.toString("utf8", at, end), last: end === bytes.length };
    at = end;
  }
}

/** Its beginning, of at most so many bytes. */
export function cutToBytes(text: string, maxBytes: number): string {
  // No character takes more than three bytes a unit: most texts need not be encoded.
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.from(text);
  return bytes.length <= maxBytes ? text : bytes.toString("utf8", 0, cutAt(bytes, maxBytes));
}

/** Its beginning, of at most so many UTF-16 units, and no half of a character. */
export function cutToChars(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const last = text.charCodeAt(maxChars - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? maxChars - 1 : maxChars);
}

/** Its beginning, whose JSON has at most so many bytes. */
export function cutToJsonBytes(text: string, maxBytes: number): string {
  let cut = cutToBytes(text, Math.max(0, maxBytes - '""'.length));
  // A byte of text is one to six of its JSON: each time, a sixth of what is too much goes at least.
  for (let size = jsonBytes(cut); size > maxBytes && cut !== ""; size = jsonBytes(cut)) {
    cut = cutToBytes(cut, Math.floor((Buffer.byteLength(cut) * maxBytes) / size));
  }
  return cut;
}

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** At `wanted` or up to three bytes before: never within a character. */
function cutAt(bytes: Buffer, wanted: number): number {
  if (wanted >= bytes.length) return bytes.length;
  let at = wanted;
  while (((bytes[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}

/** An object whose strings are cut, harder and harder, until its JSON fits; undefined where that is not enough. */
export function cutInput(input: unknown, cuts: number[], fits: (json: string) => boolean): object | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  if (fits(JSON.stringify(input))) return input;
  for (const limit of cuts) {
    const cut = (_key: string, value: unknown): unknown => (typeof value === "string" && value.length > limit ? `${cutToChars(value, limit)}…` : value);
    const json = JSON.stringify(input, cut);
    if (fits(json)) return JSON.parse(json) as object;
  }
  return undefined;
}
