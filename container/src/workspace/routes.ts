/*
 * The calls about a workspace: `/sessions/{id}/workspace…`. What comes in goes to a file of the server's own before anything is done with it.
 */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { HttpError, notFound, send } from "../answers.ts";
import { log } from "../log.ts";
import type { User } from "../users.ts";
import { JobFailed } from "./jobs.ts";
import { MAX_RESTORE_BODY_BYTES, MAX_UPLOAD_BYTES, PACK_BYTES } from "./limits.ts";
import { isPath } from "./paths.ts";
import type { Workspaces } from "./workspaces.ts";

/** Pieces in which files of a save are read. */
const READ_BYTES = 256 * 1024;
const PRIVATE_FILE = 0o600;
const NUMBER = /^\d{1,15}$/;

/** What the calls need of the conversations. */
export type Folders = {
  isBusy(session: string): boolean;
  /** The folders are there; answers whose they are. With `stop`, no process of the conversation is left. */
  open(session: string, how: { stop: boolean }): Promise<User | undefined>;
};
export type Call = { session: string; rest: readonly string[]; query: URLSearchParams; request: IncomingMessage; response: ServerResponse };

export async function workspaceCall(workspaces: Workspaces, folders: Folders, call: Call): Promise<void> {
  const { session, rest, query, request, response } = call;
  const [what = "", first = "", second = "", third = ""] = rest;
  const shape = rest.length > 4 ? "" : rest.map((part, depth) => (depth % 2 === 0 ? part : ":no")).join("/");
  switch (`${request.method} ${shape}`) {
    case "PUT ":
      if (rest.length === 0) return send(response, 200, await restored(workspaces, folders, session, request));
      break;
    case "PUT packs/:no":
      return send(response, 200, await extracted(workspaces, folders, session, numberOf(first, "the pack"), request));
    case "PUT files":
    case "DELETE files":
      await applied(workspaces, folders, call, query);
      return send(response, 200, {});
    case "GET saves/:no/index":
      return sendSaved(workspaces, session, numberOf(first, "the version"), second, response);
    case "GET saves/:no/packs/:no":
      return sendSaved(workspaces, session, numberOf(first, "the version"), String(numberOf(third, "the pack")), response);
  }
  throw notFound(request.method, `workspace/${what}`);
}

async function restored(workspaces: Workspaces, folders: Folders, session: string, request: IncomingMessage): Promise<{ need: number[] }> {
  refuseBusy(workspaces, folders, session);
  return received(workspaces, session, request, { most: MAX_RESTORE_BODY_BYTES, needsLength: false }, async (file) => {
    refuseBusy(workspaces, folders, session);
    const user = await folders.open(session, { stop: true });
    return workspaces.restore(session, user, file);
  });
}

async function extracted(workspaces: Workspaces, folders: Folders, session: string, no: number, request: IncomingMessage): Promise<{ left: number }> {
  const unknown = new HttpError(409, "restore_required", "no restore of this workspace is under way: begin with its index");
  if (!workspaces.isRestoring(session)) throw unknown;
  return received(workspaces, session, request, { most: PACK_BYTES, needsLength: true }, async (file) => {
    const left = await workspaces.extract(session, await folders.open(session, { stop: false }), no, file);
    if (left === undefined) throw unknown;
    return left;
  });
}

async function applied(workspaces: Workspaces, folders: Folders, { session, request }: Call, query: URLSearchParams): Promise<void> {
  const seq = numberOf(query.get("seq") ?? "", "seq");
  const path = query.get("path") ?? "";
  const isDeletion = request.method === "DELETE";
  if (!isPath(isDeletion ? path.replace(/\/$/, "") : path)) throw new HttpError(400, "invalid_request", "path is no path in a workspace");
  refuseBusy(workspaces, folders, session);
  if (workspaces.isRestoring(session)) throw new HttpError(409, "workspace_required", "a restore of this workspace is under way");
  if (isDeletion) return await failing(session, async () => workspaces.apply(session, await folders.open(session, { stop: false }), { path, seq }));
  await received(workspaces, session, request, { most: MAX_UPLOAD_BYTES, needsLength: true }, async (file) => {
    refuseBusy(workspaces, folders, session);
    await workspaces.apply(session, await folders.open(session, { stop: false }), { path, seq, file });
  });
}

function refuseBusy(workspaces: Workspaces, folders: Folders, session: string): void {
  if (folders.isBusy(session) || workspaces.isBusy(session)) throw new HttpError(409, "session_busy", "a turn or another call has the workspace");
}

/** The body is in a file of that length while `use` runs, and then it is gone. */
async function received<T>(
  workspaces: Workspaces,
  session: string,
  request: IncomingMessage,
  { most, needsLength }: { most: number; needsLength: boolean },
  use: (file: string) => Promise<T>,
): Promise<T> {
  const length = request.headers["content-length"];
  if (length === undefined && needsLength) throw new HttpError(411, "length_required", "the call needs a Content-Length");
  if (length !== undefined && Number(length) > most) throw tooLarge(most);
  return failing(session, async () => {
    const file = join(await workspaces.incoming(session), randomUUID());
    try {
      await written(request, file, most);
      return await use(file);
    } finally {
      await rm(file, { force: true });
    }
  });
}

/** Where it ends early, the request stays open for the answer. */
async function written(request: IncomingMessage, file: string, most: number): Promise<void> {
  const handle = await open(file, "wx", PRIVATE_FILE);
  try {
    let bytes = 0;
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > most) throw tooLarge(most);
      await handle.writeFile(chunk);
    }
  } finally {
    await handle.close();
    // The rest is read and dropped: what comes next on the connection is another call.
    request.resume();
  }
}

function tooLarge(most: number): HttpError {
  return new HttpError(413, "too_large", `the body is over ${most} bytes`);
}

const FULL = ["ENOSPC", "EDQUOT", "EFBIG"];

/** What a job says went wrong, as a status. */
async function failing<T>(session: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
    if (code !== undefined && FULL.includes(code)) throw new HttpError(507, "disk_full", "the container's disk is full");
    if (!(error instanceof JobFailed)) throw error;
    log("workspace_call_failed", { session, code: error.code });
    if (code === "invalid_index") throw new HttpError(400, "invalid_request", error.message);
    if (code === "pack_damaged") throw new HttpError(422, "pack_damaged", error.message);
    if (code === "busy") throw new HttpError(503, "at_capacity", "too many jobs wait for the worker");
    throw new HttpError(500, "workspace_failed", `the workspace could not be changed: ${error.code}`);
  }
}

async function sendSaved(workspaces: Workspaces, session: string, version: number, name: string, response: ServerResponse): Promise<void> {
  const saved = workspaces.saved(session, version, name);
  if (saved === undefined) throw new HttpError(404, "save_not_found", "this save is not kept here, or not any more");
  const file = createReadStream(saved.path, { highWaterMark: READ_BYTES });
  response.setHeader("content-type", name === "index" ? "application/x-ndjson" : "application/octet-stream");
  response.setHeader("content-length", saved.bytes);
  response.setHeader("cache-control", "no-store");
  await pipeline(file, response);
  saved.fetched();
}

function numberOf(text: string, name: string): number {
  if (!NUMBER.test(text)) throw new HttpError(400, "invalid_request", `${name} must be a whole number`);
  return Number(text);
}
