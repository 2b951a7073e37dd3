/*
 * What is in a workspace now: every file, folder and link, in the order of their paths, with what tells whether a file has changed.
 * Reads no file. Follows no link.
 */
import type { Stats } from "node:fs";
import type { Signature } from "./entries.ts";
import { MAX_LINK_BYTES } from "./limits.ts";
import { comparePaths, isName, isPath } from "./paths.ts";
import { rulesOf } from "./rules.ts";
import type { Rules } from "./rules.ts";
import { hasCode, NotThere } from "./folder.ts";
import type { Tree } from "./tree.ts";

export type FoundFile = { kind: "file"; path: string; mode: number; size: number; signature: Signature };
export type Found = FoundFile | { kind: "folder"; path: string; mode: number } | { kind: "link"; path: string; target: string };

export type ScanLimits = { exclude: readonly string[]; maxFiles: number; maxBytes: number; checkTime(): void };
export type Scan = {
  found: Found[];
  files: number;
  bytes: number;
  /** What is there and cannot be stored: sockets and the like, what cannot be read, names that are no paths. */
  skipped: number;
};
export type Refusal = "too_many_files" | "too_many_folders" | "too_many_links" | "too_large" | "index_too_large";

/** The workspace goes beyond a bound. */
export class Refused extends Error {
  readonly refusal: Refusal;
  readonly files: number;
  readonly bytes: number;

  constructor(refusal: Refusal, { files, bytes }: { files: number; bytes: number }) {
    super(refusal);
    this.refusal = refusal;
    this.files = files;
    this.bytes = bytes;
  }
}

const PERMISSIONS = 0o777;
/** Names that are looked at, for each file that may be there: folders, links and what is skipped or left out count too. */
const NAMES_A_FILE = 4;

export function scan(tree: Tree, limits: ScanLimits): Scan {
  return new Scanner(tree, limits).run();
}

class Scanner {
  readonly #tree: Tree;
  readonly #limits: ScanLimits;
  readonly #rules: Rules;
  readonly #scan: Scan = { found: [], files: 0, bytes: 0, skipped: 0 };
  #folders = 0;
  #links = 0;
  #namesLeft: number;

  constructor(tree: Tree, limits: ScanLimits) {
    this.#tree = tree;
    this.#limits = limits;
    this.#rules = rulesOf(tree, limits.exclude);
    this.#namesLeft = limits.maxFiles * NAMES_A_FILE;
  }

  run(): Scan {
    this.#folder("");
    this.#scan.found.sort((a, b) => comparePaths(a.path, b.path));
    return this.#scan;
  }

  #folder(path: string): void {
    this.#limits.checkTime();
    const { names, unnamed } = this.#tree.list(path, this.#namesLeft);
    this.#namesLeft -= names.length + unnamed;
    if (this.#namesLeft < 0) throw new Refused("too_many_files", this.#scan);
    this.#scan.skipped += unnamed;
    for (const name of names) this.#entry(path === "" ? name : `${path}/${name}`, name);
  }

  #entry(path: string, name: string): void {
    if (!isName(name) || !isPath(path)) return this.#skip();
    try {
      const stats = this.#tree.lstat(path);
      if (this.#rules.leavesOut(path, stats.isDirectory())) return;
      if (this.#tree.isForeign(stats)) return this.#skip();
      if (stats.isFile()) this.#file(path, stats);
      else if (stats.isDirectory()) this.#inner(path);
      else if (stats.isSymbolicLink()) this.#link(path);
      else this.#skip();
    } catch (error) {
      if (error instanceof NotThere) return;
      if (!hasCode(error, "EACCES", "EPERM", "EINVAL")) throw error;
      this.#skip();
    }
  }

  #file(path: string, stats: Stats): void {
    this.#scan.files += 1;
    this.#scan.bytes += stats.size;
    if (this.#scan.files > this.#limits.maxFiles) throw new Refused("too_many_files", this.#scan);
    if (this.#scan.bytes > this.#limits.maxBytes) throw new Refused("too_large", this.#scan);
    this.#scan.found.push({ kind: "file", path, mode: stats.mode & PERMISSIONS, size: stats.size, signature: signatureOf(stats) });
  }

  #inner(path: string): void {
    const stats = this.#tree.folderStats(path);
    if (this.#tree.isForeign(stats)) return this.#skip();
    this.#folders += 1;
    if (this.#folders > this.#limits.maxFiles) throw new Refused("too_many_folders", this.#scan);
    this.#scan.found.push({ kind: "folder", path, mode: stats.mode & PERMISSIONS });
    this.#folder(path);
  }

  #link(path: string): void {
    const target = this.#tree.readLink(path);
    if (target === undefined || Buffer.byteLength(target) > MAX_LINK_BYTES) return this.#skip();
    this.#links += 1;
    if (this.#links > this.#limits.maxFiles) throw new Refused("too_many_links", this.#scan);
    this.#scan.found.push({ kind: "link", path, target });
  }

  #skip(): void {
    this.#scan.skipped += 1;
  }
}

export function signatureOf({ mtimeMs, ctimeMs, ino }: Stats): Signature {
  return { mtime: mtimeMs, ctime: ctimeMs, inode: ino };
}

export function sameSignature(a: Signature | undefined, b: Signature | undefined): boolean {
  return a !== undefined && b !== undefined && a.mtime === b.mtime && a.ctime === b.ctime && a.inode === b.inode;
}
