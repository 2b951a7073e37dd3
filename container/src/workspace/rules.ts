/*
 * What the user or the operator has left out of a workspace: `.agentignore` in its root, and the globs that come with the turn.
 * Both are in the syntax of .gitignore, told apart by case. Nothing else is left out.
 */
import { closeSync, readSync } from "node:fs";
import ignore from "ignore";
import { MAX_IGNORE_BYTES } from "./limits.ts";
import { NotThere } from "./folder.ts";
import type { Tree } from "./tree.ts";

const IGNORE_FILE = ".agentignore";

export type Rules = { leavesOut(path: string, isFolder: boolean): boolean };

/** The operator's come last: no `!` in a user's file takes them back. */
export function rulesOf(tree: Tree, exclude: readonly string[]): Rules {
  const theirs = ignoreFile(tree);
  if (theirs === "" && exclude.length === 0) return { leavesOut: () => false };
  // `ignores` answers for a path whose folders are known to be in.
  const rules = ignore({ ignorecase: false }).add(theirs).add(exclude);
  return { leavesOut: (path, isFolder) => rules.ignores(isFolder ? `${path}/` : path) };
}

function ignoreFile(tree: Tree): string {
  let fd: number;
  try {
    ({ fd } = tree.openFile(IGNORE_FILE));
  } catch (error) {
    if (error instanceof NotThere) return "";
    throw error;
  }
  try {
    const bytes = Buffer.alloc(MAX_IGNORE_BYTES);
    return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}
