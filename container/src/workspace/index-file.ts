/*
 * The index of a workspace as it is stored: JSON arrays, a part of them a line. Written by a save, read back by a restore.
 * Owns where parts begin: a change of one file changes one part.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { HASH_BYTES, Table } from "./entries.ts";
import type { Entry, FileEntry, Segment } from "./entries.ts";
import { FRAME_BYTES, JOINED_PART_BYTES, MAX_INDEX_BYTES, MAX_LINK_BYTES, MAX_PART_BYTES, PACK_BYTES, PART_BYTES, SEGMENT_BYTES } from "./limits.ts";
import { comparePaths, isPath } from "./paths.ts";
import { Refused } from "./scan.ts";

export const CODEC = "zstd";
const LINK_MODE = -1;
const MAX_MODE = 0o777;
const HASH = /^[A-Za-z0-9_-]{22}$/;
const MAX_TIME_MS = 8.64e15;
const MAX_CRC = 0xffffffff;
const MAX_PACK_NO = Number.MAX_SAFE_INTEGER;

/** What was sent is no index; the message says why. */
export class InvalidIndex extends Error {
  readonly code = "invalid_index";
}

/** Writes the index and says how long it is. The table's boundaries are those of the base, as paths, and become its own. */
export function writeIndex(file: string, table: Table, boundaries: readonly string[], totals: { files: number; bytes: number }): number {
  const lines = Array.from(table.entries(), lineOf);
  table.head.boundaries = partsOf(table, lines, boundaries);
  const fd = openSync(file, "wx");
  let written = 0;
  const write = (line: string): void => {
    const bytes = Buffer.from(`${line}\n`);
    written += bytes.length;
    if (written > MAX_INDEX_BYTES) throw new Refused("index_too_large", totals);
    writeSync(fd, bytes);
  };
  try {
    write(JSON.stringify({ version: table.head.version, codec: CODEC }));
    for (const [part, start] of table.head.boundaries.entries()) {
      write(`[${lines.slice(start, table.head.boundaries[part + 1]).join(",")}]`);
    }
  } finally {
    closeSync(fd);
  }
  return written;
}

/** The entries that begin parts: where the base's parts began, unless a part would be too large, or two of them small. */
function partsOf(table: Table, lines: readonly string[], boundaries: readonly string[]): number[] {
  const sizes = Float64Array.from(lines, (line) => Buffer.byteLength(line) + 1);
  const kept: { start: number; bytes: number }[] = [];
  let next = 0;
  for (let index = 0; index < table.count; index++) {
    const path = table.path(index);
    const begins = next;
    while (next < boundaries.length && comparePaths(boundaries[next] ?? "", path) <= 0) next += 1;
    if (index === 0 || next > begins) kept.push({ start: index, bytes: 0 });
    const part = kept.at(-1);
    if (part !== undefined) part.bytes += sizes[index] ?? 0;
  }
  const sized = kept.flatMap(({ start, bytes }, part) => {
    const end = kept[part + 1]?.start ?? table.count;
    // What has no boundaries yet is cut to the size that is aimed at.
    return bytes + 2 > (boundaries.length === 0 ? PART_BYTES : MAX_PART_BYTES) ? cut(start, end, sizes) : [{ start, bytes }];
  });
  const joined: typeof kept = [];
  for (const part of sized) {
    const last = joined.at(-1);
    if (last !== undefined && last.bytes + part.bytes < JOINED_PART_BYTES) last.bytes += part.bytes;
    else joined.push({ ...part });
  }
  return joined.map(({ start }) => start);
}

function cut(start: number, end: number, sizes: Float64Array): { start: number; bytes: number }[] {
  const parts: { start: number; bytes: number }[] = [];
  for (let index = start; index < end; index++) {
    const size = sizes[index] ?? 0;
    const last = parts.at(-1);
    if (last !== undefined && last.bytes + size <= PART_BYTES) last.bytes += size;
    else parts.push({ start: index, bytes: size });
  }
  return parts;
}

function lineOf(entry: Entry): string {
  if (entry.kind === "folder") return JSON.stringify([entry.path, entry.mode]);
  if (entry.kind === "link") return JSON.stringify([entry.path, LINK_MODE, entry.target]);
  const segments = entry.segments.map(({ pack, offset, length, raw }) => [pack, offset, length, raw]);
  return JSON.stringify([entry.path, entry.mode, entry.size, entry.mtime, entry.hash, entry.crc, segments]);
}

/** A table without signatures. Everything is checked: the paths, their order, that folders are there, that bytes lie in packs. */
export function readIndex(lines: Iterable<string>): Table {
  const reader = new IndexReader();
  for (const line of lines) reader.line(line);
  return reader.table();
}

class IndexReader {
  readonly #table = new Table();
  readonly #packs = new Map<number, number>();
  readonly #folders = new Set<string>([""]);
  #last = "";
  #begun = false;

  line(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new InvalidIndex("a line is no JSON");
    }
    if (!this.#begun) return this.#header(value);
    if (!Array.isArray(value) || value.length === 0) throw new InvalidIndex("a part must be a list of entries");
    this.#table.head.boundaries.push(this.#table.count);
    for (const entry of value as unknown[]) this.#add(this.#entry(entry));
  }

  table(): Table {
    if (!this.#begun) throw new InvalidIndex("the header is missing");
    return this.#table;
  }

  #header(value: unknown): void {
    const { version, codec, packs } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
    if (!isWhole(version, 0, Number.MAX_SAFE_INTEGER)) throw new InvalidIndex("version must be a whole number");
    if (codec !== CODEC) throw new InvalidIndex(`codec must be ${CODEC}`);
    if (!Array.isArray(packs)) throw new InvalidIndex("packs must be a list");
    for (const pack of packs as unknown[]) {
      const { no, bytes } = (typeof pack === "object" && pack !== null ? pack : {}) as Record<string, unknown>;
      if (!isWhole(no, 0, MAX_PACK_NO) || !isWhole(bytes, 1, PACK_BYTES) || this.#packs.has(no)) throw new InvalidIndex("a pack is malformed");
      this.#packs.set(no, bytes);
      this.#table.head.packs.push({ no, bytes });
    }
    this.#table.head.version = version;
    this.#begun = true;
  }

  #add(entry: Entry): void {
    if (this.#table.count > 0 && comparePaths(this.#last, entry.path) >= 0) throw new InvalidIndex("entries are not in order");
    if (!this.#folders.has(entry.path.slice(0, Math.max(0, entry.path.lastIndexOf("/"))))) throw new InvalidIndex("an entry's folder is missing");
    if (entry.kind === "folder") this.#folders.add(entry.path);
    this.#last = entry.path;
    this.#table.push(entry);
  }

  #entry(value: unknown): Entry {
    const [path, mode, ...rest] = Array.isArray(value) ? (value as unknown[]) : [];
    if (typeof path !== "string" || !isPath(path)) throw new InvalidIndex("an entry's path is malformed");
    if (mode === LINK_MODE) {
      const [target] = rest;
      if (typeof target !== "string" || target === "" || target.includes("\0") || Buffer.byteLength(target) > MAX_LINK_BYTES) throw new InvalidIndex("a link is malformed");
      return { kind: "link", path, target };
    }
    if (!isWhole(mode, 0, MAX_MODE)) throw new InvalidIndex("an entry's mode is malformed");
    return rest.length === 0 ? { kind: "folder", path, mode } : this.#file(path, mode, rest);
  }

  #file(path: string, mode: number, [size, mtime, hash, crc, segments]: unknown[]): FileEntry {
    const isFile =
      isWhole(size, 0, Number.MAX_SAFE_INTEGER) &&
      isWhole(mtime, -MAX_TIME_MS, MAX_TIME_MS) &&
      typeof hash === "string" &&
      HASH.test(hash) &&
      isWhole(crc, 0, MAX_CRC) &&
      Array.isArray(segments);
    if (!isFile) throw new InvalidIndex("a file is malformed");
    const where = (segments as unknown[]).map((segment) => this.#segment(segment));
    if (where.length !== segmentCount(size)) throw new InvalidIndex("a file's segments do not make its size");
    if (size > FRAME_BYTES ? where.some(({ raw }) => raw !== 0) : (where[0]?.raw ?? 0) + size > FRAME_BYTES) throw new InvalidIndex("a file goes beyond its frame");
    const segmentHashes = where.length > 1 ? Buffer.alloc(where.length * HASH_BYTES) : undefined;
    return { kind: "file", path, mode, size, mtime, hash, crc, segments: where, segmentHashes, signature: undefined };
  }

  #segment(value: unknown): Segment {
    const [pack, offset, length, raw] = Array.isArray(value) ? (value as unknown[]) : [];
    const bytes = typeof pack === "number" ? this.#packs.get(pack) : undefined;
    const isSegment =
      typeof pack === "number" && bytes !== undefined && isWhole(offset, 0, bytes) && isWhole(length, 1, bytes - offset) && isWhole(raw, 0, SEGMENT_BYTES);
    if (!isSegment) throw new InvalidIndex("a segment is malformed");
    return { pack, offset, length, raw };
  }
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

/** How many a file of this size has. */
export function segmentCount(size: number): number {
  return size <= FRAME_BYTES ? Math.min(size, 1) : Math.ceil(size / SEGMENT_BYTES);
}
