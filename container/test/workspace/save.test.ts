/*
 * What a save notices, what it sends, and which packs it keeps.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Table } from "../../src/workspace/entries.ts";
import { compare, pack, packsToKeep } from "../../src/workspace/save.ts";
import { Refused, scan } from "../../src/workspace/scan.ts";
import { PACK_BYTES } from "../../src/workspace/limits.ts";
import { PackWriter } from "../../src/workspace/packs.ts";
import { Tree } from "../../src/workspace/tree.ts";
import { Place, scratchFolder } from "./place.ts";

const MIB = 1024 * 1024;
/** RFC 8878: how a frame begins, and a bit of the byte behind it. */
const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_HAS_CHECKSUM = 0b100;
const noClock = (): void => {};

/** Bytes that don't compress. */
function random(bytes: number): Buffer {
  return randomBytes(bytes);
}

function sent(save: { packs: { bytes: number }[] }): number {
  return save.packs.reduce((sum, { bytes }) => sum + bytes, 0);
}

describe("a save", () => {
  test("of nothing is none", () => {
    assert.deepEqual(new Place().outcome(), { unchanged: true, skipped: 0, unsettled: false });
  });

  test("has a version, its packs' numbers, and the changes by path", () => {
    const place = new Place();
    for (const name of ["b", "a", "c"]) place.write(name, `contents of ${name}`);
    const first = place.save();
    assert.deepEqual([first.version, first.packs.map(({ no }) => no), first.keep], [1, [1024], []]);
    assert.deepEqual(first.changed.map(({ path, change, size }) => [path, change, size]), ["a", "b", "c"].map((name) => [name, "added", 13]));
    place.write("a", "other contents");
    rmSync(place.path("b"));
    place.write("d", "");
    const second = place.save();
    assert.deepEqual([second.version, second.packs.map(({ no }) => no), second.keep], [2, [2048], []]);
    assert.deepEqual(second.changed.map(({ path, change, size }) => [path, change, size]), [["a", "modified", 14], ["b", "deleted", undefined], ["d", "added", 0]]);
    assert.deepEqual(place.restored().contents(), place.contents());
  });

  test("lists a hundred changes and counts them all", () => {
    const place = new Place();
    for (let n = 0; n < 130; n++) place.write(`f${n}`, String(n));
    const save = place.save();
    assert.deepEqual([save.changed.length, save.changed_total], [100, 130]);
  });

  test("twice in a row finds nothing the second time, and reads nothing again the third", () => {
    const place = new Place();
    place.write("a", "pear");
    place.save();
    place.settle();
    assert.deepEqual(place.outcome(), { unchanged: true, skipped: 0, unsettled: false });
    // What is not read again is not missed: only its signature is compared.
    const { atimeMs } = lstatSync(place.path("a"));
    assert.ok(place.unchanged());
    assert.equal(lstatSync(place.path("a")).atimeMs, atimeMs);
  });

  test("notices contents that changed under the same size and time", () => {
    const place = new Place();
    place.write("a", "pear");
    utimesSync(place.path("a"), 1_600_000_000, 1_600_000_000);
    place.settle();
    place.save();
    place.write("a", "plum");
    utimesSync(place.path("a"), 1_600_000_000, 1_600_000_000);
    assert.deepEqual(place.save().changed, [{ path: "a", change: "modified", size: 4 }]);
  });

  test("notices another file that was moved into the place of one with the same size and time", () => {
    const place = new Place();
    for (const [name, contents] of [["a", "pear"], ["b", "plum"]] as const) {
      place.write(name, contents);
      utimesSync(place.path(name), 1_600_000_000, 1_600_000_000);
    }
    place.settle();
    place.save();
    renameSync(place.path("b"), place.path("a"));
    assert.deepEqual(place.save().changed.map(({ path, change }) => [path, change]), [["a", "modified"], ["b", "deleted"]]);
    assert.equal(place.restored().contents().get("a"), place.contents().get("a"));
  });

  test("of a mode or a time sends no contents", () => {
    const place = new Place();
    place.write("a", random(5000));
    place.write("b", random(5000));
    place.settle();
    place.save();
    chmodSync(place.path("a"), 0o700);
    utimesSync(place.path("b"), 1, 1);
    const save = place.save();
    assert.deepEqual([save.packs, save.keep, save.changed], [[], [1024], [{ path: "a", change: "modified", size: 5000 }]]);
    assert.deepEqual(place.restored().contents(), place.contents());
  });

  test("makes copies of hard links", () => {
    const place = new Place();
    place.write("a", "pear");
    linkSync(place.path("a"), place.path("b"));
    place.save();
    assert.deepEqual(place.restored().contents(), place.contents());
  });

  test("follows what changes its kind", () => {
    const place = new Place();
    place.write("file", "x");
    mkdirSync(place.path("folder/inner"), { recursive: true });
    place.write("folder/inner/x", "x");
    symlinkSync("file", place.path("link"));
    place.save();
    rmSync(place.path("file"));
    mkdirSync(place.path("file"));
    rmSync(place.path("folder"), { recursive: true });
    symlinkSync("nowhere", place.path("folder"));
    rmSync(place.path("link"));
    place.write("link", "now a file");
    const save = place.save();
    assert.deepEqual(save.changed.map(({ path, change }) => [path, change]), [["file", "deleted"], ["folder", "added"], ["folder/inner/x", "deleted"], ["link", "modified"]]);
    assert.deepEqual(place.restored().contents(), place.contents());
  });
});

test("a save that would have more packs than a version may is refused as too large", () => {
  const most = 2;
  const writer = new PackWriter(scratchFolder(), 1, most);
  const segments = most * (PACK_BYTES / MIB - 1);
  for (let n = 0; n < segments; n += 1) writer.segment(random(MIB));
  assert.throws(() => writer.segment(random(MIB)), (error: unknown) => error instanceof Refused && error.refusal === "too_large");
  writer.abandon();
  assert.equal(writer.packs.length, most);
});

describe("a file that changes while it is saved", () => {
  test("is saved as it was read, without a signature, and again the next time", () => {
    const place = new Place();
    place.write("a", "pear".repeat(100));
    place.settle();
    const tree = new Tree(place.root);
    const found = scan(tree, { exclude: [], maxFiles: 10, maxBytes: 1000, checkTime: noClock }).found;
    place.write("a", "plum");
    const { pairs } = compare(tree, found, new Table(), noClock);
    const { table, unsettled } = pack(tree, pairs, new Set(), new PackWriter(scratchFolder(), 1), noClock);
    tree.close();
    const entry = table.at(0);
    assert.ok(entry.kind === "file" && unsettled);
    assert.deepEqual([entry.size, entry.signature], [4, undefined]);
  });

  test("is saved no further than it was found, however it grows", () => {
    const place = new Place();
    place.write("a", "pear");
    place.settle();
    const tree = new Tree(place.root);
    const found = scan(tree, { exclude: [], maxFiles: 10, maxBytes: 1000, checkTime: noClock }).found;
    place.write("a", random(5 * MIB));
    const { table } = pack(tree, compare(tree, found, new Table(), noClock).pairs, new Set(), new PackWriter(scratchFolder(), 1), noClock);
    tree.close();
    const entry = table.at(0);
    assert.ok(entry.kind === "file");
    assert.equal(entry.size, 4);
  });

  test("within the same tick of the clock is read again until it has a signature", () => {
    const place = new Place();
    place.write("a", "pear");
    const first = place.outcome();
    assert.ok("save" in first && first.unsettled);
    place.save();
    place.settle();
    assert.deepEqual(place.outcome(), { unchanged: true, skipped: 0, unsettled: false });
  });
});

describe("of a large file", () => {
  const place = new Place();
  place.write("large", random(200 * MIB));
  place.settle();
  place.save();

  test("one changed byte in 200 MiB sends one segment", () => {
    const fd = openSync(place.path("large"), "r+");
    writeSync(fd, "!", 77 * MIB + 5);
    closeSync(fd);
    const save = place.save();
    assert.ok(sent(save) > MIB && sent(save) < 1.01 * MIB, `${sent(save)} bytes`);
    assert.equal(save.packs.length, 1);
    assert.equal(save.keep.length, 14);
  });

  test("what is appended sends the last segment and the new ones", () => {
    const fd = openSync(place.path("large"), "a");
    writeSync(fd, random(100_000));
    closeSync(fd);
    const save = place.save();
    assert.ok(sent(save) < 1.2 * MIB, `${sent(save)} bytes`);
    assert.deepEqual(place.restored().contents(), place.contents());
  });

  test("a restored one is compared by segments too", () => {
    const restored = place.restored();
    const fd = openSync(restored.path("large"), "r+");
    writeSync(fd, "!", 3 * MIB);
    closeSync(fd);
    const save = restored.save();
    assert.ok(sent(save) < 2.3 * MIB, `${sent(save)} bytes`);
  });
});

describe("packs", () => {
  test("that are small are written again with the next change", () => {
    const place = new Place();
    place.write("a", random(500_000));
    place.save();
    place.write("b", random(100));
    const save = place.save();
    assert.deepEqual([save.keep, save.packs.length], [[], 1]);
    assert.ok(sent(save) > 500_000);
  });

  test("of a mebibyte and more stay while half of them is in use", () => {
    const place = new Place();
    for (let n = 0; n < 8; n++) place.write(`f${n}`, random(260_000));
    place.settle();
    const first = place.save();
    assert.deepEqual(first.packs.map(({ no }) => no), [1024]);
    for (const n of [0, 1, 2]) rmSync(place.path(`f${n}`));
    const second = place.save();
    assert.deepEqual([second.keep, second.packs], [[1024], []]);
    for (const n of [3, 4]) rmSync(place.path(`f${n}`));
    const third = place.save();
    assert.deepEqual([third.keep, third.packs.map(({ no }) => no)], [[], [3 * 1024]]);
    assert.ok(sent(third) < 3.1 * 260_000);
    assert.deepEqual(place.restored().contents(), place.contents());
  });

  test("go when nothing of them is left", () => {
    const place = new Place();
    place.write("a", random(2 * MIB));
    place.save();
    rmSync(place.path("a"));
    const save = place.save();
    assert.deepEqual([save.keep, save.packs, save.files], [[], [], 0]);
  });

  test("are of frames with a checksum", () => {
    const place = new Place();
    place.write("small", "x");
    place.write("large", random(2 * MIB));
    const save = place.save();
    assert.equal(save.packs.length, 1);
    const bytes = readFileSync(join(place.packFolder, "1024"));
    const offsets = place.entries().flatMap((entry) => (entry[6] as number[][]).map(([, offset]) => offset ?? 0));
    assert.equal(offsets.length, 3);
    for (const offset of offsets) {
      assert.equal(bytes.readUInt32LE(offset), ZSTD_MAGIC);
      assert.ok((bytes.readUInt8(offset + 4) & ZSTD_HAS_CHECKSUM) !== 0);
    }
  });

  test("are at most 16 MiB", () => {
    const place = new Place();
    place.write("a", random(40 * MIB));
    const save = place.save();
    assert.deepEqual(save.packs.map(({ bytes }) => bytes <= 16 * MIB), [true, true, true]);
  });

  test("are never more than 128: the smallest are written again until 64 of them are left", () => {
    const place = new Place();
    let most = 0;
    let kept = 0;
    for (let n = 0; n < 130; n++) {
      place.write(`f${String(n).padStart(3, "0")}`, random(MIB + 4096));
      const save = place.save();
      most = Math.max(most, place.packs.length);
      if (n === 128) kept = save.keep.length;
    }
    assert.equal(most, 128);
    assert.equal(kept, 64);
    assert.deepEqual(place.restored().contents(), place.contents());
  });

  test("that are full are not written again for their number", () => {
    const packs = Array.from({ length: 200 }, (_none, no) => ({ no, bytes: 16 * MIB }));
    const equal = packs.map(({ no, bytes }) => ({ pack: no, offset: 0, length: bytes, raw: 0 }));
    const found = { kind: "file", path: "a", mode: 0, size: 1, signature: { mtime: 0, ctime: 0, inode: 0 } } as const;
    const pairs = [
      { found, old: undefined, at: 0, same: true, equal },
      { found: { ...found, path: "b" }, old: undefined, at: 0, same: false, equal: [] },
    ];
    assert.equal(packsToKeep(pairs, packs).size, 200);
  });
});

test("one changed file among many changes one part of the index, and parts stay where they were", () => {
  const place = new Place();
  mkdirSync(place.path("f"));
  for (let n = 10_000; n < 18_000; n++) place.write(`f/${n}`, "");
  place.save();
  const before = place.parts;
  assert.ok(before.length >= 2, `${before.length} parts`);
  place.write("f/17000", "x");
  place.write("f/17000-new", "y");
  place.save();
  const changed = place.parts.filter((part) => !before.includes(part));
  assert.equal(changed.length, 1);
  assert.equal(place.parts.length, before.length);
  // What gets too large is cut, and what gets small is joined with its neighbour.
  for (let n = 0; n < 14_000; n++) symlinkSync("x".repeat(60), place.path(`f/17000-${n}`));
  place.save();
  assert.ok(place.parts.every((part) => part.length <= MIB));
  assert.ok(place.parts.length > before.length);
  assert.equal(place.parts[0], before[0]);
  for (let n = 0; n < 14_000; n++) rmSync(place.path(`f/17000-${n}`));
  place.save();
  assert.ok(place.parts.length <= before.length + 1, `${place.parts.length} parts`);
  assert.equal(place.parts[0], before[0]);
});
