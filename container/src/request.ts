/*
 * The body of `POST /turns`: its first line checked once, its further lines read as a transcript.
 * Owns the bounds on what comes in. Never answers anything, and never looks at fields that it does not know.
 */
import type { IncomingMessage } from "node:http";
import { InvalidDecision, parseContinuation, parseDecision } from "./actions/terms.ts";
import type { Decision } from "./actions/terms.ts";
import { InvalidContent, parseContent } from "./content.ts";
import type { Block } from "./content.ts";
import { LineTooLong, linesOf } from "./lines.ts";
import { log } from "./log.ts";
import { InvalidOptions, readOptions } from "./options.ts";
import { cutToChars } from "./pieces.ts";
import type { TranscriptLine } from "./transcript.ts";
import type { TurnRequest } from "./turns.ts";
import { InvalidWorkspace, parseWorkspace } from "./workspace/terms.ts";

/** A prompt of 1 MiB takes up to six times that as JSON. A transcript's line holds a tool's whole output. */
const MAX_LINE_BYTES = 32 * 1024 * 1024;
const MAX_TRANSCRIPT_CHARS = 256 * 1024 * 1024;

/** Rules that were remembered for one conversation. */
const MAX_GRANTS = 1_000;

/** Of one request. */
const MAX_LOGGED_OPTIONS = 8;
const MAX_LOGGED_NAME_CHARS = 64;

export const TURN_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
export const SDK_SESSION = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The caller's fault; the message says what to mend. */
export class InvalidRequest extends Error {}

/** The caller left before its transcript was here. */
export class TranscriptCut extends Error {}

export async function readTurnRequest(request: IncomingMessage): Promise<TurnRequest> {
  const lines = linesOf(request, MAX_LINE_BYTES);
  const first = await firstOf(lines);
  try {
    return turnRequest(parsed(first), lines);
  } catch (error) {
    discard(lines);
    throw error;
  }
}

/** The body of `POST /turns/{id}/actions/{reference}`. */
export async function readDecision(request: IncomingMessage): Promise<Decision> {
  const lines = linesOf(request, MAX_LINE_BYTES);
  try {
    return checked(parseDecision, parsed(await firstOf(lines)));
  } finally {
    discard(lines);
  }
}

/** A message for a running turn. */
export type Offered = { turn_id: string; prompt: string; content?: Block[] };

/** The body of `POST /turns/{id}/steer`. */
export async function readOffer(request: IncomingMessage): Promise<Offered> {
  const lines = linesOf(request, MAX_LINE_BYTES);
  try {
    const { turn_id, prompt, content } = parsed(await firstOf(lines));
    const hasContent = content !== undefined && content !== null;
    if (typeof turn_id !== "string" || !TURN_ID.test(turn_id)) throw new InvalidRequest("turn_id is missing or malformed");
    if (typeof prompt !== "string" || (prompt.trim() === "" && !hasContent)) throw new InvalidRequest("prompt must be a string that is not blank");
    return { turn_id, prompt, ...(hasContent ? { content: checkedContent(content) } : {}) };
  } finally {
    discard(lines);
  }
}

async function firstOf(lines: AsyncGenerator<string, void>): Promise<string> {
  const first = await lines.next().catch((error: unknown) => {
    throw error instanceof LineTooLong ? new InvalidRequest(`a line is over ${MAX_LINE_BYTES} bytes`) : error;
  });
  if (first.done === true) throw new InvalidRequest("the body is empty");
  return first.value;
}

function turnRequest(body: Record<string, unknown>, lines: AsyncGenerator<string, void>): TurnRequest {
  const { turn_id, agent_session, prompt, content, resume, options, transcript, workspace, actions, grants, continuation } = body;
  if (typeof turn_id !== "string" || !TURN_ID.test(turn_id)) throw new InvalidRequest("turn_id is missing or malformed");
  const session = agent_session ?? null;
  if (session !== null && (typeof session !== "string" || !SDK_SESSION.test(session))) {
    throw new InvalidRequest("agent_session must be null or a UUID in lower case");
  }
  const turnOptions = checkedOptions(options);
  const hasContent = content !== undefined && content !== null;
  const goesOn = continuation !== undefined && continuation !== null;
  const saysNothing = typeof prompt === "string" && prompt.trim() === "" && !hasContent && !goesOn && turnOptions.compact !== true;
  if (typeof prompt !== "string" || saysNothing) throw new InvalidRequest("prompt must be a string that is not blank");
  if (typeof (resume ?? false) !== "boolean" || typeof (transcript ?? false) !== "boolean") {
    throw new InvalidRequest("resume and transcript must be true or false");
  }
  if (resume === true && session === null) throw new InvalidRequest("resume needs an agent_session");
  const turn: TurnRequest = { turn_id, session, prompt, resume: resume === true, options: turnOptions };
  if (actions === true) turn.actions = true;
  if (Array.isArray(grants)) turn.grants = grants.slice(0, MAX_GRANTS);
  if (goesOn) {
    if (resume !== true) throw new InvalidRequest("a continuation needs a conversation to resume");
    turn.continuation = checked(parseContinuation, continuation);
  }
  if (hasContent) turn.content = checkedContent(content);
  if (workspace !== undefined && workspace !== null) turn.workspace = checkedWorkspace(workspace);
  if (session === null && (turn.workspace?.version || turn.workspace?.inbox)) throw new InvalidRequest("a workspace that is stored needs an agent_session");
  if (transcript === true) turn.transcript = transcriptLines(lines);
  return turn;
}

/**
 * Reads on to the end of a transcript that nobody needs: its sender is not left waiting, and the connection takes the next call. Node reads
 * the rest of a body by itself only where nothing of it was read.
 */
export function discard(transcript: AsyncIterable<unknown> | undefined): void {
  if (transcript === undefined) return;
  (async () => {
    for await (const _line of transcript);
  })().catch(() => {});
}

async function* transcriptLines(lines: AsyncGenerator<string, void>): AsyncGenerator<TranscriptLine, void> {
  let chars = 0;
  for (;;) {
    const next = await lines.next().catch((error: unknown) => {
      if (error instanceof LineTooLong) throw new InvalidRequest(`a line is over ${MAX_LINE_BYTES} bytes`);
      throw new TranscriptCut("the transcript did not arrive whole");
    });
    if (next.done === true) return;
    const line = next.value;
    chars += line.length;
    if (chars > MAX_TRANSCRIPT_CHARS) throw new InvalidRequest(`the transcript is over ${MAX_TRANSCRIPT_CHARS} characters`);
    const { subpath, entry } = parsed(line);
    const where = subpath ?? null;
    if (!isEntry(entry) || (where !== null && typeof where !== "string")) throw new InvalidRequest("a transcript line is malformed");
    yield { subpath: where, entry };
  }
}

function isEntry(value: unknown): value is TranscriptLine["entry"] {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function checkedOptions(value: unknown): TurnRequest["options"] {
  try {
    const unknown: string[] = [];
    const options = readOptions(value, unknown);
    for (const name of unknown.slice(0, MAX_LOGGED_OPTIONS)) log("option_unknown", { name: cutToChars(name, MAX_LOGGED_NAME_CHARS) });
    return options;
  } catch (error) {
    throw error instanceof InvalidOptions ? new InvalidRequest(error.message) : error;
  }
}

function checkedContent(value: unknown): NonNullable<TurnRequest["content"]> {
  try {
    return parseContent(value);
  } catch (error) {
    throw error instanceof InvalidContent ? new InvalidRequest(error.message) : error;
  }
}

function checkedWorkspace(value: unknown): NonNullable<TurnRequest["workspace"]> {
  try {
    return parseWorkspace(value);
  } catch (error) {
    throw error instanceof InvalidWorkspace ? new InvalidRequest(error.message) : error;
  }
}

function checked<T>(parse: (value: unknown) => T, value: unknown): T {
  try {
    return parse(value);
  } catch (error) {
    throw error instanceof InvalidDecision ? new InvalidRequest(error.message) : error;
  }
}

function parsed(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new InvalidRequest("a line is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidRequest("a line is no JSON object");
  return value as Record<string, unknown>;
}
