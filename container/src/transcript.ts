/*
 * The transcripts this server holds: one JSONL file a conversation, line by line what its frames said or what the caller sent.
 * A cache with a bound: what is dropped here is asked for again (`transcript_required`). Never the authority.
 */
import { createReadStream } from "node:fs";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Entry } from "./frames.ts";
import { linesOf } from "./lines.ts";
import { log, reason } from "./log.ts";

/** On disk, all conversations together; the least recently used go first. */
export const MAX_HELD_BYTES = 1024 * 1024 * 1024;

/** Lines that are in memory at once while a transcript comes in. */
const REPLACE_BATCH_LINES = 256;
/** Lines wait so long for others to be written with, and no more than so many characters of them: a turn's end has no time for files. */
const WRITE_WAIT_MS = 250;
const MAX_WAITING_CHARS = 1024 * 1024;

export type TranscriptLine = { subpath: string | null; entry: Entry };

type Held = { bytes: number; hasMessages: boolean; waiting: string; timer: NodeJS.Timeout | undefined; writing: Promise<void> };

export class Transcripts {
  /** What is here is whole. In order of use, the least recent first. */
  readonly #held = new Map<string, Held>();
  readonly #fileOf: (session: string) => string;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(fileOf: (session: string) => string, maxBytes = MAX_HELD_BYTES) {
    this.#fileOf = fileOf;
    this.#maxBytes = maxBytes;
  }

  has(session: string): boolean {
    return this.#held.has(session);
  }

  /** There is something to resume: an entry of the user's or the assistant's. */
  hasMessages(session: string): boolean {
    return this.#held.get(session)?.hasMessages ?? false;
  }

  /** Holds a new conversation's transcript from its first entry on; one that is held stays as it is. */
  async open(session: string): Promise<void> {
    if (this.#held.has(session)) return;
    const file = this.#fileOf(session);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, "");
    this.#held.set(session, { bytes: 0, hasMessages: false, waiting: "", timer: undefined, writing: Promise.resolve() });
  }

  /**
   * Adds lines behind those that are held; what is not held from its beginning is not begun in the middle.
   * They are written a little later, behind the caller's back; `load` waits for that.
   */
  append(session: string, lines: TranscriptLine[]): void {
    const held = this.#held.get(session);
    if (held === undefined || lines.length === 0) return;
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const bytes = Buffer.byteLength(text);
    held.bytes += bytes;
    this.#bytes += bytes;
    held.hasMessages ||= lines.some(({ entry }) => entry.type === "user" || entry.type === "assistant");
    this.#held.delete(session);
    this.#held.set(session, held);
    held.waiting += text;
    if (held.waiting.length >= MAX_WAITING_CHARS) this.#write(session, held);
    else held.timer ??= setTimeout(() => this.#write(session, held), WRITE_WAIT_MS).unref();
    this.#trim(session);
  }

  /** The given lines take the place of whatever was held. */
  async replace(session: string, lines: AsyncIterable<TranscriptLine>): Promise<void> {
    await this.drop(session);
    await this.open(session);
    let batch: TranscriptLine[] = [];
    const write = async (): Promise<void> => {
      this.append(session, batch);
      batch = [];
      await this.#written(session);
    };
    try {
      for await (const line of lines) if (batch.push(line) >= REPLACE_BATCH_LINES) await write();
      await write();
    } catch (error) {
      // Half a transcript is worse than none.
      await this.drop(session);
      throw error;
    }
  }

  async load(session: string, subpath: string | null): Promise<Entry[]> {
    const entries: Entry[] = [];
    await this.#each(session, (line) => {
      if (line.subpath === subpath) entries.push(line.entry);
    });
    return entries;
  }

  async subpaths(session: string): Promise<string[]> {
    const subpaths = new Set<string>();
    await this.#each(session, (line) => {
      if (line.subpath !== null) subpaths.add(line.subpath);
    });
    return [...subpaths];
  }

  async drop(session: string): Promise<void> {
    const held = this.#held.get(session);
    this.#forget(session);
    await held?.writing;
    await rm(this.#fileOf(session), { force: true });
  }

  async #each(session: string, visit: (line: TranscriptLine) => void): Promise<void> {
    if (!this.#held.has(session)) return;
    await this.#written(session);
    for await (const text of linesOf(createReadStream(this.#fileOf(session)), this.#maxBytes)) visit(JSON.parse(text) as TranscriptLine);
  }

  /** What waits is written, behind what is being written. */
  #write(session: string, held: Held): void {
    clearTimeout(held.timer);
    held.timer = undefined;
    const text = held.waiting;
    held.waiting = "";
    if (text === "") return;
    held.writing = held.writing
      .then(() => appendFile(this.#fileOf(session), text))
      .catch((error: unknown) => {
        if (this.#held.get(session) === held) this.#forget(session);
        log("transcript_write_failed", { session, reason: reason(error) });
      });
  }

  async #written(session: string): Promise<void> {
    const held = this.#held.get(session);
    if (held === undefined) return;
    this.#write(session, held);
    await held.writing;
  }

  #forget(session: string): void {
    const held = this.#held.get(session);
    if (held === undefined) return;
    clearTimeout(held.timer);
    held.waiting = "";
    this.#bytes -= held.bytes;
    this.#held.delete(session);
  }

  #trim(keep: string): void {
    for (const session of this.#held.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      if (session === keep) continue;
      log("transcript_dropped", { session, held_bytes: this.#bytes });
      this.drop(session).catch((error: unknown) => log("transcript_drop_failed", { session, reason: reason(error) }));
    }
  }
}
