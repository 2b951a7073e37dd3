/*
 * The agent protocol over HTTP: decodes, hands on, and streams frames at each reader's own pace.
 * The only place with HTTP statuses. Decides nothing about turns or conversations.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { accessRule } from "./access.ts";
import type { Denial } from "./access.ts";
import { HttpError, notFound, send } from "./answers.ts";
import type { Frame } from "./frames.ts";
import { log, reason } from "./log.ts";
import { isReference } from "./actions/terms.ts";
import { SDK_SESSION, discard, InvalidRequest, readDecision, readOffer, readTurnRequest, TURN_ID } from "./request.ts";
import type { Refusal, Sessions, Wanted } from "./sessions.ts";
import type { Refused } from "./turn/offers.ts";
import type { Turn, Turns } from "./turns.ts";
import { workspaceCall } from "./workspace/routes.ts";

/** Longer than its caller keeps an idle connection: the caller closes first, and no request meets a closing one. */
const KEEP_ALIVE_MS = 10 * 60_000;
/** What nobody looks out for waits so long for other frames to go with. */
const BATCH_WAIT_MS = 25;
/** Transcripts and usage are kept for the turn's end, and a message says again what its deltas said. */
const BATCHED_TYPES: readonly Frame["type"][] = ["transcript", "transcript_part", "message", "usage"];
/** Frames that go together make a piece of about this length at most. */
const MAX_PIECE_CHARS = 64 * 1024;

/** Of the calls and frames: counted up where a caller has to know. Whoever lacks one knows neither `stop` nor `transcript_part`. */
export const PROTOCOL = 2;
/** What this server can do beyond its protocol's number. */
export const FEATURES = ["workspace", "turns", "actions"];

export type Facts = {
  instance: string;
  sdkVersion: string;
  draining(): boolean;
  /** Asked of every caller, where there is one. */
  token?: string | undefined;
};
type App = { sessions: Sessions; turns: Turns; facts: Facts };

const DRAINING = new HttpError(503, "draining", "the server is about to stop and takes no new turns");
const REFUSALS: Record<Exclude<Refusal, "workspace_required">, HttpError> = {
  session_busy: new HttpError(409, "session_busy", "the conversation has a turn running"),
  transcript_required: new HttpError(409, "transcript_required", "the conversation is not held here: send it with its transcript"),
  at_capacity: new HttpError(503, "at_capacity", "every process is taken by a running turn"),
};

const NOT_OFFERED: Record<Refused, HttpError> = {
  turn_ended: new HttpError(409, "turn_ended", "the turn takes no more messages: it has ended"),
  too_many_offers: new HttpError(409, "too_many_offers", "too many messages wait for the turn to take them in"),
};

export function createAgentServer(sessions: Sessions, turns: Turns, facts: Facts): Server {
  const app = { sessions, turns, facts };
  const denialOf = accessRule(facts.token);
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    const denial = denialOf(request.headers);
    if (denial !== undefined) return deny(response, denial);
    route(app, request, response).catch((error: unknown) => sendError(response, error));
  });
}

async function route(app: App, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://agent");
  const [collection, id, action, ...rest] = pathname.slice(1).split("/");
  if (collection === "sessions" && action === "workspace") {
    return workspaceCall(app.sessions.workspaces, app.sessions, { session: sessionId(id), rest, query: searchParams, request, response });
  }
  if (collection === "turns" && action === "steer" && request.method === "DELETE" && rest.length === 1) {
    return withdraw(turnOf(app, id), rest[0], response);
  }
  if (collection === "turns" && action === "actions" && request.method === "POST" && rest.length === 1) {
    return decide(turnOf(app, id), rest[0], request, response);
  }
  const path = rest.length > 0 ? "" : [collection, id === undefined ? "" : "/:id", action === undefined ? "" : `/${action}`].join("");
  switch (`${request.method} ${path}`) {
    case "GET healthz":
      // A server that drains is alive and takes nothing new.
      return send(response, app.facts.draining() ? 503 : 200, health(app));
    case "POST turns":
      return startTurn(app, request, response);
    case "GET turns/:id":
      return streamFrames(response, runOf(turnOf(app, id), frameNumber(searchParams.get("run"))), frameNumber(searchParams.get("after")));
    case "POST turns/:id/cancel":
      turnOf(app, id).cancel();
      return send(response, 202, { cancelling: true });
    case "POST turns/:id/steer":
      return offer(turnOf(app, id), request, response);
    case "POST turns/:id/park":
      if (!turnOf(app, id).park()) throw new HttpError(409, "nothing_pending", "the turn waits for nothing");
      return send(response, 202, { parking: true });
    case "DELETE turns/:id":
      await app.turns.delete(turnOf(app, id));
      return send(response, 200, { deleted: true });
    case "POST sessions/:id/stop":
      return stopSession(app, sessionId(id), response);
    case "DELETE sessions/:id":
      return deleteSession(app, sessionId(id), response);
    default:
      throw notFound(request.method, pathname);
  }
}

function health({ turns, sessions, facts }: App): object {
  return {
    status: facts.draining() ? "draining" : "ok",
    instance: facts.instance,
    protocol: PROTOCOL,
    features: FEATURES,
    sdk_version: facts.sdkVersion,
    running: turns.running.length,
    turns: turns.running.map((turn) => turn.id),
    warm: sessions.live,
  };
}

async function startTurn({ sessions, turns, facts }: App, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const wanted = await readTurnRequest(request);
  const known = turns.get(wanted.turn_id);
  // What is known of a parked turn that goes on is its run before.
  if (known !== undefined && known.run >= (wanted.continuation?.run ?? 0)) {
    discard(wanted.transcript);
    return streamFrames(response, known, 0);
  }
  const refused = facts.draining() ? DRAINING : refusedBy(sessions, wanted);
  if (refused !== undefined) {
    // Unread, it would hold up the next call on the connection.
    discard(wanted.transcript);
    throw refused;
  }
  streamFrames(response, turns.start(wanted), 0);
}

async function offer(turn: Turn, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { turn_id, prompt, content } = await readOffer(request);
  if (turn_id === turn.id) throw new InvalidRequest("a turn cannot take itself in");
  const refused = turn.offers.offer(turn_id, content ?? prompt);
  if (refused !== undefined) throw NOT_OFFERED[refused];
  send(response, 202, { offered: true });
}

async function withdraw(turn: Turn, id = "", response: ServerResponse): Promise<void> {
  if (!TURN_ID.test(id)) throw new InvalidRequest("turn_id is malformed");
  send(response, 200, { withdrawn: await turn.offers.withdraw(id) });
}

async function decide(turn: Turn, reference = "", request: IncomingMessage, response: ServerResponse): Promise<void> {
  const decision = await readDecision(request);
  const resolved = isReference(reference) ? turn.decide(reference, decision) : undefined;
  if (resolved === undefined) throw new HttpError(404, "action_not_found", "the turn asked no such thing");
  send(response, 200, { resolved });
}

function refusedBy(sessions: Sessions, wanted: Wanted): HttpError | undefined {
  const refusal = sessions.refusal(wanted);
  if (refusal === undefined) return undefined;
  return refusal === "workspace_required" ? workspaceRequired(sessions, wanted) : REFUSALS[refusal];
}

function workspaceRequired({ workspaces }: Sessions, { session, workspace }: Wanted): HttpError {
  const held = session === null ? null : workspaces.standing(session, workspace?.version ?? 0);
  return new HttpError(409, "workspace_required", "the workspace is not held here as the turn needs it: restore it, or send what is missing", { held });
}

/** The process is gone, and its turn has ended; what the conversation has and had said stays. */
async function stopSession({ sessions, turns }: App, id: string, response: ServerResponse): Promise<void> {
  const ended = turns.cancelOf(id);
  await sessions.stop(id);
  await ended;
  log("session_stopped", { session: id });
  send(response, 200, { stopped: true });
}

async function deleteSession({ sessions, turns }: App, id: string, response: ServerResponse): Promise<void> {
  await turns.deleteOf(id);
  await sessions.remove(id);
  log("session_deleted", { session: id });
  send(response, 200, { deleted: true });
}

/**
 * Frames go out as they come, no faster than they are read: a slow reader waits in the log, not in a buffer.
 * Those of one moment go together: each piece that arrives costs the reader far more than its bytes.
 */
function streamFrames(response: ServerResponse, turn: Turn, after: number): void {
  response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
  const { frames } = turn;
  let read = after;
  let full = false;
  let soon: NodeJS.Immediate | undefined;
  let later: NodeJS.Timeout | undefined;
  const write = (): void => {
    clearImmediate(soon);
    clearTimeout(later);
    soon = later = undefined;
    while (!full) {
      let text = "";
      for (let frame = frames.next(read); frame !== undefined; frame = frames.next(read)) {
        read = frame.n;
        text += frame.line;
        if (text.length > MAX_PIECE_CHARS) break;
      }
      if (text === "") break;
      full = !response.write(text);
    }
    if (frames.ended && frames.next(read) === undefined) response.end();
  };
  const unsubscribe = frames.subscribe({
    wake(type) {
      if (type === "end") write();
      else if (BATCHED_TYPES.includes(type)) later ??= setTimeout(write, BATCH_WAIT_MS);
      else soon ??= setImmediate(write);
    },
  });
  response.on("drain", () => {
    full = false;
    write();
  });
  response.once("close", () => {
    unsubscribe();
    clearImmediate(soon);
    clearTimeout(later);
  });
  // A turn on a live process starts at once: its first frame goes with the headers.
  soon = setImmediate(() => {
    write();
    response.flushHeaders();
  });
}

function turnOf({ turns }: App, id = ""): Turn {
  const turn = TURN_ID.test(id) ? turns.get(id) : undefined;
  if (turn === undefined) throw new HttpError(404, "turn_not_found", "this server does not know the turn");
  return turn;
}

function runOf(turn: Turn, run: number): Turn {
  if (turn.run !== run) throw new HttpError(404, "turn_not_found", "there is no memory of this run of the turn");
  return turn;
}

function sessionId(id = ""): string {
  if (!SDK_SESSION.test(id)) throw new InvalidRequest("agent_session must be a UUID in lower case");
  return id;
}

function frameNumber(text: string | null): number {
  if (text === null) return 0;
  if (!/^\d{1,15}$/.test(text)) throw new InvalidRequest("after must be the number of a frame");
  return Number(text);
}

/** The body is not read, so that the connection ends with the answer. */
function deny(response: ServerResponse, { status, code, message }: Denial): void {
  response.setHeader("connection", "close");
  send(response, status, { code, message });
}

function sendError(response: ServerResponse, error: unknown): void {
  const known = error instanceof InvalidRequest ? new HttpError(400, "invalid_request", error.message) : error;
  if (!(known instanceof HttpError)) log("request_failed", { reason: reason(error) });
  if (response.headersSent || response.destroyed) return void response.destroy();
  if (known instanceof HttpError) return send(response, known.status, { code: known.code, message: known.message, ...known.details });
  send(response, 500, { code: "internal", message: "the agent server failed" });
}
