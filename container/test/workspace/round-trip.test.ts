/*
 * What is saved comes back as it was: contents, modes, times, links, names of every kind, through real zstd and real files.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { comparePaths } from "../../src/workspace/paths.ts";
import { Place } from "./place.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES = [0, 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB - 1, MIB, MIB + 1, 20 * MIB];
const ODD_NAMES = ["with space", " leading", "trailing ", "-dash", "--", "😀", "\ufffd", "a\ufffd😀", "ä", "a\u0308", "e\u2028f", "\\", "*", "[x]", "'", '"', "$(x)", "!important", "#comment", ".hidden", "...", "~", "%2e", "x".repeat(255), "😀".repeat(63), "con:aux"];
const FILES = 5_000;

/** Contents that compress, and contents that don't. */
function contents(size: number, seed: number): Buffer {
  return seed % 3 === 0 ? randomBytes(size) : Buffer.alloc(size, `line ${seed} of a file\n`);
}

function odd(): Place {
  const place = new Place();
  let made = 0;
  const file = (path: string, size: number): void => {
    place.write(path, contents(size, made));
    chmodSync(place.path(path), [0o644, 0o600, 0o755, 0o444, 0o777, 0o640][made % 6] ?? 0);
    const time = made % 7 === 0 ? made : 1_700_000_000 + made / 1000;
    utimesSync(place.path(path), time, time);
    made += 1;
  };
  for (const folder of ["", ...ODD_NAMES.map((name) => `${name}/`)]) {
    if (folder !== "") mkdirSync(place.path(folder));
    for (const name of ODD_NAMES) if (folder !== `${name}/` && folder !== "") file(`${folder}${name}`, made % 2000);
  }
  mkdirSync(place.path("sizes"));
  for (const size of SIZES) file(`sizes/${size}`, size);
  mkdirSync(place.path("deep/".repeat(100)), { recursive: true });
  for (const name of ["many-a", "many-b", "many/c", "many"]) mkdirSync(place.path(name), { recursive: true });
  for (let n = 0; made < FILES; n++) file(`${["many-a", "many-b", "many/c", "many"][n % 4]}/f${n}`, n % 5000);
  for (const [name, target] of [["dangling", "nowhere"], ["absolute", "/etc/passwd"], ["self", "self"], ["loop-a", "loop-b"], ["loop-b", "loop-a"], ["up", "../../.."], ["odd", " 😀\n"], ["folder", "many"]]) {
    symlinkSync(target ?? "", place.path(`link-${name}`));
  }
  mkdirSync(place.path("empty/inner"), { recursive: true });
  for (const [mode, name] of [[0o500, "sealed"], [0o711, "open"]] as const) {
    mkdirSync(place.path(`${name}/inner`), { recursive: true });
    file(`${name}/file`, 10);
    chmodSync(place.path(name), mode);
  }
  return place;
}

describe("5,000 files of every kind", () => {
  const place = odd();
  place.settle();
  const save = place.save();
  const restored = place.restored();

  test("are saved without one left out", () => {
    assert.ok(save.files >= FILES && save.skipped === 0, `${save.files} files, ${save.skipped} skipped`);
    assert.equal(place.paths.length, place.contents().size);
  });

  test("come back byte for byte, with modes, times and links", () => {
    assert.deepEqual(restored.contents(), place.contents());
  });

  test("are unchanged to a save right after their restore, and before it", () => {
    assert.deepEqual(restored.outcome(), { unchanged: true, skipped: 0, unsettled: false });
    assert.deepEqual(place.outcome(), { unchanged: true, skipped: 0, unsettled: false });
  });

  test("stand in the index in the order of their bytes, in parts of about 256 KiB", () => {
    const sorted = [...place.paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(place.paths, sorted);
    assert.ok(place.parts.length > 2);
    for (const part of place.parts.slice(0, -1)) assert.ok(part.length > 200 * KIB && part.length <= 256 * KIB + KIB, `${part.length}`);
  });

  test("come back over another restore, in the same folder, packs in any order", () => {
    const { ino } = lstatSync(restored.root);
    writeFileSync(restored.path("left over"), "");
    chmodSync(restored.path("empty"), 0);
    restored.restore(place, (packs) => packs.reverse());
    assert.equal(lstatSync(restored.root).ino, ino);
    assert.deepEqual(restored.contents(), place.contents());
    assert.deepEqual(restored.outcome(), { unchanged: true, skipped: 0, unsettled: false });
  });

  test("are sent as changes of one pack when three of them change after the restore", () => {
    for (const name of ["many/f3", "many-a/f0", "sizes/1"]) {
      chmodSync(restored.path(name), 0o644);
      restored.write(name, "changed");
    }
    const next = restored.save();
    assert.deepEqual(next.changed.map(({ path, change }) => [path, change]), ["many-a/f0", "many/f3", "sizes/1"].map((path) => [path, "modified"]));
    assert.equal(next.packs.length, 1);
    assert.deepEqual(restored.restored().contents(), restored.contents());
  });
});

test("paths are ordered by their bytes, where JavaScript's order is another", () => {
  const paths = ["a", "a/b", "a-b", "a\u{1f600}", "a\ufffd", "a\ue000", "\u{10ffff}", "\ud7ff", "b"];
  const byBytes = [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual([...paths].sort(comparePaths), byBytes);
  assert.notDeepEqual([...paths].sort(), byBytes);
});
