/*
 * A workspace on disk with the jobs of the worker thread, done here: for tests of what they read and write.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { hash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { User } from "../../src/users.ts";
import { work } from "../../src/workspace/work.ts";
import type { Saved, SaveJob, SaveOutcome } from "../../src/workspace/work.ts";

const scratch = mkdtempSync(join(tmpdir(), "workspace-test-"));
after(() => execFileSync("/bin/sh", ["-c", 'chmod -Rf u+rwx "$1"; rm -rf "$1"', "sh", scratch]));
let count = 0;

const IN_TIME = 60_000;

export function scratchFolder(): string {
  const folder = join(scratch, String(count++));
  mkdirSync(folder, { recursive: true });
  return folder;
}

export class Place {
  readonly root: string;
  readonly store: string;
  readonly user: User | undefined;
  version = 0;
  parts: string[] = [];
  /** Where the packs of all versions are. */
  readonly packFolder: string;
  packs: { no: number; bytes: number }[] = [];

  constructor(user?: User) {
    const folder = scratchFolder();
    this.user = user;
    this.root = join(folder, "workspace");
    this.store = join(folder, "store");
    this.packFolder = join(folder, "packs");
    for (const each of [this.root, this.packFolder]) mkdirSync(each);
  }

  get where(): { root: string; store: string; user: User | undefined } {
    return { root: this.root, store: this.store, user: this.user };
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, contents: string | Uint8Array): void {
    writeFileSync(this.path(name), contents);
  }

  /** What a file was written within the last milliseconds has no signature: from here on it has one. */
  settle(): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40);
  }

  outcome(how: Partial<SaveJob> = {}): SaveOutcome {
    const job: SaveJob = { kind: "save", ...this.where, base: this.version, exclude: [], maxFiles: 50_000, maxBytes: 1 << 30, deadline: Date.now() + IN_TIME, ...how };
    return work(job) as SaveOutcome;
  }

  /** Saves what differs, and takes it as stored. */
  save(how: Partial<SaveJob> = {}): Saved {
    const outcome = this.outcome(how);
    assert.ok("save" in outcome, JSON.stringify(outcome));
    const { save } = outcome;
    const folder = join(this.store, "save");
    this.parts = readFileSync(join(folder, "index"), "utf8").trimEnd().split("\n").slice(1);
    for (const { no, bytes } of save.packs) {
      assert.equal(lstatSync(join(folder, String(no))).size, bytes);
      cpSync(join(folder, String(no)), join(this.packFolder, String(no)), { errorOnExist: true, force: false });
    }
    this.packs = [...this.packs.filter(({ no }) => save.keep.includes(no)), ...save.packs];
    work({ kind: "promote", store: this.store });
    this.version = save.version;
    return save;
  }

  unchanged(how: Partial<SaveJob> = {}): boolean {
    return "unchanged" in this.outcome(how);
  }

  get index(): string {
    return [JSON.stringify({ version: this.version, codec: "zstd", packs: this.packs }), ...this.parts].join("\n");
  }

  entries(): [string, number, ...unknown[]][] {
    return this.parts.flatMap((part) => JSON.parse(part) as [string, number, ...unknown[]][]);
  }

  get paths(): string[] {
    return this.entries().map(([path]) => path);
  }

  /** The stored version, in a fresh folder. */
  restored(user = this.user): Place {
    const place = new Place(user);
    place.restore(this);
    return place;
  }

  restore(from: Place, order = (packs: number[]): number[] => packs): void {
    const { need } = this.begin(from.index);
    for (const no of order(need)) this.extract(no, join(from.packFolder, String(no)));
    this.version = from.version;
    this.parts = from.parts;
    this.packs = from.packs;
    cpSync(from.packFolder, this.packFolder, { recursive: true });
  }

  begin(index: string): { version: number; need: number[] } {
    const file = join(scratchFolder(), "index");
    writeFileSync(file, index);
    return work({ kind: "begin", ...this.where, index: file }) as { version: number; need: number[] };
  }

  extract(no: number, pack: string): void {
    work({ kind: "extract", ...this.where, no, pack });
  }

  upload(path: string, contents: string): void {
    const file = join(scratchFolder(), "upload");
    writeFileSync(file, contents);
    work({ kind: "upload", ...this.where, path, file });
  }

  remove(path: string): void {
    work({ kind: "remove", ...this.where, path });
  }

  /** All that a restore is to bring back, by path: kind, mode, size, time and contents. */
  contents(): Map<string, string> {
    return contentsOf(this.root);
  }
}

export function contentsOf(root: string, folder = "", found = new Map<string, string>()): Map<string, string> {
  for (const name of readdirSync(join(root, folder))) {
    const path = `${folder}${name}`;
    const stats = lstatSync(join(root, path));
    const { size, mtimeMs } = stats;
    const permissions = (stats.mode & 0o777).toString(8);
    if (stats.isSymbolicLink()) found.set(path, `link ${readlinkSync(join(root, path))}`);
    if (stats.isFile()) found.set(path, `file ${permissions} ${size} ${Math.floor(mtimeMs)} ${hash("sha256", readFileSync(join(root, path)))}`);
    if (!stats.isDirectory()) continue;
    found.set(path, `folder ${permissions}`);
    contentsOf(root, `${path}/`, found);
  }
  return found;
}
