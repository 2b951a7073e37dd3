/*
 * What is kept of a conversation's workspace under STATE_ROOT, in a folder of the server's own: the table of its base, and the save
 * that may become the next base. One table is in memory at a time.
 */
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writevSync } from "node:fs";
import { join } from "node:path";
import { Table } from "./entries.ts";

const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;

export type Which = "base" | "next";

let cached: { folder: string; which: Which; table: Table } | undefined;

/** Where the files of a save are until the conversation's next turn. */
export function saveFolder(folder: string): string {
  return join(folder, "save");
}

export class Store {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  table(which: Which): Table {
    if (cached?.folder === this.#folder && cached.which === which) return cached.table;
    cached = undefined;
    const table = Table.fromBuffer(readFileSync(this.#file(which)));
    cached = { folder: this.#folder, which, table };
    return table;
  }

  /** On disk as well: another conversation's may take its place in memory. */
  put(which: Which, table: Table): void {
    if (cached?.folder === this.#folder) cached = undefined;
    mkdirSync(this.#folder, { recursive: true, mode: PRIVATE_FOLDER });
    const file = this.#file(which);
    const written = `${file}.written`;
    const fd = openSync(written, "w", PRIVATE_FILE);
    try {
      for (const bytes of table.toBuffers()) for (let at = 0; at < bytes.length; ) at += writevSync(fd, [bytes.subarray(at)]);
    } finally {
      closeSync(fd);
    }
    renameSync(written, file);
    cached = { folder: this.#folder, which, table };
  }

  /** An empty folder for the files of a save. */
  beginSave(): string {
    this.dropSave();
    const folder = saveFolder(this.#folder);
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
    return folder;
  }

  promote(): void {
    renameSync(this.#file("next"), this.#file("base"));
    if (cached?.folder === this.#folder) cached = cached.which === "next" ? { ...cached, which: "base" } : undefined;
    this.dropFiles();
  }

  dropSave(): void {
    if (cached?.folder === this.#folder && cached.which === "next") cached = undefined;
    rmSync(this.#file("next"), { force: true });
    this.dropFiles();
  }

  /** What the save's packs are for has happened; its table stays. */
  dropFiles(): void {
    rmSync(saveFolder(this.#folder), { recursive: true, force: true });
  }

  drop(): void {
    if (cached?.folder === this.#folder) cached = undefined;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(which: Which): string {
    return join(this.#folder, `${which}.table`);
  }
}
