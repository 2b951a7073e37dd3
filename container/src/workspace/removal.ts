/*
 * Removes what is in a tree that belongs to somebody else, without following a link and however deep a folder goes.
 */
import { chmodSync, closeSync, constants, fchmodSync, fstatSync, openSync, readdirSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import type { Stats } from "node:fs";
import { isUtf8 } from "node:buffer";
import { Folder, hasCode, IS_LINUX, NotThere, O_PATH, PRIVATE_FOLDER } from "./folder.ts";

const { O_DIRECTORY, O_NOFOLLOW } = constants;
/** Folders that are open at once. */
const MAX_REMOVAL_DEPTH = 256;

/** What is too deep is moved up to the root first. */
export class Removal {
  readonly #root: Folder;
  readonly #movedUp: string[] = [];

  constructor(root: Folder) {
    this.#root = root;
  }

  remove(folder: Folder, name: string): void {
    this.#entry(folder, name, 0);
    this.#rest();
  }

  empty(): void {
    this.#contents(this.#root, 0);
    this.#rest();
  }

  #rest(): void {
    for (let name = this.#movedUp.pop(); name !== undefined; name = this.#movedUp.pop()) this.#entry(this.#root, name, 0);
  }

  #entry(folder: Folder, name: string, depth: number): void {
    if (unlinked(folder.to(name))) return;
    if (depth > MAX_REMOVAL_DEPTH) return this.#moveUp(folder.to(name));
    let inner: Folder;
    try {
      inner = openedForRemoval(folder, name);
    } catch (error) {
      // Something else has taken the folder's place meanwhile; the caller tries again or says that it is there.
      if (error instanceof NotThere) return;
      throw error;
    }
    try {
      this.#contents(inner, depth + 1);
    } finally {
      inner.close();
    }
    try {
      rmdirSync(folder.to(name));
    } catch (error) {
      if (!hasCode(error, "ENOENT", "ENOTDIR")) throw error;
    }
  }

  #contents(folder: Folder, depth: number): void {
    for (const name of readdirSync(folder.path, { encoding: "buffer" })) {
      if (isUtf8(name)) this.#entry(folder, name.toString(), depth);
      else this.#unnamed(Buffer.concat([Buffer.from(folder.path), name]));
    }
  }

  /** Only calls that take bytes can name it. */
  #unnamed(path: Buffer): void {
    if (!unlinked(path)) this.#moveUp(path);
  }

  #moveUp(path: string | Buffer): void {
    const name = `.removed-${process.hrtime.bigint()}`;
    renameSync(path, this.#root.to(name));
    this.#movedUp.push(name);
  }
}

/** False: it is a folder. */
function unlinked(path: string | Buffer): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return true;
    if (hasCode(error, "EISDIR", "EPERM")) return false;
    throw error;
  }
}

/** A folder that its owner may not enter is opened up first; that it is the same one is sure, as it is named by its descriptor. */
function openedForRemoval(parent: Folder, name: string): Folder {
  try {
    const folder = new Folder(parent.to(name));
    const stats = fstatSync(folder.fd);
    if ((stats.mode & PRIVATE_FOLDER) !== PRIVATE_FOLDER && isOwn(stats)) fchmodSync(folder.fd, PRIVATE_FOLDER);
    return folder;
  } catch (error) {
    if (!IS_LINUX || !hasCode(error, "EACCES")) throw error;
  }
  const closed = openSync(parent.to(name), O_PATH | O_NOFOLLOW | O_DIRECTORY);
  try {
    chmodSync(`/proc/self/fd/${closed}`, PRIVATE_FOLDER);
  } finally {
    closeSync(closed);
  }
  return new Folder(parent.to(name));
}

/** Root needs no leave. */
function isOwn(stats: Stats): boolean {
  return stats.uid === process.getuid?.();
}

