/*
 * A save: what differs between a workspace and its base, packed. It decides what is read again, which packs stay, and what is written.
 * The base is not touched but for signatures; what is new lies beside it until it is known to be stored.
 */
import { closeSync, fstatSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { PackWriter } from "./packs.ts";
import { HASH_BYTES, Table } from "./entries.ts";
import type { Entry, FileEntry, Pack, Segment, Signature } from "./entries.ts";
import { COMPACTED_PACKS, FRAME_BYTES, MAX_PACKS, PACK_BYTES, RACY_MS, SEGMENT_BYTES, SMALL_PACK_BYTES } from "./limits.ts";
import { RunningHash, shortHash } from "./packs.ts";
import { comparePaths } from "./paths.ts";
import { sameSignature, signatureOf } from "./scan.ts";
import type { Found, FoundFile } from "./scan.ts";
import { hasCode, NotThere } from "./folder.ts";
import type { Tree } from "./tree.ts";

/** Something that was found, beside what the base has under its path. */
export type Pair = {
  found: Found;
  old: Entry | undefined;
  /** Where in the base. */
  at: number;
  /** A file whose contents are the base's: by its signature, or because it was read. */
  same: boolean;
  /** It was read to find that out: what it looked like then, if that can be trusted. */
  signature?: Signature | undefined;
  /** Of the base's segments, those that the file still has. */
  equal: readonly Segment[];
};

export type Comparison = {
  pairs: Pair[];
  /** Something is not as the base has it. */
  differs: boolean;
};

/** Both in the order of their paths. */
export function compare(tree: Tree, found: readonly Found[], base: Table, checkTime: () => void): Comparison {
  const pairs: Pair[] = [];
  let differs = false;
  let at = 0;
  for (const each of found) {
    checkTime();
    while (at < base.count && comparePaths(base.path(at), each.path) < 0) {
      differs = true;
      at += 1;
    }
    const old = at < base.count && base.path(at) === each.path ? base.at(at) : undefined;
    const pair = paired(tree, each, old, at);
    if (old !== undefined) at += 1;
    differs ||= !isAsBefore(pair);
    pairs.push(pair);
  }
  return { pairs, differs: differs || at < base.count };
}

function paired(tree: Tree, found: Found, old: Entry | undefined, at: number): Pair {
  const pair: Pair = { found, old, at, same: false, equal: [] };
  if (found.kind !== "file" || old?.kind !== "file") return pair;
  if (found.size === old.size && sameSignature(found.signature, old.signature)) return { ...pair, same: true, equal: old.segments };
  return { ...pair, ...readAgain(tree, found, old) };
}

function isAsBefore({ found, old, same }: Pair): boolean {
  if (found.kind === "file") return same && old?.kind === "file" && old.mode === found.mode && old.mtime === Math.floor(found.signature.mtime);
  if (found.kind === "folder") return old?.kind === "folder" && old.mode === found.mode;
  return old?.kind === "link" && old.target === found.target;
}

/** What of a file that looks different is as it was. */
function readAgain(tree: Tree, found: FoundFile, old: FileEntry): Pick<Pair, "same" | "signature" | "equal"> {
  const isLarge = found.size > FRAME_BYTES;
  if (isLarge !== old.size > FRAME_BYTES || (!isLarge && found.size !== old.size)) return { same: false, equal: [] };
  const hashes = hashesOf(old);
  const equal: Segment[] = [];
  let unequal = false;
  const read = readFile(tree, found, (bytes, index) => {
    const segment = old.segments[index];
    if (segment !== undefined && isHashAt(hashes, index, shortHash(bytes))) equal.push(segment);
    else unequal = true;
  });
  const same = !unequal && read?.size === old.size;
  return { same, signature: same ? read?.signature : undefined, equal };
}

/** The packs that stay: large enough, at least half of them in use, and not too many. Where nothing has to be written, all that are in use. */
export function packsToKeep(pairs: readonly Pair[], packs: readonly Pack[]): Set<number> {
  const live = new Map<number, number>();
  const counted = new Set<string>();
  const count = ({ pack, offset, length }: Segment): void => {
    const frame = `${pack}:${offset}`;
    if (counted.has(frame)) return;
    counted.add(frame);
    live.set(pack, (live.get(pack) ?? 0) + length);
  };
  let rawBytes = 0;
  for (const { found, same, equal } of pairs) {
    equal.forEach(count);
    if (found.kind === "file" && !same) rawBytes += found.size;
  }
  const used = packs.filter(({ no }) => live.has(no));
  const isHalfDead = ({ no, bytes }: Pack): boolean => (live.get(no) ?? 0) < bytes / 2;
  if (rawBytes === 0 && used.length <= MAX_PACKS && !used.some(isHalfDead)) return new Set(used.map(({ no }) => no));
  const kept = used.filter((pack) => pack.bytes >= SMALL_PACK_BYTES && !isHalfDead(pack));
  if (kept.length + Math.ceil(rawBytes / (PACK_BYTES - SEGMENT_BYTES)) > MAX_PACKS) compact(kept);
  return new Set(kept.map(({ no }) => no));
}

/** Takes the smallest away; full ones would only be written again as they are. */
function compact(packs: Pack[]): void {
  packs.sort((a, b) => a.bytes - b.bytes);
  const mergeable = packs.filter(({ bytes }) => bytes < PACK_BYTES / 2).length;
  packs.splice(0, Math.min(mergeable, packs.length - COMPACTED_PACKS));
}

/** One after the other, of its segments; a file that has one segment has its hash. */
function hashesOf(file: FileEntry): Buffer {
  return file.segmentHashes ?? Buffer.from(file.hash, "base64url");
}

function isHashAt(hashes: Buffer, index: number, hash: Buffer): boolean {
  return hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES).equals(hash);
}

/** Writes what is not in a kept pack, and answers the new table. What vanished meanwhile is not in it. */
export function pack(tree: Tree, pairs: readonly Pair[], kept: ReadonlySet<number>, writer: PackWriter, checkTime: () => void): { table: Table; unsettled: boolean } {
  const entries: Entry[] = [];
  let unsettled = false;
  for (const pair of pairs) {
    checkTime();
    const entry = entryOf(tree, pair, kept, writer);
    if (entry === undefined || (entry.kind === "file" && entry.signature === undefined)) unsettled = true;
    if (entry !== undefined) entries.push(entry);
  }
  writer.end();
  const table = new Table();
  for (const entry of entries) table.push(entry);
  return { table, unsettled };
}

function entryOf(tree: Tree, pair: Pair, kept: ReadonlySet<number>, writer: PackWriter): Entry | undefined {
  const { found, old, same } = pair;
  if (found.kind !== "file") return found;
  if (same && old?.kind === "file" && old.segments.every(({ pack }) => kept.has(pack))) {
    const signature = sameSignature(found.signature, old.signature) ? old.signature : pair.signature;
    return { ...old, mode: found.mode, mtime: Math.floor((signature ?? found.signature).mtime), signature };
  }
  return found.size <= FRAME_BYTES ? packedSmall(tree, found, writer) : packedLarge(tree, found, old?.kind === "file" ? old : undefined, kept, writer);
}

function packedSmall(tree: Tree, found: FoundFile, writer: PackWriter): FileEntry | undefined {
  let bytes: Buffer = Buffer.alloc(0);
  const read = readFile(tree, found, (segment) => {
    bytes = Buffer.from(segment);
  });
  if (read === undefined) return undefined;
  const segments = bytes.length === 0 ? [] : [writer.small(bytes)];
  return { ...fileOf(found, read), hash: shortHash(bytes).toString("base64url"), crc: crc32(bytes), segments, segmentHashes: undefined };
}

function packedLarge(tree: Tree, found: FoundFile, old: FileEntry | undefined, kept: ReadonlySet<number>, writer: PackWriter): FileEntry | undefined {
  const before = old !== undefined && old.size > FRAME_BYTES ? { segments: old.segments, hashes: hashesOf(old) } : undefined;
  const hash = new RunningHash();
  let crc = 0;
  const segments: Segment[] = [];
  const hashes: Buffer[] = [];
  const read = readFile(tree, found, (bytes, index) => {
    hash.add(bytes);
    crc = crc32(bytes, crc);
    const segmentHash = shortHash(bytes);
    hashes.push(segmentHash);
    const segment = before?.segments[index];
    const isKept = before !== undefined && segment !== undefined && kept.has(segment.pack) && isHashAt(before.hashes, index, segmentHash);
    segments.push(isKept ? segment : writer.segment(bytes));
  });
  if (read === undefined) return undefined;
  return { ...fileOf(found, read), hash: hash.end(), crc, segments, segmentHashes: hashes.length > 1 ? Buffer.concat(hashes) : undefined };
}

type Read = { size: number; mtime: number; signature: Signature | undefined };

function fileOf(found: FoundFile, { size, mtime, signature }: Read): Pick<FileEntry, "kind" | "path" | "mode" | "size" | "mtime" | "signature"> {
  return { kind: "file", path: found.path, mode: found.mode, size, mtime, signature };
}

/**
 * Reads as much of a file as was found of it, a segment at a time; `visit` keeps no segment. Undefined where it is no such file any more.
 * It has no signature if it changed while it was read, or may change unnoticed.
 */
function readFile(tree: Tree, found: FoundFile, visit: (bytes: Buffer, index: number) => void): Read | undefined {
  let opened: ReturnType<Tree["openFile"]>;
  try {
    opened = tree.openFile(found.path);
  } catch (error) {
    if (error instanceof NotThere || hasCode(error, "EACCES", "EPERM")) return undefined;
    throw error;
  }
  const { fd, stats } = opened;
  const racyFrom = Date.now() - RACY_MS;
  try {
    let size = 0;
    for (let index = 0; size < found.size; index++) {
      const wanted = Math.min(SEGMENT_BYTES, found.size - size);
      const length = readWhole(fd, wanted);
      if (length > 0) visit(buffer.subarray(0, length), index);
      size += length;
      if (length < wanted) break;
    }
    const after = fstatSync(fd);
    const before = signatureOf(stats);
    const isSettled = sameSignature(before, signatureOf(after)) && after.size === size && after.ctimeMs < racyFrom;
    return { size, mtime: Math.floor(before.mtime), signature: isSettled ? before : undefined };
  } finally {
    closeSync(fd);
  }
}

/** One for all: the thread reads one file at a time. */
const buffer = Buffer.allocUnsafe(SEGMENT_BYTES);

function readWhole(fd: number, length: number): number {
  let read = 0;
  while (read < length) {
    const more = readSync(fd, buffer, read, length - read, null);
    if (more === 0) break;
    read += more;
  }
  return read;
}
