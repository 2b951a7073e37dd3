/*
 * The jobs of the worker thread: what is done with one conversation's workspace, from the first call to the last, synchronously.
 */
import { join } from "node:path";
import type { User } from "../users.ts";
import { Table } from "./entries.ts";
import type { Pack } from "./entries.ts";
import { changesOf } from "./changes.ts";
import type { Changes } from "./changes.ts";
import * as inbox from "./inbox.ts";
import { writeIndex } from "./index-file.ts";
import { MAX_PACKS } from "./limits.ts";
import { complete, extract, layOut, readIndexFile } from "./restore.ts";
import { PackWriter } from "./packs.ts";
import { compare, pack, packsToKeep } from "./save.ts";
import type { Pair } from "./save.ts";
import { Refused, sameSignature, scan } from "./scan.ts";
import type { Refusal } from "./scan.ts";
import { Store } from "./store.ts";
import { NotThere } from "./folder.ts";
import { Tree } from "./tree.ts";

/** A conversation's workspace, whose it is, and the server's own folder about it. */
export type Where = { root: string; user: User | undefined; store: string };

export type SaveJob = Where & { kind: "save"; base: number; exclude: readonly string[]; maxFiles: number; maxBytes: number; deadline: number };
export type Job =
  | SaveJob
  | (Where & { kind: "begin"; index: string })
  | (Where & { kind: "extract"; no: number; pack: string })
  | (Where & { kind: "upload"; path: string; file: string })
  | (Where & { kind: "remove"; path: string })
  | { kind: "promote"; store: string }
  | { kind: "drop-save"; store: string }
  | { kind: "drop-files"; store: string }
  | { kind: "drop"; store: string };

export type Saved = {
  version: number;
  files: number;
  bytes: number;
  keep: number[];
  packs: Pack[];
  index_bytes: number;
  skipped: number;
} & Changes;
/** `unsettled`: something may have changed that the next scan alone can see. */
export type SaveOutcome =
  | { unchanged: true; skipped: number; unsettled: boolean }
  | { save: Saved; unsettled: boolean }
  | { refused: Refusal; files: number; bytes: number };

/** What each kind of job answers. */
export type Answers = {
  save: SaveOutcome;
  begin: { version: number; need: number[] };
  extract: void;
  upload: void;
  remove: void;
  promote: void;
  "drop-save": void;
  "drop-files": void;
  drop: void;
};

class OutOfTime extends Error {
  readonly code = "out_of_time";
}

export function work(job: Job): Answers[Job["kind"]] {
  const store = new Store(job.store);
  switch (job.kind) {
    case "save":
      return save(job, store);
    case "begin":
      return withTree(job, (tree) => begin(tree, store, job.index));
    case "extract":
      return withTree(job, (tree) => fill(tree, store, job.no, job.pack));
    case "upload":
      return withTree(job, (tree) => inbox.upload(tree, job.path, job.file));
    case "remove":
      return withTree(job, (tree) => inbox.remove(tree, job.path));
    case "promote":
      return store.promote();
    case "drop-save":
      return store.dropSave();
    case "drop-files":
      return store.dropFiles();
    case "drop":
      return store.drop();
  }
}

function save(job: SaveJob, store: Store): SaveOutcome {
  const checkTime = (): void => {
    if (Date.now() > job.deadline) throw new OutOfTime();
  };
  try {
    return withTree(job, (tree) => saved(tree, store, job, checkTime));
  } catch (error) {
    store.dropSave();
    // A conversation that never got as far as having a folder.
    if (error instanceof NotThere && job.base === 0) return { unchanged: true, skipped: 0, unsettled: false };
    if (!(error instanceof Refused)) throw error;
    return { refused: error.refusal, files: error.files, bytes: error.bytes };
  }
}

function saved(tree: Tree, store: Store, job: SaveJob, checkTime: () => void): SaveOutcome {
  const found = scan(tree, { ...job, checkTime });
  const { skipped } = found;
  const base = job.base === 0 ? new Table() : store.table("base");
  const { pairs, differs } = compare(tree, found.found, base, checkTime);
  if (!differs) return { unchanged: true, skipped, unsettled: refreshed(store, base, pairs) };
  const version = job.base + 1;
  const kept = packsToKeep(pairs, base.head.packs);
  const folder = store.beginSave();
  const writer = new PackWriter(folder, version, MAX_PACKS - kept.size);
  try {
    const { table, unsettled } = pack(tree, pairs, kept, writer, checkTime);
    const keep = base.head.packs.filter(({ no }) => kept.has(no));
    table.head.version = version;
    table.head.packs = [...keep, ...writer.packs];
    const boundaries = base.head.boundaries.map((index) => base.path(index));
    const totals = totalsOf(table);
    const index_bytes = writeIndex(join(folder, "index"), table, boundaries, totals);
    const changes = changesOf(base, table);
    store.put("next", table);
    return { save: { version, ...totals, keep: [...kept], packs: writer.packs, index_bytes, skipped, ...changes }, unsettled };
  } finally {
    writer.abandon();
  }
}

/** Files that were read again and are as they were need not be read the next time. */
function refreshed(store: Store, base: Table, pairs: readonly Pair[]): boolean {
  let unsettled = false;
  let fresh = false;
  for (const { found, old, at, signature } of pairs) {
    if (found.kind !== "file" || old?.kind !== "file" || sameSignature(found.signature, old.signature)) continue;
    if (signature === undefined) unsettled = true;
    else {
      base.setSignature(at, signature);
      fresh = true;
    }
  }
  if (fresh && base.head.version > 0) store.put("base", base);
  return unsettled;
}

function totalsOf(table: Table): { files: number; bytes: number } {
  const totals = { files: 0, bytes: 0 };
  for (const entry of table.entries()) {
    if (entry.kind !== "file") continue;
    totals.files += 1;
    totals.bytes += entry.size;
  }
  return totals;
}

function begin(tree: Tree, store: Store, index: string): Answers["begin"] {
  const table = readIndexFile(index);
  store.dropSave();
  const need = layOut(tree, table);
  if (need.length === 0) complete(tree, table);
  store.put("base", table);
  return { version: table.head.version, need };
}

function fill(tree: Tree, store: Store, no: number, file: string): void {
  const table = store.table("base");
  extract(tree, table, no, file);
  const needed = new Set<number>();
  for (const entry of table.entries()) if (entry.kind === "file") for (const { pack } of entry.segments) needed.add(pack);
  if ([...needed].every((pack) => table.head.extracted.includes(pack))) {
    complete(tree, table);
    table.head.extracted = [];
  }
  store.put("base", table);
}

function withTree<T>({ root, user }: Where, use: (tree: Tree) => T): T {
  const tree = new Tree(root, user);
  try {
    return use(tree);
  } finally {
    tree.close();
  }
}
