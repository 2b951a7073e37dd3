/*
 * A folder tree that belongs to somebody who may change it at any moment, and put a link wherever a file or a folder was.
 * The server is root, so nothing here follows a link: folders are opened one by one, and what is in them is named through the open folder.
 * All calls are synchronous: this is for the worker thread.
 */
import {
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { isUtf8 } from "node:buffer";
import type { User } from "../users.ts";
import { Folder, hasCode, NotThere, O_PATH, orNotThere, PRIVATE_FOLDER } from "./folder.ts";
import { Removal } from "./removal.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
/** Of a file that is being made. */
const PRIVATE_FILE = 0o600;
const NAMES_AT_ONCE = 256;
/** What the agent puts in the way again as soon as it is removed stays. */
const MAX_ATTEMPTS = 8;
const REPLACEMENT_CHARACTER = "\ufffd";

export class Tree {
  readonly #root: Folder;
  /** Whom everything is to belong to; undefined: the server's own user. */
  readonly #user: User | undefined;
  /** The folders that lead to the one that was used last. */
  #open: { name: string; folder: Folder }[] = [];

  constructor(root: string, user?: User) {
    this.#root = new Folder(root);
    this.#user = user;
  }

  close(): void {
    this.#leave(0);
    this.#root.close();
  }

  /** What belongs to somebody else has been linked here, and is not read. */
  isForeign(stats: Stats): boolean {
    return this.#user !== undefined && stats.uid !== this.#user.uid;
  }

  /** The names in a folder, and how many more there are that are no UTF-8. It stops behind `limit` names. */
  list(path: string, limit: number): { names: string[]; unnamed: number } {
    const folder = this.#folder(path);
    const names: string[] = [];
    let unclear = false;
    const directory = opendirSync(folder.path, { bufferSize: NAMES_AT_ONCE });
    try {
      for (let entry = directory.readSync(); entry !== null && names.length <= limit; entry = directory.readSync()) {
        unclear ||= entry.name.includes(REPLACEMENT_CHARACTER);
        names.push(entry.name);
      }
    } finally {
      directory.closeSync();
    }
    if (!unclear || names.length > limit) return { names, unnamed: 0 };
    const all = readdirSync(folder.path, { encoding: "buffer" });
    const clear = all.filter((name) => isUtf8(name)).map(String);
    return { names: clear, unnamed: all.length - clear.length };
  }

  lstat(path: string): Stats {
    const { folder, name } = this.#place(path);
    return orNotThere(() => lstatSync(folder.to(name)));
  }

  /** The mode of a folder that can be entered; it throws for everything else. */
  folderStats(path: string): Stats {
    return fstatSync(this.#folder(path).fd);
  }

  /** Undefined where the target is no UTF-8. */
  readLink(path: string): string | undefined {
    const { folder, name } = this.#place(path);
    const target = orNotThere(() => readlinkSync(folder.to(name), { encoding: "buffer" }));
    return isUtf8(target) ? target.toString() : undefined;
  }

  /** A regular file, for reading. The caller closes it. */
  openFile(path: string): { fd: number; stats: Stats } {
    const { folder, name } = this.#place(path);
    return openedFile(folder.to(name), O_RDONLY, (stats) => !this.isForeign(stats));
  }

  /** A file that `createFile` made, for writing more of it. */
  reopenFile(path: string): number {
    const { folder, name } = this.#place(path);
    return openedFile(folder.to(name), O_RDWR, (stats) => stats.nlink === 1 && !this.isForeign(stats)).fd;
  }

  /** A new file in the place of whatever is there. The caller closes it. */
  createFile(path: string): number {
    const { folder, name } = this.#place(path);
    return this.#fresh(folder, name, () => {
      const fd = openSync(folder.to(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE_FILE);
      if (this.#user !== undefined) fchownSync(fd, this.#user.uid, this.#user.gid);
      return fd;
    });
  }

  /** A new link in the place of whatever is there. */
  createLink(path: string, target: string): void {
    const { folder, name } = this.#place(path);
    this.#fresh(folder, name, () => symlinkSync(target, folder.to(name)));
    if (this.#user === undefined) return;
    const link = openSync(folder.to(name), O_PATH | O_NOFOLLOW);
    try {
      const stats = fstatSync(link);
      if (stats.isSymbolicLink() && stats.nlink === 1) chownSync(`/proc/self/fd/${link}`, this.#user.uid, this.#user.gid);
    } finally {
      closeSync(link);
    }
  }

  /** The folder and those around it; a file or a link that stands in the way is replaced. */
  makeFolder(path: string): void {
    let parent = this.#root;
    const names = path === "" ? [] : path.split("/");
    for (const [depth, name] of names.entries()) {
      const known = this.#open[depth];
      if (known?.name !== name) {
        this.#leave(depth);
        this.#open.push({ name, folder: this.#madeFolder(parent, name) });
      }
      parent = this.#open[depth]?.folder ?? parent;
    }
  }

  setFolderMode(path: string, mode: number): void {
    fchmodSync(this.#folder(path).fd, mode);
  }

  /** Moves a file into the place of whatever is there; both are in the same folder. */
  rename(from: string, to: string): void {
    const { folder, name } = this.#place(from);
    const target = to.slice(to.lastIndexOf("/") + 1);
    for (let attempt = 1; ; attempt++) {
      try {
        return renameSync(folder.to(name), folder.to(target));
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !hasCode(error, "EISDIR", "ENOTEMPTY", "EEXIST")) throw error;
        this.#removeIn(folder, target);
      }
    }
  }

  /** Whatever is there, with all that is in it. What is not there is gone. */
  remove(path: string): void {
    const { folder, name } = this.#place(path);
    this.#removeIn(folder, name);
  }

  /** All that is in the root; the root stays the folder that it is. */
  empty(): void {
    this.#leave(0);
    new Removal(this.#root).empty();
  }

  #place(path: string): { folder: Folder; name: string } {
    const slash = path.lastIndexOf("/");
    return { folder: this.#folder(path.slice(0, Math.max(0, slash))), name: path.slice(slash + 1) };
  }

  /** Opened on from the folders that are open already. */
  #folder(path: string): Folder {
    if (path === "") {
      this.#leave(0);
      return this.#root;
    }
    const names = path.split("/");
    let depth = 0;
    while (depth < names.length && this.#open[depth]?.name === names[depth]) depth += 1;
    this.#leave(depth);
    let folder = this.#open.at(-1)?.folder ?? this.#root;
    for (const name of names.slice(depth)) {
      folder = new Folder(folder.to(name));
      this.#open.push({ name, folder });
    }
    return folder;
  }

  #leave(depth: number): void {
    for (const { folder } of this.#open.splice(depth)) folder.close();
  }

  #madeFolder(parent: Folder, name: string): Folder {
    return this.#fresh(parent, name, () => {
      try {
        const folder = new Folder(parent.to(name));
        if (!this.isForeign(fstatSync(folder.fd))) return folder;
        folder.close();
      } catch (error) {
        if (!(error instanceof NotThere)) throw error;
      }
      mkdirSync(parent.to(name), { mode: PRIVATE_FOLDER });
      const folder = new Folder(parent.to(name));
      if (this.#user !== undefined) fchownSync(folder.fd, this.#user.uid, this.#user.gid);
      return folder;
    });
  }

  /** Whatever is in the way is removed first. */
  #fresh<T>(folder: Folder, name: string, make: () => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        return make();
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !hasCode(error, "EEXIST")) throw error;
        this.#removeIn(folder, name);
      }
    }
  }

  #removeIn(folder: Folder, name: string): void {
    // A folder that is open may be the one to go.
    this.#leave(this.#open.findIndex((open) => open.folder === folder) + 1);
    new Removal(this.#root).remove(folder, name);
  }
}

function openedFile(path: string, flags: number, accept: (stats: Stats) => boolean): { fd: number; stats: Stats } {
  const fd = orNotThere(() => openSync(path, flags | O_NOFOLLOW | O_NONBLOCK));
  const stats = fstatSync(fd);
  if (stats.isFile() && accept(stats)) return { fd, stats };
  closeSync(fd);
  throw new NotThere();
}
