/*
 * What is not in a save: a workspace beyond its bounds, what is left out on purpose, and what cannot be stored.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { Place } from "./place.ts";

describe("a workspace over a bound is refused, and never saved in part", () => {
  const place = new Place();
  for (let n = 0; n < 5; n++) place.write(`f${n}`, "12345");
  for (const name of ["l1", "l2"]) symlinkSync("x", place.path(name));

  test("too many files", () => {
    assert.deepEqual(place.outcome({ maxFiles: 4 }), { refused: "too_many_files", files: 5, bytes: 25 });
    assert.ok("save" in place.outcome({ maxFiles: 5 }));
  });

  test("too many bytes", () => {
    assert.deepEqual(place.outcome({ maxBytes: 24 }), { refused: "too_large", files: 5, bytes: 25 });
    assert.ok("save" in place.outcome({ maxBytes: 25 }));
  });

  test("too many links, folders and other names", () => {
    const links = new Place();
    for (const name of ["a", "b", "c"]) symlinkSync("x", links.path(name));
    assert.deepEqual(links.outcome({ maxFiles: 2 }), { refused: "too_many_links", files: 0, bytes: 0 });
    const folders = new Place();
    for (const name of ["a", "b", "c"]) mkdirSync(folders.path(name));
    assert.deepEqual(folders.outcome({ maxFiles: 2 }), { refused: "too_many_folders", files: 0, bytes: 0 });
    const left = new Place();
    for (let n = 0; n < 9; n++) left.write(`f${n}`, "");
    assert.deepEqual(left.outcome({ maxFiles: 2, exclude: ["*"] }), { refused: "too_many_files", files: 0, bytes: 0 });
  });

  test("an index that is too large", () => {
    const wide = new Place();
    const folder = `${"d".repeat(250)}/`.repeat(3);
    mkdirSync(wide.path(folder), { recursive: true });
    for (let n = 0; n < 23_000; n++) symlinkSync(`${n}`, wide.path(`${folder}${n}`));
    const outcome = wide.outcome();
    assert.equal("refused" in outcome && outcome.refused, "index_too_large");
  });
});

describe("what is left out", () => {
  test("is what .agentignore and the operator say, and nothing else", () => {
    const place = new Place();
    place.write(".agentignore", "*.log\n!keep.log\nbuild/\n/top\n# comment\nCase\n");
    for (const folder of ["build", "src/build", ".git", "node_modules", "src/top"]) mkdirSync(place.path(folder), { recursive: true });
    for (const name of ["a.log", "keep.log", "build/x", "src/build/x", ".git/HEAD", "node_modules/x", "top", "src/top/x", "secret.pem", "case"]) place.write(name, "x");
    place.save({ exclude: ["*.pem"] });
    assert.deepEqual(place.paths, [".agentignore", ".git", ".git/HEAD", "case", "keep.log", "node_modules", "node_modules/x", "src", "src/top", "src/top/x"]);
  });

  test("by the operator is not taken back by a user's file", () => {
    const place = new Place();
    place.write(".agentignore", "!secret.pem");
    place.write("secret.pem", "x");
    place.save({ exclude: ["*.pem"] });
    assert.deepEqual(place.paths, [".agentignore"]);
  });

  test("is not counted as skipped", () => {
    const place = new Place();
    place.write("a.log", "x");
    assert.deepEqual(place.outcome({ exclude: ["*.log"] }), { unchanged: true, skipped: 0, unsettled: false });
  });

  test("can be said by a link no more than by a folder", () => {
    const place = new Place();
    mkdirSync(place.path("real"));
    place.write("real/rules", "*");
    symlinkSync("real/rules", place.path(".agentignore"));
    place.save();
    assert.deepEqual(place.paths, [".agentignore", "real", "real/rules"]);
  });
});

test("what cannot be stored is counted: sockets, FIFOs, names with control characters, no UTF-8, or too long", async (context) => {
  const place = new Place();
  const server = createServer().listen(place.path("socket"));
  context.after(() => server.close());
  await once(server, "listening");
  execFileSync("/bin/sh", ["-c", 'cd "$1"; mkfifo fifo; : > "$(printf "a\\nb")"; : > "$(printf "\\377\\376")"; : > "$(printf "\\357\\277\\275")"; : > "$(printf "del\\177")"', "sh", place.root]);
  let folder = "";
  while (folder.length < 1100) {
    folder += `${"n".repeat(120)}/`;
    // The last of them is over 1,024 bytes.
    mkdirSync(place.path(folder));
  }
  const save = place.save();
  assert.equal(save.skipped, 6);
  assert.ok(place.paths.includes("\ufffd") && !place.paths.includes("fifo"));
  assert.equal(save.files, 1);
});
