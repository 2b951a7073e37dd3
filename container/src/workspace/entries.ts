/*
 * What a workspace holds: files, folders and links, as they stand in the index, and a table that keeps a whole workspace in packed arrays.
 */

/** Where a part of a file lies: a frame of a pack, and where in the decompressed frame the file's bytes begin. */
export type Segment = { pack: number; offset: number; length: number; raw: number };

/** How a file looked when it was read, in milliseconds with fractions: what still looks so is not read again. */
export type Signature = { mtime: number; ctime: number; inode: number };

export type FileEntry = {
  kind: "file";
  path: string;
  mode: number;
  size: number;
  /** In whole milliseconds. */
  mtime: number;
  /** The first 128 bits of its SHA-256, base64url. */
  hash: string;
  crc: number;
  segments: Segment[];
  /** The hashes of its segments, one after the other, if there are several. */
  segmentHashes: Buffer | undefined;
  /** Undefined: it is read again at the next save. */
  signature: Signature | undefined;
};
export type FolderEntry = { kind: "folder"; path: string; mode: number };
export type LinkEntry = { kind: "link"; path: string; target: string };
export type Entry = FileEntry | FolderEntry | LinkEntry;

export type Pack = { no: number; bytes: number };

export const HASH_BYTES = 16;

/** Everything about a table but its entries. */
export type TableHead = {
  version: number;
  packs: Pack[];
  /** The entries that begin a part of the index. */
  boundaries: number[];
  /** While it is restored: the packs that are extracted. */
  extracted: number[];
};

const NO_SIGNATURE = -1;
const FOLDER = 1;
const LINK = 2;
const FILE = 0;

/** Entries in the order of their paths, in about 200 bytes each. */
export class Table {
  head: TableHead = { version: 0, packs: [], boundaries: [], extracted: [] };
  #count = 0;
  #text = new Bytes();
  #hashes = new Bytes();
  #segmentHashes = new Bytes();
  /** Of each entry: its kind, the ends of its path and of its target in the text. */
  #kinds = new Column();
  #pathEnds = new Column();
  #textEnds = new Column();
  #modes = new Column();
  #sizes = new Column();
  #mtimes = new Column();
  #crcs = new Column();
  #segmentEnds = new Column();
  #segmentHashEnds = new Column();
  #signatures = new Column();
  /** Of each segment. */
  #segments = new Column();

  get count(): number {
    return this.#count;
  }

  push(entry: Entry): void {
    this.#text.push(Buffer.from(entry.path));
    this.#pathEnds.push(this.#text.length);
    if (entry.kind === "link") this.#text.push(Buffer.from(entry.target));
    this.#textEnds.push(this.#text.length);
    const file = entry.kind === "file" ? entry : undefined;
    this.#kinds.push(entry.kind === "file" ? FILE : entry.kind === "folder" ? FOLDER : LINK);
    this.#modes.push(entry.kind === "link" ? -1 : entry.mode);
    this.#sizes.push(file?.size ?? 0);
    this.#mtimes.push(file?.mtime ?? 0);
    this.#crcs.push(file?.crc ?? 0);
    this.#hashes.push(file === undefined ? Buffer.alloc(HASH_BYTES) : Buffer.from(file.hash, "base64url"));
    for (const { pack, offset, length, raw } of file?.segments ?? []) for (const value of [pack, offset, length, raw]) this.#segments.push(value);
    this.#segmentEnds.push(this.#segments.length);
    if (file?.segmentHashes !== undefined) this.#segmentHashes.push(file.segmentHashes);
    this.#segmentHashEnds.push(this.#segmentHashes.length);
    const { mtime, ctime, inode } = file?.signature ?? { mtime: 0, ctime: NO_SIGNATURE, inode: 0 };
    for (const value of [mtime, ctime, inode]) this.#signatures.push(value);
    this.#count += 1;
  }

  path(index: number): string {
    return this.#text.slice(index === 0 ? 0 : this.#textEnds.at(index - 1), this.#pathEnds.at(index)).toString();
  }

  at(index: number): Entry {
    const path = this.path(index);
    const mode = this.#modes.at(index);
    const kind = this.#kinds.at(index);
    if (kind === FOLDER) return { kind: "folder", path, mode };
    if (kind === LINK) return { kind: "link", path, target: this.#text.slice(this.#pathEnds.at(index), this.#textEnds.at(index)).toString() };
    const ctime = this.#signatures.at(index * 3 + 1);
    const hashEnd = this.#segmentHashEnds.at(index);
    const hashStart = index === 0 ? 0 : this.#segmentHashEnds.at(index - 1);
    return {
      kind: "file",
      path,
      mode,
      size: this.#sizes.at(index),
      mtime: this.#mtimes.at(index),
      hash: this.#hashes.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES).toString("base64url"),
      crc: this.#crcs.at(index),
      segments: this.#segmentsOf(index),
      segmentHashes: hashStart === hashEnd ? undefined : Buffer.from(this.#segmentHashes.slice(hashStart, hashEnd)),
      signature: ctime === NO_SIGNATURE ? undefined : { mtime: this.#signatures.at(index * 3), ctime, inode: this.#signatures.at(index * 3 + 2) },
    };
  }

  setSignature(index: number, { mtime, ctime, inode }: Signature): void {
    this.#signatures.set(index * 3, mtime);
    this.#signatures.set(index * 3 + 1, ctime);
    this.#signatures.set(index * 3 + 2, inode);
  }

  /** Of one segment of a file that has several and was pushed with room for their hashes. */
  setSegmentHash(index: number, segment: number, hash: Buffer): void {
    const start = index === 0 ? 0 : this.#segmentHashEnds.at(index - 1);
    this.#segmentHashes.write(start + segment * HASH_BYTES, hash);
  }

  *entries(): Generator<Entry, void> {
    for (let index = 0; index < this.#count; index++) yield this.at(index);
  }

  /** For a file of the server's own, on the machine that wrote it. */
  toBuffers(): Buffer[] {
    const parts = [this.#text, this.#hashes, this.#segmentHashes, ...this.#columns()].map((part) => part.bytes());
    const head = Buffer.from(JSON.stringify({ ...this.head, count: this.#count, lengths: parts.map((part) => part.length) }));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(head.length);
    return [length, head, ...parts];
  }

  static fromBuffer(buffer: Buffer): Table {
    const table = new Table();
    let at = 4 + buffer.readUInt32LE();
    const { count, lengths, ...head } = JSON.parse(buffer.toString("utf8", 4, at)) as TableHead & { count: number; lengths: number[] };
    table.head = head;
    table.#count = count;
    for (const [index, part] of [table.#text, table.#hashes, table.#segmentHashes, ...table.#columns()].entries()) {
      const length = lengths[index] ?? 0;
      part.load(buffer.subarray(at, at + length));
      at += length;
    }
    return table;
  }

  #columns(): Column[] {
    return [
      this.#kinds,
      this.#pathEnds,
      this.#textEnds,
      this.#modes,
      this.#sizes,
      this.#mtimes,
      this.#crcs,
      this.#segmentEnds,
      this.#segmentHashEnds,
      this.#signatures,
      this.#segments,
    ];
  }

  #segmentsOf(index: number): Segment[] {
    const segments: Segment[] = [];
    const end = this.#segmentEnds.at(index);
    for (let at = index === 0 ? 0 : this.#segmentEnds.at(index - 1); at < end; at += 4) {
      segments.push({ pack: this.#segments.at(at), offset: this.#segments.at(at + 1), length: this.#segments.at(at + 2), raw: this.#segments.at(at + 3) });
    }
    return segments;
  }
}

/** Numbers that grow by the half of what is there. */
class Column {
  #values = new Float64Array(64);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Float64Array(this.length + (this.length >> 1));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  at(index: number): number {
    return this.#values[index] ?? 0;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  bytes(): Buffer {
    return Buffer.from(this.#values.buffer, 0, this.length * Float64Array.BYTES_PER_ELEMENT);
  }

  load(bytes: Buffer): void {
    this.length = bytes.length / Float64Array.BYTES_PER_ELEMENT;
    this.#values = new Float64Array(Math.max(64, this.length));
    Buffer.from(this.#values.buffer).set(bytes);
  }
}

class Bytes {
  #bytes = Buffer.alloc(1024);
  length = 0;

  push(bytes: Uint8Array): void {
    const length = this.length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(length, this.#bytes.length + (this.#bytes.length >> 1)));
      larger.set(this.bytes());
      this.#bytes = larger;
    }
    this.write(this.length, bytes);
    this.length = length;
  }

  write(at: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, at);
  }

  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(start, end);
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  load(bytes: Buffer): void {
    this.#bytes = Buffer.from(bytes);
    this.length = bytes.length;
  }
}
