/*
 * A tree whose owner puts links in the server's way: nothing outside of it is ever read, written, removed or given away.
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Table } from "../../src/workspace/entries.ts";
import { PackWriter } from "../../src/workspace/packs.ts";
import { compare, pack } from "../../src/workspace/save.ts";
import { scan } from "../../src/workspace/scan.ts";
import { Store } from "../../src/workspace/store.ts";
import { Tree } from "../../src/workspace/tree.ts";
import type { User } from "../../src/users.ts";
import { Place, scratchFolder } from "./place.ts";

const noClock = (): void => {};
const LIMITS = { exclude: [], maxFiles: 1000, maxBytes: 1 << 20, checkTime: noClock };
/** Where users are separate, the server is root. */
const isRoot = process.getuid?.() === 0;
const user: User | undefined = isRoot ? { uid: 123_456, gid: 123_456 } : undefined;

/** A folder outside of every workspace. */
function secrets(): string {
  const folder = scratchFolder();
  writeFileSync(join(folder, "key"), "SECRET", { mode: 0o600 });
  return folder;
}

function assertUntouched(folder: string): void {
  assert.equal(readFileSync(join(folder, "key"), "utf8"), "SECRET");
  const { mode, uid } = lstatSync(join(folder, "key"));
  assert.deepEqual([mode & 0o777, uid], [0o600, process.getuid?.()]);
  assert.equal(lstatSync(folder).uid, process.getuid?.());
}

function owned(): Place {
  const place = new Place(user);
  if (user !== undefined) chownSync(place.root, user.uid, user.gid);
  return place;
}

describe("a save", () => {
  test("does not enter a folder that has become a link since it was listed", () => {
    const place = new Place();
    mkdirSync(place.path("d/e"), { recursive: true });
    place.write("d/key", "mine");
    place.write("d/e/key", "mine");
    place.write("z", "z");
    const secret = secrets();
    const tree = new Tree(place.root);
    const { found } = scan(tree, LIMITS);
    // Nothing is open any more in `d`.
    tree.lstat("z");
    rmSync(place.path("d"), { recursive: true });
    symlinkSync(secret, place.path("d"));
    const base = new Table();
    const { table, unsettled } = pack(tree, compare(tree, found, base, noClock).pairs, new Set(), new PackWriter(scratchFolder(), 1), noClock);
    tree.close();
    const files = [...table.entries()].flatMap((entry) => (entry.kind === "file" ? [entry.path] : []));
    assert.deepEqual([files, unsettled], [["z"], true]);
  });

  test("does not compare a file that has become a link since it was listed", () => {
    const place = new Place();
    place.write("key", "SECRET");
    // Too young for a signature: its contents are compared the next time.
    place.save();
    const secret = secrets();
    const tree = new Tree(place.root);
    const { found } = scan(tree, LIMITS);
    const base = new Store(place.store).table("base");
    assert.equal(compare(tree, found, base, noClock).differs, false);
    rmSync(place.path("key"));
    symlinkSync(join(secret, "key"), place.path("key"));
    assert.equal(compare(tree, found, base, noClock).differs, true);
    tree.close();
  });

  test("reads from a folder it has opened, whatever has taken its place", () => {
    const place = new Place();
    mkdirSync(place.path("d"));
    place.write("d/key", "mine");
    const secret = secrets();
    const tree = new Tree(place.root);
    tree.lstat("d/key");
    renameSync(place.path("d"), place.path("moved"));
    symlinkSync(secret, place.path("d"));
    const { fd } = tree.openFile("d/key");
    assert.equal(readFileSync(fd, "utf8"), "mine");
    tree.close();
  });

  test("refuses a root that is a link", () => {
    const place = new Place();
    rmSync(place.root, { recursive: true });
    symlinkSync(secrets(), place.root);
    assert.throws(() => new Tree(place.root), { code: "not_there" });
  });

  // Where the kernel lets everyone link files of others, a link would hand the server's own files over.
  if (isRoot) {
    test("does not read a file of somebody else that is linked into the workspace", () => {
      const place = owned();
      place.write("own", "mine");
      chownSync(place.path("own"), 123_456, 123_456);
      const secret = secrets();
      linkSync(join(secret, "key"), place.path("key"));
      const save = place.save();
      assert.deepEqual([place.paths, save.skipped], [["own"], 1]);
      place.upload("key", "uploaded");
      assertUntouched(secret);
      assert.equal(readFileSync(place.path("key"), "utf8"), "uploaded");
    });
  }
});

describe("an upload", () => {
  test("replaces a link in its way by a folder, and never writes through it", () => {
    const place = owned();
    const secret = secrets();
    symlinkSync(secret, place.path("d"));
    place.upload("d/key", "uploaded");
    assert.ok(lstatSync(place.path("d")).isDirectory());
    assert.equal(readFileSync(place.path("d/key"), "utf8"), "uploaded");
    assertUntouched(secret);
  });

  test("replaces a link in its place, and a file in the way of its folder", () => {
    const place = owned();
    const secret = secrets();
    symlinkSync(join(secret, "key"), place.path("key"));
    place.write("file", "x");
    place.upload("key", "uploaded");
    place.upload("file/inner", "uploaded");
    assertUntouched(secret);
    assert.ok(lstatSync(place.path("key")).isFile());
    assert.equal(readFileSync(place.path("file/inner"), "utf8"), "uploaded");
  });

  test("replaces a folder in its place with all that is in it", () => {
    const place = owned();
    mkdirSync(place.path("a/b/c"), { recursive: true });
    const secret = secrets();
    symlinkSync(secret, place.path("a/b/link"));
    place.upload("a/b", "uploaded");
    assert.equal(readFileSync(place.path("a/b"), "utf8"), "uploaded");
    assertUntouched(secret);
  });

  test("keeps the mode of the file that it replaces, and leaves nothing else behind", () => {
    const place = owned();
    place.write("run.sh", "old");
    chmodSync(place.path("run.sh"), 0o755);
    place.upload("run.sh", "new");
    place.upload("d/new.txt", "new");
    assert.deepEqual([...place.contents()].map(([path, what]) => `${path} ${what.split(" ").slice(0, 2).join(" ")}`), ["d folder 755", "d/new.txt file 644", "run.sh file 755"]);
    if (user !== undefined) for (const path of ["d", "d/new.txt", "run.sh"]) assert.equal(lstatSync(place.path(path)).uid, user.uid);
  });
});

describe("a deletion", () => {
  test("removes links and not what they lead to, at any depth", () => {
    const place = owned();
    const secret = secrets();
    mkdirSync(place.path("d/e"), { recursive: true });
    symlinkSync(secret, place.path("d/e/link"));
    symlinkSync(secret, place.path("link"));
    place.remove("link/key");
    place.remove("link/");
    assert.ok(existsSync(place.path("link")));
    place.remove("link");
    place.remove("d/");
    place.remove("d/");
    assert.equal(place.contents().size, 0);
    assertUntouched(secret);
  });

  test("of a file leaves a folder of that name, and the other way round", () => {
    const place = owned();
    mkdirSync(place.path("folder"));
    place.write("file", "x");
    place.remove("folder");
    place.remove("file/");
    assert.equal(place.contents().size, 2);
  });

  test("removes what is deeper than anything has a name for, and what has no name", () => {
    const place = owned();
    const deep = 20_000;
    let at = place.path("top");
    mkdirSync(at);
    // Longer than a path may be: built from the inside out.
    for (let depth = 0; depth < deep; depth++) {
      const next = place.path("building");
      mkdirSync(next);
      renameSync(at, join(next, "n".repeat(20)));
      at = next;
      renameSync(at, place.path("top"));
      at = place.path("top");
    }
    mkdirSync(Buffer.concat([Buffer.from(`${place.path("")}/`), Buffer.from([0xff, 0xfe])]));
    writeFileSync(Buffer.concat([Buffer.from(`${place.path("")}/`), Buffer.from([0xff, 0xfe]), Buffer.from("/inner")]), "");
    const tree = new Tree(place.root);
    tree.empty();
    tree.close();
    assert.equal(place.contents().size, 0);
  });
});

describe("a restore", () => {
  test("empties the workspace without following a link", () => {
    const place = owned();
    const secret = secrets();
    symlinkSync(secret, place.path("d"));
    const stored = new Place();
    mkdirSync(stored.path("d"));
    stored.write("d/key", "restored");
    stored.save();
    place.restore(stored);
    assertUntouched(secret);
    assert.equal(readFileSync(place.path("d/key"), "utf8"), "restored");
  });

  test("does not write through a link that has taken a folder's place since it was laid out", () => {
    const place = owned();
    const secret = secrets();
    const stored = new Place();
    mkdirSync(stored.path("d"));
    stored.write("d/key", "restored");
    stored.save();
    const { need } = place.begin(stored.index);
    rmSync(place.path("d"), { recursive: true });
    symlinkSync(secret, place.path("d"));
    assert.throws(() => place.extract(need[0] ?? 0, join(stored.packFolder, String(need[0]))), { code: "not_there" });
    assertUntouched(secret);
  });

  if (isRoot) {
    test("gives everything to the conversation's user, links too", () => {
      const stored = new Place();
      mkdirSync(stored.path("d"));
      stored.write("d/a", "a");
      stored.write("d/empty", "");
      symlinkSync("/etc/passwd", stored.path("link"));
      stored.save();
      const place = owned();
      place.restore(stored);
      for (const path of ["d", "d/a", "d/empty", "link"]) assert.deepEqual([lstatSync(place.path(path)).uid, lstatSync(place.path(path)).gid], [123_456, 123_456], path);
      assert.equal(lstatSync("/etc/passwd").uid, 0);
      assert.deepEqual(place.outcome(), { unchanged: true, skipped: 0, unsettled: false });
    });
  }
});
