/*
 * What users have uploaded or deleted, applied to a workspace between two turns. It wins over whatever the agent has put in its place.
 */
import { closeSync, fchmodSync, openSync, readSync, writeSync } from "node:fs";
import { SEGMENT_BYTES } from "./limits.ts";
import { NotThere } from "./folder.ts";
import type { Tree } from "./tree.ts";

const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;
const PERMISSIONS = 0o777;

/** The file is there as a whole, or as it was before. */
export function upload(tree: Tree, path: string, from: string): void {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  makeFolders(tree, folder);
  const mode = modeOf(tree, path) ?? FILE_MODE;
  const part = `${folder === "" ? "" : `${folder}/`}.upload-${process.hrtime.bigint()}`;
  try {
    copy(from, tree.createFile(part), mode);
    tree.rename(part, path);
  } catch (error) {
    tree.remove(part);
    throw error;
  }
}

/** A path that ends in a slash is a folder with all that is in it. What is not there is gone. */
export function remove(tree: Tree, path: string): void {
  const isFolder = path.endsWith("/");
  const name = isFolder ? path.slice(0, -1) : path;
  try {
    if (tree.lstat(name).isDirectory() === isFolder) tree.remove(name);
  } catch (error) {
    if (!(error instanceof NotThere)) throw error;
  }
}

/** Those that are new get a mode that is usual for folders. */
function makeFolders(tree: Tree, path: string): void {
  const names = path === "" ? [] : path.split("/");
  for (const [depth] of names.entries()) {
    const folder = names.slice(0, depth + 1).join("/");
    if (isFolder(tree, folder)) continue;
    tree.makeFolder(folder);
    tree.setFolderMode(folder, FOLDER_MODE);
  }
}

function isFolder(tree: Tree, path: string): boolean {
  try {
    tree.folderStats(path);
    return true;
  } catch (error) {
    if (error instanceof NotThere) return false;
    throw error;
  }
}

/** A script that is uploaded again can still be run. */
function modeOf(tree: Tree, path: string): number | undefined {
  try {
    const stats = tree.lstat(path);
    return stats.isFile() ? stats.mode & PERMISSIONS : undefined;
  } catch (error) {
    if (error instanceof NotThere) return undefined;
    throw error;
  }
}

function copy(from: string, to: number, mode: number): void {
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES);
  const fd = openSync(from, "r");
  try {
    for (let read = readSync(fd, bytes); read > 0; read = readSync(fd, bytes)) {
      for (let at = 0; at < read; ) at += writeSync(to, bytes, at, read - at);
    }
    fchmodSync(to, mode);
  } finally {
    closeSync(fd);
    closeSync(to);
  }
}
