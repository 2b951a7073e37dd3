/*
 * What stands in a transcript for the bytes of attached files. An entry that carries them is held and sent with a reference in their place,
 * and gets them back from the conversation's folder when the transcript is loaded. A file that is gone or changed by then is told, not guessed.
 */
import { createHash } from "node:crypto";
import { AttachmentFailed, dataSource, readReference, referenceOf } from "./attachments.ts";
import type { Place, Sent } from "./attachments.ts";
import { isFields, parseReference } from "./content.ts";
import type { FileReference } from "./content.ts";
import type { Entry } from "./frames.ts";
import { MAX_PIECE_BYTES } from "./pieces.ts";

/** The type of a source that is a reference; no API knows it. */
const REFERENCE = "workspace_file";
/** What the model reads instead of a file that is not there any more. */
const REMOVED = "[attachment removed]";
/** Files whose data is known again, of one conversation; the oldest are forgotten. */
const MAX_KNOWN = 4_096;
/** Entries are flat; what is nested deeper is no block. */
const MAX_DEPTH = 32;

export type Removed = { path: string; reason: string };

type Fields = Record<string, unknown>;
/** What takes the place of a block; undefined: it stays. */
type Replace = (block: Fields, source: Fields) => Fields | undefined;

export class References {
  /** By the data's length and digest. */
  readonly #known = new Map<string, FileReference>();
  readonly #lengths = new Set<number>();
  /** The images of the turn's message, in order, until it has come; undefined for one that is no file. */
  #images: (FileReference | undefined)[] = [];

  /** Files that a turn sends. */
  begin(sent: readonly (Sent | undefined)[], images: readonly (FileReference | undefined)[]): void {
    for (const each of sent) if (each !== undefined) this.#learn(each);
    this.#images = [...images];
  }

  /** The entry as it is kept. */
  dehydrated(entry: Entry): Entry {
    if (this.#known.size === 0) return entry;
    const kept = replaced(entry, (block, source) => {
      const { type, data } = source;
      const reference = (type === "base64" || type === "text") && typeof data === "string" ? this.#of(data) : undefined;
      return reference === undefined ? undefined : { ...block, source: { type: REFERENCE, ...reference } };
    }) as Entry;
    return this.#withoutLarge(kept);
  }

  /** Entries as they were, and the files that could not be put back. */
  async hydrated(entries: Entry[], place: Place): Promise<{ entries: Entry[]; removed: Removed[] }> {
    const wanted = new Map<string, FileReference>();
    for (const entry of entries) {
      replaced(entry, (_block, source) => {
        const reference = referenceIn(source);
        if (reference !== undefined) wanted.set(keyOf(reference), reference);
        return undefined;
      });
    }
    if (wanted.size === 0) return { entries, removed: [] };
    const data = new Map<string, string>();
    const removed: Removed[] = [];
    for (const [key, reference] of wanted) {
      try {
        const text = await readReference(reference, place);
        data.set(key, text);
        this.#learn({ data: text, reference });
      } catch (error) {
        if (!(error instanceof AttachmentFailed)) throw error;
        removed.push({ path: reference.path, reason: error.message });
      }
    }
    const back: Replace = (block, source) => {
      if (source["type"] !== REFERENCE) return undefined;
      const reference = referenceIn(source);
      const text = reference === undefined ? undefined : data.get(keyOf(reference));
      if (reference === undefined || text === undefined) return { type: "text", text: REMOVED };
      return { ...block, source: dataSource(reference, text) };
    };
    return { entries: entries.map((entry) => replaced(entry, back) as Entry), removed };
  }

  /** Images that the CLI has made smaller are as large as before all together: each is the file that it was made of. */
  #withoutLarge(entry: Entry): Entry {
    const isImage = (block: Fields, { type }: Fields): boolean => block["type"] === "image" && (type === "base64" || type === REFERENCE);
    let count = 0;
    let chars = 0;
    if (entry.type !== "user" || this.#images.length === 0) return entry;
    replaced(entry, (block, source) => {
      if (isImage(block, source)) count += 1;
      if (typeof source["data"] === "string") chars += source["data"].length;
      return undefined;
    });
    if (count !== this.#images.length) return entry;
    // What comes behind the turn's own message are other images.
    const images = this.#images.splice(0);
    if (chars <= MAX_PIECE_BYTES) return entry;
    let at = 0;
    return replaced(entry, (block, source) => {
      if (!isImage(block, source)) return undefined;
      const reference = images[at++];
      return reference === undefined ? undefined : { ...block, source: { type: REFERENCE, ...reference } };
    }) as Entry;
  }

  #learn({ data, reference }: Sent): void {
    const key = digestOf(data);
    this.#known.delete(key);
    this.#known.set(key, referenceOf(reference));
    this.#lengths.add(data.length);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
  }

  #of(data: string): FileReference | undefined {
    return this.#lengths.has(data.length) ? this.#known.get(digestOf(data)) : undefined;
  }
}

function digestOf(data: string): string {
  return createHash("sha256").update(data).digest("base64");
}

function keyOf({ path, media_type, etag }: FileReference): string {
  return `${etag} ${media_type} ${path}`;
}

function referenceIn(source: Fields): FileReference | undefined {
  return source["type"] === REFERENCE ? parseReference(source) : undefined;
}

/** A copy in which blocks with a source are replaced, wherever they are; the same value where none is. What a tool was called with is no block. */
function replaced(value: unknown, replace: Replace, depth = 0): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => replaced(item, replace, depth + 1));
    return items.some((item, at) => item !== value[at]) ? items : value;
  }
  const fields = value as Fields;
  const { type, source } = fields;
  if (type === "tool_use") return value;
  if ((type === "image" || type === "document") && isFields(source)) return replace(fields, source) ?? value;
  let copy: Fields | undefined;
  for (const [name, field] of Object.entries(fields)) {
    const other = replaced(field, replace, depth + 1);
    if (other !== field) (copy ??= { ...fields })[name] = other;
  }
  return copy ?? value;
}
