/*
 * Packs: files of zstd frames. Written here by a save, frame by frame, and read back by a restore.
 * Small files share a frame; each segment of a large file is one.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { createHash, hash } from "node:crypto";
import { join } from "node:path";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { HASH_BYTES } from "./entries.ts";
import type { Pack, Segment } from "./entries.ts";
import { FRAME_BYTES, MAX_PACKS, PACK_BYTES, PACKS_A_SAVE, SEGMENT_BYTES } from "./limits.ts";
import { Refused } from "./scan.ts";

const LEVEL = 1;
/** Without its checksum, a flipped bit in a frame of incompressible bytes is not noticed. */
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 } };

/** A frame is not what was stored. */
export class PackDamaged extends Error {
  readonly code = "pack_damaged";
}

export function shortHash(bytes: Uint8Array): Buffer {
  return hash("sha256", bytes, "buffer").subarray(0, HASH_BYTES);
}

/** As `shortHash`, of bytes that come one after the other, in the form in which it is stored. */
export class RunningHash {
  readonly #hash = createHash("sha256");

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  end(): string {
    return this.#hash.digest().subarray(0, HASH_BYTES).toString("base64url");
  }
}

export class PackWriter {
  readonly packs: Pack[] = [];
  readonly #folder: string;
  readonly #version: number;
  readonly #most: number;
  #open: { no: number; fd: number; bytes: number } | undefined;
  #group: { bytes: Buffer; segment: Segment }[] = [];
  #groupBytes = 0;

  /** Writes at most so many packs. */
  constructor(folder: string, version: number, most = MAX_PACKS) {
    this.#folder = folder;
    this.#version = version;
    this.#most = most;
  }

  /** A file of at most `FRAME_BYTES`. The segment is filled in when its frame is written: when the next one does not fit, or by `flush`. */
  small(bytes: Buffer): Segment {
    if (this.#groupBytes + bytes.length > FRAME_BYTES) this.flush();
    const segment = { pack: 0, offset: 0, length: 0, raw: this.#groupBytes };
    this.#group.push({ bytes, segment });
    this.#groupBytes += bytes.length;
    return segment;
  }

  /** A segment of a large file. */
  segment(bytes: Uint8Array): Segment {
    this.flush();
    return { ...this.#frame(bytes), raw: 0 };
  }

  flush(): void {
    if (this.#group.length === 0) return;
    const [first] = this.#group;
    const place = this.#frame(this.#group.length === 1 && first !== undefined ? first.bytes : Buffer.concat(this.#group.map(({ bytes }) => bytes)));
    for (const { segment } of this.#group) Object.assign(segment, place);
    this.#group = [];
    this.#groupBytes = 0;
  }

  end(): void {
    this.flush();
    this.abandon();
  }

  /** Closes what is open, whole or not. */
  abandon(): void {
    if (this.#open === undefined) return;
    closeSync(this.#open.fd);
    this.packs.push({ no: this.#open.no, bytes: this.#open.bytes });
    this.#open = undefined;
  }

  #frame(raw: Uint8Array): { pack: number; offset: number; length: number } {
    const bytes = zstdCompressSync(raw, COMPRESSION);
    if (this.#open !== undefined && this.#open.bytes + bytes.length > PACK_BYTES) this.abandon();
    this.#open ??= this.#next();
    const place = { pack: this.#open.no, offset: this.#open.bytes, length: bytes.length };
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#open.fd, bytes, at);
    this.#open.bytes += bytes.length;
    return place;
  }

  #next(): { no: number; fd: number; bytes: number } {
    if (this.packs.length >= this.#most) throw new Refused("too_large", { files: 0, bytes: 0 });
    const no = this.#version * PACKS_A_SAVE + this.packs.length;
    return { no, fd: openSync(join(this.#folder, String(no)), "wx"), bytes: 0 };
  }
}

/** What a frame holds. A frame that is cut short decompresses to less and no error: whoever knows the length compares it. */
export function decompress(frame: Buffer): Buffer {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: SEGMENT_BYTES });
  } catch {
    throw new PackDamaged("a frame does not decompress");
  }
}
