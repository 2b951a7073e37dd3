/*
 * A client of the public HTTP contract: requests as plain as those of curl, and for what must succeed the TypeScript client. Judges every response by openapi.json.
 * Knows no container, no model and no log; asserts only what it must to go on.
 */
import assert from "node:assert/strict";
import { AgentClient } from "../../clients/typescript/src/index.ts";
import type { Schemas } from "../../clients/typescript/src/index.ts";
import { CODES } from "./codes.ts";
import { assertDescribed } from "./contract.ts";
import { EventStream } from "./event-stream.ts";

/** What the service returns, as its TypeScript client knows it. */
export type Usage = Schemas["TurnUsage"];
export type TurnFiles = Schemas["TurnFiles"];
/** The 200 answer of POST /query to a turn that the model answered. */
export type Answer = Schemas["TurnResult"] & { model: string; num_turns: number; duration_ms: number };
export type Problem = Schemas["Problem"];
export type Turn = Schemas["Turn"];
export type Item = Schemas["Item"] & Record<string, unknown>;
export type Action = Schemas["Action"] & { decision?: { decision: string } };
/** The 200 answer of POST /query if the turn requires action. */
export type Waiting = Schemas["TurnResult"] & { actions: Action[] };
export type FileList = Schemas["FileList"];
export type Conversation = Schemas["Conversation"] & { messages: Schemas["Message"][] };

export type Include = Schemas["IncludeWord"];
/** Whatever a stream can tell beside the default events. */
export const EVERYTHING: readonly Include[] = ["thinking", "tool_input", "tool_result", "subagents", "usage"];

/** What is said: words, or content blocks. */
export type Said = string | object[];

export type QueryFields = Omit<Schemas["QueryRequest"], "accountId" | "include"> & { include?: readonly Include[] };

export type Headers = Record<string, string>;

let accounts = 0;

/** The id of an account that nobody used before. */
export const newAccountId = (): string => `e2e-${process.pid}-${(accounts += 1)}`;

/** One account's user. A new one speaks for an account that nobody used before. */
export class Client {
  readonly url: string;
  readonly accountId: string;
  /** The TypeScript client, for what must succeed. It sends everything once, and its responses are judged as the others are. */
  readonly api: AgentClient;
  readonly #headers: Headers;

  /** `headers` go with every request: a key or a token. */
  constructor(url: string, accountId = newAccountId(), headers: Headers = {}) {
    this.url = url;
    this.accountId = accountId;
    this.#headers = headers;
    this.api = new AgentClient({ baseUrl: url, accountId, maxRetries: 0, fetch: (input, init) => this.#fetch(input, init) });
  }

  /** Sends a request with the account in the query string. */
  request(method: string, path: string, headers: Headers = {}, signal?: AbortSignal): Promise<Response> {
    return this.#fetch(this.#named(path), { method, headers, ...(signal === undefined ? {} : { signal }) });
  }

  /** GET, HEAD or DELETE of a file, whatever it answers. With a `/` at its end the path is a folder's; the empty one is everything. */
  file(method: string, sessionId: string, path: string, headers: Headers = {}): Promise<Response> {
    return this.request(method, filePath(sessionId, path), headers);
  }

  /** PUT of a file, whatever it answers. */
  upload(sessionId: string, path: string, content: string | Uint8Array<ArrayBuffer>, headers: Headers = {}): Promise<Response> {
    return this.#fetch(this.#named(filePath(sessionId, path)), { method: "PUT", headers, body: content });
  }

  /** PUT of a file that must be taken. */
  uploaded(sessionId: string, path: string, content: string | Uint8Array<ArrayBuffer>): Promise<Schemas["UploadedFile"]> {
    return this.api.uploadFile(sessionId, path, content);
  }

  /** The bytes of a file that must be there. */
  async bytes(sessionId: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.api.readFile(sessionId, path);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** One page of a conversation's files. */
  async files(sessionId: string, prefix?: string): Promise<FileList> {
    const { next: _, ...list } = await this.api.listFiles(sessionId, prefix === undefined ? {} : { prefix });
    return list;
  }

  /** The paths of a conversation's files. */
  async paths(sessionId: string, prefix?: string): Promise<string[]> {
    return (await this.files(sessionId, prefix)).files.map(({ path }) => path);
  }

  /** Sends a request with the client's own headers. */
  async #send(request: Request): Promise<Response> {
    for (const [name, value] of Object.entries(this.#headers)) if (!request.headers.has(name)) request.headers.set(name, value);
    const response = await fetch(request);
    await assertDescribed(request.method, response);
    return response;
  }

  #fetch(url: string | URL | Request, init?: RequestInit): Promise<Response> {
    return this.#send(new Request(url, init));
  }

  /** PATCH /conversations/{id} as it is: whatever it answers. */
  patch(sessionId: string, change: unknown, headers: Headers = { "content-type": "application/json" }): Promise<Response> {
    const body = typeof change === "string" ? change : JSON.stringify(change);
    return this.#fetch(this.#named(`/conversations/${sessionId}`), { method: "PATCH", headers, body });
  }

  #named(path: string): URL {
    const url = new URL(path, this.url);
    if (!url.searchParams.has("accountId")) url.searchParams.set("accountId", this.accountId);
    return url;
  }

  /** POST /query as it is: whatever it answers. */
  post(said: Said, fields: QueryFields = {}, headers: Headers = {}, signal?: AbortSignal): Promise<Response> {
    return this.#fetch(`${this.url}/query`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ ...(typeof said === "string" ? { query: said } : { content: said }), accountId: this.accountId, ...fields }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** POST /query that must succeed. */
  async query(query: Said, fields: QueryFields = {}, headers: Headers = {}): Promise<Answer> {
    return json<Answer>(await this.post(query, fields, headers), 200);
  }

  /** POST /query answered by events. */
  async stream(query: Said, fields: QueryFields = {}, headers: Headers = {}): Promise<EventStream> {
    return EventStream.over((signal) => this.post(query, { ...fields, stream: true }, headers, signal));
  }

  /** GET /conversations/{id}/events. */
  async events(sessionId: string, lastEventId?: string, include: readonly Include[] = []): Promise<EventStream> {
    const headers: Headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
    const words = include.length === 0 ? "" : `?include=${include.join()}`;
    return EventStream.over((signal) => this.request("GET", `/conversations/${sessionId}/events${words}`, headers, signal));
  }

  /** GET /events. */
  async feed(): Promise<EventStream> {
    return EventStream.over((signal) => this.request("GET", "/events", {}, signal), "/events");
  }

  /** POST /query with `Prefer: respond-async`: the turn is stored and goes on by itself. */
  async start(query: Said, fields: QueryFields = {}, headers: Headers = {}): Promise<Turn> {
    return json<Turn>(await this.post(query, fields, { prefer: "respond-async", ...headers }), 202);
  }

  turn(turnId: string): Promise<Turn> {
    return this.api.readTurn(turnId);
  }

  /** Follows the conversation's current turn by its events to the end, and says how the turn then stands. */
  async ended(turn: { turn_id: string; session_id: string }): Promise<Turn> {
    const events = await this.events(turn.session_id);
    await events.toEnd();
    return this.turn(turn.turn_id);
  }

  async conversation(sessionId: string): Promise<Conversation> {
    const { previous: _, messages = [], ...conversation } = await this.api.readConversation(sessionId);
    return { ...conversation, messages };
  }

  /** GET /conversations: one page, and where the next one is. */
  async page(path = "/conversations"): Promise<{ ids: string[]; next: string | undefined }> {
    const response = await this.request("GET", path);
    const next = link(response, "next");
    return { ids: (await json<Conversation[]>(response, 200)).map((conversation) => conversation.session_id), next };
  }

  stats(): Promise<Schemas["StorageStats"]> {
    return this.api.storageStats();
  }

  /** What was said in a conversation, `role: content` each. */
  async said(sessionId: string): Promise<string[]> {
    const { messages } = await this.conversation(sessionId);
    return messages.map((message) => `${message.role}: ${message.content}`);
  }

  /** POST /conversations/{id}/{what} with a body, whatever it answers. */
  act(sessionId: string, what: "cancel" | "fork" | "rewind" | "compact", body: object = {}, headers: Headers = {}): Promise<Response> {
    const json = { "content-type": "application/json", ...headers };
    return this.#fetch(this.#named(`/conversations/${sessionId}/${what}`), { method: "POST", headers: json, body: JSON.stringify(body) });
  }

  /** Waits until a conversation has so many turns. */
  async queued(sessionId: string, count: number): Promise<void> {
    for (;;) {
      const turns = await this.api.listTurns(sessionId);
      if (turns.items.length >= count) return;
    }
  }

  /** POST /actions/{id}, whatever it answers. */
  decide(actionId: string, decision: object, headers: Headers = {}): Promise<Response> {
    const json = { "content-type": "application/json", ...headers };
    return this.#fetch(this.#named(`/actions/${actionId}`), { method: "POST", headers: json, body: JSON.stringify(decision) });
  }

  /** GET /actions. */
  async actions(parameters: { status?: Schemas["ActionStatus"]; session_id?: string; limit?: number } = {}): Promise<Action[]> {
    return (await this.api.listActions(parameters)).items as Action[];
  }

  async cancel(sessionId: string): Promise<number> {
    const response = await this.request("POST", `/conversations/${sessionId}/cancel`);
    return (await json<{ cancelled: number }>(response, 200)).cancelled;
  }
}

function filePath(sessionId: string, path: string): string {
  return `/conversations/${sessionId}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** A prompt by which the agent runs a command and answers with what it prints. */
export const bash = (command: string): string => `[[tool Bash ${JSON.stringify({ command })}]]`;

/** Where an answer's `Link` header with that relation leads. */
export function link(response: Response, rel: "next" | "prev"): string | undefined {
  return new RegExp(`<([^>]+)>; rel="${rel}"`).exec(response.headers.get("link") ?? "")?.[1];
}

/** The body of an answer that must have this status. */
export async function json<T>(response: Response, status: number): Promise<T> {
  const body = await response.text();
  assert.equal(response.status, status, `${response.url} answered ${response.status}: ${body.slice(0, 500)}`);
  return JSON.parse(body) as T;
}

/** What a problem document about a limit has beside the others. */
const LIMIT_FIELDS = ["limit_name", "limit", "used", "resets_at"];

/** Checks that an answer is this problem document in all its parts, and returns it. */
export async function problem(answer: Response | Promise<Response>, status: number, code: string): Promise<Problem> {
  const response = await answer;
  const body = await json<Problem>(response, status);
  assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
  const fields = Object.keys(body).filter((name) => !LIMIT_FIELDS.includes(name));
  assert.deepEqual(fields.sort(), ["code", "detail", "error", "request_id", "status", "title", "type"]);
  assert.equal(body.code, code, body.detail);
  assert.deepEqual([body.type, [body.status, body.title]], ["about:blank", CODES[`${code} ${status}`] ?? CODES[code]]);
  assert.equal(body.error, body.detail);
  assert.equal(body.request_id, response.headers.get("x-request-id"));
  return body;
}
