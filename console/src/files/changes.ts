/** What a turn changed in a file: its lines before and after, within bounds. */
import { AgentError } from "claude-agent-service-client";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { bytes } from "../ui/format.ts";

export type ChangedFile = Schemas["TurnFiles"]["changed"][number];
export type Hunk = { title: string; lines: string[] };
export type Changes = { kind: "lines"; hunks: Hunk[]; omitted: number } | { kind: "none"; why: string };
type Side = { size: number; text: string | undefined };

const MAX_BYTES = 256 * 1024;
const MAX_LINES = 2000;
/** Lines around a change. */
const CONTEXT = 3;
/** Texts that have little in common take long to compare. */
const LIMIT_MS = 2000;
/** Turns that tell of no files are passed over: this many are looked at. */
const TURNS_BEFORE = 20;
const NOTHING: Side = { size: 0, text: "" };

export async function changesOf(client: AgentClient, sessionId: string, turnId: string, { path, change }: ChangedFile, signal: AbortSignal): Promise<Changes> {
  const library = import("diff");
  // It is awaited last: a failure before that is told, and this one is not unhandled.
  library.catch(() => undefined);
  const read = (at: string) => sideOf(client, sessionId, path, at, signal);
  let old: Side;
  try {
    const before = change === "added" ? undefined : await turnBefore(client, sessionId, turnId, signal);
    old = before === undefined ? NOTHING : await read(before);
  } catch (error) {
    if (error instanceof AgentError && error.code === "not_found") return { kind: "none", why: `Nothing is kept to compare it with. Of the turn before, the service says: ${error.message}` };
    throw error;
  }
  const now = change === "deleted" ? NOTHING : await read(turnId);
  const sizes = `It had ${bytes(old.size)} before this turn, and ${bytes(now.size)} after it.`;
  if (old.size > MAX_BYTES || now.size > MAX_BYTES) return { kind: "none", why: `It is too large to compare here. ${sizes}` };
  if (old.text === undefined || now.text === undefined) return { kind: "none", why: `It is not text. ${sizes}` };
  const { structuredPatch } = await library;
  const patch = structuredPatch(path, path, old.text, now.text, undefined, undefined, { context: CONTEXT, timeout: LIMIT_MS });
  if (patch === undefined) return { kind: "none", why: `Too much of it differs to compare it here. ${sizes}` };
  return bounded(patch.hunks.map(({ oldStart, oldLines, newStart, newLines, lines }) => ({ title: `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`, lines })));
}

/** The last turn before this one that told of files: what was saved at its end is what this turn began with. */
async function turnBefore(client: AgentClient, sessionId: string, turnId: string, signal: AbortSignal): Promise<string | undefined> {
  const { items } = await client.listTurns(sessionId, { before: turnId, limit: TURNS_BEFORE, signal });
  return items.find(({ files }) => files !== undefined && files !== null)?.turn_id;
}

async function sideOf(client: AgentClient, sessionId: string, path: string, at: string, signal: AbortSignal): Promise<Side> {
  const response = await client.readFile(sessionId, path, { at, signal });
  const told = Number(response.headers.get("content-length") ?? 0);
  if (told > MAX_BYTES) {
    await response.body?.cancel();
    return { size: told, text: undefined };
  }
  const data = await response.arrayBuffer();
  return { size: data.byteLength, text: textOf(data) };
}

function bounded(hunks: Hunk[]): Changes {
  let left = MAX_LINES;
  let omitted = 0;
  const shown: Hunk[] = [];
  for (const { title, lines } of hunks) {
    if (left > 0) shown.push({ title, lines: lines.slice(0, left) });
    omitted += Math.max(0, lines.length - left);
    left = Math.max(0, left - lines.length);
  }
  return { kind: "lines", hunks: shown, omitted };
}

/** The bytes as text, if they are UTF-8 without a NUL. */
export function textOf(data: ArrayBuffer): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}
