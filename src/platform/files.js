/*
 * Bytes of files on their way from the bucket to a response, past Rust: whole objects as they come, and the zstd frames that packs consist of,
 * a few at a time. What a pack holds comes from a container: a frame that is not what the index says cuts the response.
 */
import { crc32, zstdDecompressSync } from "node:zlib";

/** A frame decompresses to at most one segment of a large file, or to small files of 256 KiB and one more. */
const MAX_FRAME_BYTES = 2 * 1024 * 1024;
/** Frames that lie side by side in a pack are fetched together, up to so many bytes. */
const MAX_FETCH_BYTES = 4 * 1024 * 1024;
/** A large file has a frame for each of its segments of this size. */
const SEGMENT_BYTES = 1024 * 1024;

/** The bucket has no object of a key that the index names, or a frame is not what the index says. */
class Damaged extends Error {}

export const isDamaged = (error) => error instanceof Damaged;

/** The bytes of an object from `offset` on: the response's own stream, which knows its length. */
async function objectBody(bucket, key, offset, length) {
  const object = await bucket.get(key, { range: { offset, length } });
  if (object === null) throw new Damaged(`no object ${key}`);
  return object.body;
}

/** Whether a frame begins where the one before it ends. */
const follows = (frame, before) => frame.key === before.key && frame.offset === before.offset + before.length;
const isSame = (frame, other) => frame.key === other.key && frame.offset === other.offset;

/** Decompressed frames in the order in which they are asked for. */
class Frames {
  #bucket;
  /** The frames that are still to come, each once in a row. */
  #ahead;
  #fetched = [];
  #current;
  #bytes;

  constructor(bucket, frames) {
    this.#bucket = bucket;
    this.#ahead = frames.filter((frame, at) => at === 0 || !isSame(frame, frames[at - 1]));
  }

  /** Fetches the next frames, so that a missing object is known before a response begins. */
  async fetch() {
    if (this.#fetched.length > 0 || this.#ahead.length === 0) return;
    const group = [this.#ahead.shift()];
    let bytes = group[0].length;
    while (this.#ahead.length > 0 && follows(this.#ahead[0], group.at(-1)) && bytes + this.#ahead[0].length <= MAX_FETCH_BYTES) {
      bytes += this.#ahead[0].length;
      group.push(this.#ahead.shift());
    }
    const [{ key, offset }] = group;
    const body = await new Response(await objectBody(this.#bucket, key, offset, bytes)).bytes();
    if (body.length !== bytes) throw new Damaged(`object ${key} is shorter than the index says`);
    this.#fetched = group.map((frame) => ({ frame, bytes: body.subarray(frame.offset - offset, frame.offset - offset + frame.length) }));
  }

  /** What a frame decompresses to. Frames are asked for in the order of the constructor's. */
  async take(frame) {
    if (this.#current !== undefined && isSame(this.#current, frame)) return this.#bytes;
    await this.fetch();
    const next = this.#fetched.shift();
    if (next === undefined || !isSame(next.frame, frame)) throw new Error("frames are read in another order than they were listed");
    try {
      this.#bytes = zstdDecompressSync(next.bytes, { maxOutputLength: MAX_FRAME_BYTES });
    } catch (error) {
      throw new Damaged(`a frame of ${frame.key} does not decompress: ${error.message}`);
    }
    this.#current = next.frame;
    return this.#bytes;
  }
}

/** The frames of a file that its bytes from `start` to `end` lie in, each with the part of it that is wanted. */
function wanted({ size, content: { frames } }, start, end) {
  const single = frames.length === 1;
  return frames.flatMap((frame, at) => {
    const begin = at * SEGMENT_BYTES;
    const length = single ? size : Math.min(SEGMENT_BYTES, size - begin);
    const [from, to] = [Math.max(start, begin), Math.min(end, begin + length)];
    return from < to ? [{ frame, from: frame.raw_offset + from - begin, to: frame.raw_offset + to - begin }] : [];
  });
}

async function writeParts(writer, reader, parts) {
  for (const { frame, from, to } of parts) {
    const bytes = await reader.take(frame);
    if (bytes.length < to) throw new Damaged(`a frame of ${frame.key} is shorter than the index says`);
    await writer.write(bytes.subarray(from, to));
  }
}

/** Lets `work` write a stream, and cuts it if that fails: a response that has begun has no other way to tell. Resolves when it is over. */
function write(stream, work) {
  const writer = stream.writable.getWriter();
  const ended = work(writer).then(() => writer.close(), (error) => writer.abort(error));
  return ended.catch(() => {});
}

/**
 * The bytes of a file from `start` to `end`, as a stream of that length. `json` is a stored file of the account's object. It rejects where
 * the bucket does not give the beginning.
 */
export async function read(bucket, json, start, end) {
  const file = JSON.parse(json);
  const { object, frames } = file.content;
  if (object !== undefined) return objectBody(bucket, object, start, end - start);
  const parts = wanted(file, start, end);
  const reader = new Frames(bucket, parts.map(({ frame }) => frame));
  await reader.fetch();
  const stream = new FixedLengthStream(end - start);
  write(stream, (writer) => writeParts(writer, reader, parts));
  return stream.readable;
}

/** The SHA-256 of a stored file of that size, in hexadecimal: its bytes pass the runtime alone. */
export async function sha256(bucket, json, size) {
  const digest = new crypto.DigestStream("SHA-256");
  await (await read(bucket, json, 0, size)).pipeTo(digest);
  return Array.from(new Uint8Array(await digest.digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const ZIP_VERSION = 45;
const UTF8_NAME = 1 << 11;
/** Size and CRC stand behind the bytes, as well as in the directory at the end. */
const WITH_DESCRIPTOR = 1 << 3;
const UNIX = 3 << 8;
const REGULAR_FILE = 0o100644 * 2 ** 16;
/** What a field of 2 or 4 bytes says if a ZIP64 record has the value. */
const [IN_ZIP64_16, IN_ZIP64_32] = [0xffff, 0xffff_ffff];
const ZIP64_SIZES_AND_OFFSET = [[2, 1], [2, 24]];

/** Numbers of 2, 4 or 8 bytes, least byte first, and bytes behind them. */
function record(fields, tail = new Uint8Array()) {
  const size = fields.reduce((sum, [bytes]) => sum + bytes, 0);
  const bytes = new Uint8Array(size + tail.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  bytes.set(tail, size);
  return bytes;
}

/** Date and time as DOS has them: from 1980 to 2107, in UTC, every two seconds. */
function dosTime(ms) {
  const date = new Date(Math.min(Math.max(ms, Date.UTC(1980, 0, 1)), Date.UTC(2107, 11, 31)));
  const time = (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  return [time, ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate()];
}

/** An archive's small pieces go on together, at about so many bytes: each write that a reader waits for costs more than its bytes. */
const PIECE_BYTES = 256 * 1024;

/** Puts small writes together; large ones go on as they are. A piece is copied: what it is part of need not stay in memory. */
class Pieces {
  #writer;
  #buffer = new Uint8Array(PIECE_BYTES);
  #length = 0;

  constructor(writer) {
    this.#writer = writer;
  }

  async write(bytes) {
    if (this.#length + bytes.length > PIECE_BYTES) await this.flush();
    if (bytes.length >= PIECE_BYTES) return this.#writer.write(bytes);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async flush() {
    if (this.#length === 0) return;
    const bytes = this.#buffer.subarray(0, this.#length);
    // A written buffer is its reader's.
    this.#buffer = new Uint8Array(PIECE_BYTES);
    this.#length = 0;
    await this.#writer.write(bytes);
  }
}

/** Writes an archive (PKWARE's APPNOTE, 4.3) of stored files, one after the other, with the fields of ZIP64 throughout. */
class Zip {
  #writer;
  #offset = 0;
  #directory = [];

  constructor(writer) {
    this.#writer = new Pieces(writer);
  }

  async #write(bytes) {
    this.#offset += bytes.length;
    await this.#writer.write(bytes);
  }

  /** A file whose bytes `body` writes. The CRC of one that does not know it is found on the way. */
  async add({ path, size, modified_at, crc32: known }, body) {
    const [name, at, flags] = [new TextEncoder().encode(path), this.#offset, UTF8_NAME | (known === undefined ? WITH_DESCRIPTOR : 0)];
    const [time, date] = dosTime(modified_at);
    const common = (crc) => [[2, flags], [2, 0], [2, time], [2, date], [4, crc], [4, IN_ZIP64_32], [4, IN_ZIP64_32], [2, name.length], [2, 28]];
    const zip64 = record([...ZIP64_SIZES_AND_OFFSET, [8, size], [8, size], [8, at]]);
    await this.#write(record([[4, 0x04034b50], [2, ZIP_VERSION], ...common(known ?? 0)], name));
    await this.#write(zip64);
    let crc = 0;
    const begin = this.#offset;
    await body(async (bytes) => {
      if (known === undefined) crc = crc32(bytes, crc);
      await this.#write(bytes);
    });
    if (this.#offset - begin !== size) throw new Damaged(`${size} bytes were to come, and ${this.#offset - begin} did`);
    if (known === undefined) await this.#write(record([[4, 0x08074b50], [4, crc], [8, size], [8, size]]));
    const entry = [[4, 0x02014b50], [2, UNIX | ZIP_VERSION], [2, ZIP_VERSION], ...common(known ?? crc), [2, 0], [2, 0], [2, 0], [4, REGULAR_FILE], [4, IN_ZIP64_32]];
    this.#directory.push(record(entry, name), zip64);
  }

  async end() {
    const [count, at] = [this.#directory.length / 2, this.#offset];
    for (const part of this.#directory) await this.#write(part);
    const end = this.#offset;
    await this.#write(record([[4, 0x06064b50], [8, 44], [2, UNIX | ZIP_VERSION], [2, ZIP_VERSION], [4, 0], [4, 0], [8, count], [8, count], [8, end - at], [8, at]]));
    await this.#write(record([[4, 0x07064b50], [4, 0], [8, end], [4, 1]]));
    const counts = [[2, IN_ZIP64_16], [2, IN_ZIP64_16]];
    await this.#write(record([[4, 0x06054b50], [2, 0], [2, 0], ...counts, [4, IN_ZIP64_32], [4, IN_ZIP64_32], [2, 0]]));
    await this.#writer.flush();
  }
}

/**
 * All files as one archive. `firstPage` is a page of the listing with the places of the bytes, as the account's
 * object replies with it; `nextPage` asks for the one behind a path. Pages of different versions do not go together: the archive is cut.
 * Returns the stream and a promise that resolves when it has ended.
 */
export async function archive(bucket, firstPage, nextPage) {
  let page = JSON.parse(firstPage).page;
  let reader = new Frames(bucket, page.files.flatMap(({ content }) => content.frames ?? []));
  await reader.fetch();
  const { version } = page;
  const stream = new IdentityTransformStream();
  const ended = write(stream, async (writer) => {
    const zip = new Zip(writer);
    for (;;) {
      for (const file of page.files) {
        await zip.add(file, async (write) => {
          const { object } = file.content;
          if (object === undefined) return writeParts({ write }, reader, wanted(file, 0, file.size));
          if (file.size > 0) for await (const bytes of await objectBody(bucket, object, 0, file.size)) await write(bytes);
        });
      }
      if (page.next === null) return zip.end();
      page = JSON.parse(await nextPage(page.next)).page;
      if (page.version !== version) throw new Error("the files changed while the archive was written");
      reader = new Frames(bucket, page.files.flatMap(({ content }) => content.frames ?? []));
    }
  });
  return [stream.readable, ended];
}
