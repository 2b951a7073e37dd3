/*
 * What a save changes, as its frame tells it: files and links that were added, modified or deleted.
 */
import type { Entry, Table } from "./entries.ts";
import { CHANGED_LISTED } from "./limits.ts";
import { comparePaths } from "./paths.ts";

/** What is gone has no size; a link's is 0. */
export type Change = { path: string; change: "added" | "modified" | "deleted"; size?: number };
/** The first of them, and how many there are. */
export type Changes = { changed: Change[]; changed_total: number };

export function changesOf(before: Table, after: Table): Changes {
  const changes: Changes = { changed: [], changed_total: 0 };
  const add = (entry: Entry, change: Change["change"]): void => {
    if (entry.kind === "folder") return;
    changes.changed_total += 1;
    if (changes.changed.length === CHANGED_LISTED) return;
    const size = entry.kind === "file" ? entry.size : 0;
    changes.changed.push({ path: entry.path, change, ...(change !== "deleted" && { size }) });
  };
  let at = 0;
  for (const entry of after.entries()) {
    while (at < before.count && comparePaths(before.path(at), entry.path) < 0) add(before.at(at++), "deleted");
    if (at === before.count || before.path(at) !== entry.path) {
      add(entry, "added");
      continue;
    }
    const old = before.at(at++);
    // What was a folder is a file now, or the other way round.
    if ((old.kind === "folder") !== (entry.kind === "folder")) {
      add(old, "deleted");
      add(entry, "added");
    } else if (isModified(old, entry)) add(entry, "modified");
  }
  while (at < before.count) add(before.at(at++), "deleted");
  return changes;
}

/** A file that was only written again with what it had is none. */
function isModified(old: Entry, entry: Entry): boolean {
  if (old.kind === "file" && entry.kind === "file") return old.hash !== entry.hash || old.size !== entry.size || old.mode !== entry.mode;
  if (old.kind === "link" && entry.kind === "link") return old.target !== entry.target;
  return old.kind !== entry.kind;
}
