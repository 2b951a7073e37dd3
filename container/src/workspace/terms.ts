/*
 * The words between the agent server and the object about a workspace: what a turn asks for and what its end tells.
 */
import { DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES, MAX_EXCLUDE_CHARS, MAX_EXCLUDES } from "./limits.ts";
import type { Refusal } from "./scan.ts";
import type { Saved } from "./work.ts";

export type WorkspaceWanted = {
  /** The stored version that the turn must stand on; 0: there is none. */
  version: number;
  /** The number of the last upload or deletion that must be applied; 0: there is none. */
  inbox: number;
  exclude: string[];
  max_files: number;
  max_bytes: number;
};

export type WorkspaceFrame =
  | { unchanged: true; skipped?: number }
  | { save: { base: number; inbox: number } & Saved }
  | { refused: Refusal | "scan_failed"; files: number; bytes: number };

/** The caller's fault; the message names the field. */
export class InvalidWorkspace extends Error {}

/** Fields that are not known are passed over. */
export function parseWorkspace(value: unknown): WorkspaceWanted {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidWorkspace("workspace must be an object");
  const { version, inbox, exclude, max_files, max_bytes } = value as Record<string, unknown>;
  return {
    version: whole(version ?? 0, "workspace.version"),
    inbox: whole(inbox ?? 0, "workspace.inbox"),
    exclude: globs(exclude ?? []),
    max_files: whole(max_files ?? DEFAULT_MAX_FILES, "workspace.max_files"),
    max_bytes: whole(max_bytes ?? DEFAULT_MAX_BYTES, "workspace.max_bytes"),
  };
}

function whole(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new InvalidWorkspace(`${name} must be a whole number`);
  return value;
}

function globs(value: unknown): string[] {
  const isList = Array.isArray(value) && value.length <= MAX_EXCLUDES && value.every((glob) => typeof glob === "string" && glob.length <= MAX_EXCLUDE_CHARS);
  if (!isList) throw new InvalidWorkspace(`workspace.exclude must be a list of at most ${MAX_EXCLUDES} globs`);
  return value as string[];
}
