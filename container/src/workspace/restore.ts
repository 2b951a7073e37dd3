/*
 * A restore: an index lays out folders, each pack fills files, and when the last has come, links and the modes of folders follow.
 * What is written here looks to the next save as its base says, so that it sends nothing.
 */
import { closeSync, fchmodSync, fstatSync, futimesSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { FileEntry, Segment, Table } from "./entries.ts";
import { readIndex } from "./index-file.ts";
import { SEGMENT_BYTES } from "./limits.ts";
import { decompress, PackDamaged, shortHash } from "./packs.ts";
import { signatureOf } from "./scan.ts";
import type { Tree } from "./tree.ts";

/** Half of the unit that times are set in: what comes out is not below the millisecond that went in. */
const HALF_A_MICROSECOND_MS = 0.0005;

export function readIndexFile(file: string): Table {
  return readIndex(readFileSync(file, "utf8").split("\n").filter((line) => line !== ""));
}

/** Everything that needs no pack. Answers which packs are needed. */
export function layOut(tree: Tree, table: Table): number[] {
  tree.empty();
  const needed = new Set<number>();
  for (let index = 0; index < table.count; index++) {
    const entry = table.at(index);
    if (entry.kind === "folder") tree.makeFolder(entry.path);
    if (entry.kind !== "file") continue;
    for (const { pack } of entry.segments) needed.add(pack);
    if (entry.segments.length > 0) continue;
    const fd = tree.createFile(entry.path);
    finish(table, index, entry, fd);
  }
  return [...needed];
}

/** What a pack has of each file. It can be done again. */
export function extract(tree: Tree, table: Table, no: number, file: string): void {
  const { extracted } = table.head;
  const fd = openSync(file, "r");
  try {
    for (const { frame, parts } of framesOf(table, no)) {
      const raw = decompress(readFrame(fd, frame));
      for (const part of parts) writePart(tree, table, part, raw);
    }
  } finally {
    closeSync(fd);
  }
  for (const index of largeFilesOf(table, no)) finishLarge(tree, table, index);
  extracted.push(no);
}

/** When all packs are there. */
export function complete(tree: Tree, table: Table): void {
  for (const entry of table.entries()) if (entry.kind === "link") tree.createLink(entry.path, entry.target);
  // The deepest first: a folder may be closed to its owner.
  for (let index = table.count - 1; index >= 0; index--) {
    const entry = table.at(index);
    if (entry.kind === "folder") tree.setFolderMode(entry.path, entry.mode);
  }
}

type Part = { index: number; entry: FileEntry; segment: number };

/** In the order in which they lie in the pack. */
function framesOf(table: Table, no: number): { frame: Segment; parts: Part[] }[] {
  const frames = new Map<number, { frame: Segment; parts: Part[] }>();
  for (let index = 0; index < table.count; index++) {
    const entry = table.at(index);
    if (entry.kind !== "file") continue;
    for (const [segment, frame] of entry.segments.entries()) {
      if (frame.pack !== no) continue;
      const known = frames.get(frame.offset);
      if (known !== undefined && known.frame.length !== frame.length) throw new PackDamaged("two files differ on a frame");
      if (known !== undefined) known.parts.push({ index, entry, segment });
      else frames.set(frame.offset, { frame, parts: [{ index, entry, segment }] });
    }
  }
  return [...frames.values()].sort((a, b) => a.frame.offset - b.frame.offset);
}

function readFrame(fd: number, { offset, length }: Segment): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let read = 0; read < length; ) {
    const more = readSync(fd, bytes, read, length - read, offset + read);
    if (more === 0) throw new PackDamaged("a pack is too short");
    read += more;
  }
  return bytes;
}

function writePart(tree: Tree, table: Table, { index, entry, segment }: Part, raw: Buffer): void {
  if (entry.segments.length > 1) return writeSegment(tree, table, { index, entry, segment }, raw);
  const start = entry.segments[0]?.raw ?? 0;
  const bytes = raw.subarray(start, start + entry.size);
  if (bytes.length !== entry.size || crc32(bytes) !== entry.crc) throw new PackDamaged("a file is not what was stored");
  const fd = tree.createFile(entry.path);
  try {
    writeWhole(fd, bytes, 0);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  finish(table, index, entry, fd);
}

function writeSegment(tree: Tree, table: Table, { index, entry, segment }: Part, raw: Buffer): void {
  const at = segment * SEGMENT_BYTES;
  if (raw.length !== Math.min(SEGMENT_BYTES, entry.size - at)) throw new PackDamaged("a segment has another length than was stored");
  const hasBegun = entry.segments.some(({ pack }, other) => table.head.extracted.includes(pack) || (pack === entry.segments[segment]?.pack && other < segment));
  const fd = hasBegun ? tree.reopenFile(entry.path) : tree.createFile(entry.path);
  try {
    writeWhole(fd, raw, at);
  } finally {
    closeSync(fd);
  }
  table.setSegmentHash(index, segment, shortHash(raw));
}

/** Files of several segments that end with this pack. */
function largeFilesOf(table: Table, no: number): number[] {
  const large: number[] = [];
  for (let index = 0; index < table.count; index++) {
    const entry = table.at(index);
    if (entry.kind !== "file" || entry.segments.length < 2) continue;
    const packs = entry.segments.map(({ pack }) => pack);
    if (packs.includes(no) && packs.every((pack) => pack === no || table.head.extracted.includes(pack))) large.push(index);
  }
  return large;
}

/** Its segments came in any order: what they make together is looked at in the end. */
function finishLarge(tree: Tree, table: Table, index: number): void {
  const entry = table.at(index);
  if (entry.kind !== "file") return;
  const fd = tree.reopenFile(entry.path);
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES);
  let crc = 0;
  for (let at = 0; at < entry.size; ) {
    const read = readSync(fd, bytes, 0, bytes.length, at);
    if (read === 0) break;
    crc = crc32(bytes.subarray(0, read), crc);
    at += read;
  }
  if (crc !== entry.crc) {
    closeSync(fd);
    throw new PackDamaged("a file is not what was stored");
  }
  finish(table, index, entry, fd);
}

/** Closes the file, which has all its bytes. */
function finish(table: Table, index: number, entry: FileEntry, fd: number): void {
  try {
    fchmodSync(fd, entry.mode);
    const seconds = (entry.mtime + HALF_A_MICROSECOND_MS) / 1000;
    futimesSync(fd, seconds, seconds);
    table.setSignature(index, signatureOf(fstatSync(fd)));
  } finally {
    closeSync(fd);
  }
}

function writeWhole(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}
