/*
 * A client of the public HTTP contract, as plain as curl: it sends, reads and types answers.
 * Knows no container, no model and no log; asserts only what it must to go on.
 */
import assert from "node:assert/strict";
import { CODES } from "./codes.ts";
import { assertDescribed } from "./contract.ts";
import { EventStream } from "./event-stream.ts";

export type Usage = {
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_creation_input_tokens: number;
  cost_usd: number;
};

/** What a turn tells of its files. */
export type TurnFiles = {
  version: number;
  saved: boolean;
  changed: { path: string; change: "added" | "modified" | "deleted"; size?: number }[];
  changed_total?: number;
  skipped?: number;
  reason?: string;
};

/** The 200 answer of POST /query. */
export type Answer = {
  success: true;
  response: string;
  session_id: string;
  turn_id: string;
  model: string;
  usage: Usage;
  num_turns: number;
  duration_ms: number;
  files?: TurnFiles;
};

export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  error: string;
  request_id: string;
};

/** The answer of GET /turns/{id}. */
export type Turn = {
  turn_id: string;
  session_id: string;
  status: "queued" | "running" | "requires_action" | "completed" | "failed" | "cancelled" | "interrupted";
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  response?: string;
  error?: { code: string; detail: string };
  usage?: Usage;
  files?: TurnFiles;
};

/** Something that a turn did: the data of an event, with its number and name. */
export type Action = {
  action_id: string;
  turn_id: string;
  session_id: string;
  kind: string;
  tool_call_id?: string;
  tool?: string;
  input?: object;
  status: string;
  decision?: { decision: string };
};

/** The answer to a query whose turn requires action. */
export type Waiting = { success: true; status: "requires_action"; response: string; actions: Action[]; session_id: string; turn_id: string };

export type Item = { n: number; type: string; [field: string]: unknown };

export type StoredFile = { path: string; size: number; modified_at: number; etag: string };

/** The JSON answer of GET /conversations/{id}/files. */
export type FileList = { version: number; saved_at: number | null; unsaved: string | null; files: StoredFile[] };

/** What a conversation tells of an image or a document of a message. */
export type MessageAttachment = { type: "image" | "document"; media_type?: string; path?: string; url?: string; size?: number; title?: string };

export type StoredMessage = {
  id: string;
  turn_id: string;
  role: "user" | "assistant";
  content: string;
  timestamp: number;
  attachments?: MessageAttachment[];
};

/** What is said: words, or content blocks. */
export type Said = string | object[];

export type Conversation = {
  session_id: string;
  account_id: string;
  title: string;
  created_at: number;
  last_accessed_at: number;
  metadata: Record<string, unknown> & { message_count: number };
  usage: Usage;
  messages: StoredMessage[];
};

export type StorageStats = {
  total_conversations: number;
  oldest_conversation_age_days: number | null;
  conversations_ready_to_purge: number;
  retention_policy_days: number;
  total_messages: number;
  database_bytes: number;
};

export type QueryFields = {
  session_id?: string;
  stream?: boolean;
  include?: string[];
  model?: string;
  effort?: string;
  thinking?: "on" | "off";
  system_prompt?: string;
  max_turns?: number;
  output_schema?: object;
  tools?: object[];
  permissions?: { ask?: string[]; deny?: string[] };
  permission_mode?: "plan";
  questions?: boolean;
  when_busy?: "queue" | "steer" | "interrupt" | "reject";
  metadata?: Record<string, string>;
};

export type Headers = Record<string, string>;

let accounts = 0;

/** The id of an account that nobody used before. */
export const newAccountId = (): string => `e2e-${process.pid}-${(accounts += 1)}`;

/** One account's user. A new one speaks for an account that nobody used before. */
export class Client {
  readonly url: string;
  readonly accountId: string;
  readonly #headers: Headers;

  /** `headers` go with every request: a key or a token. */
  constructor(url: string, accountId = newAccountId(), headers: Headers = {}) {
    this.url = url;
    this.accountId = accountId;
    this.#headers = headers;
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
  async uploaded(sessionId: string, path: string, content: string | Uint8Array<ArrayBuffer>, headers: Headers = {}): Promise<Omit<StoredFile, "modified_at">> {
    return json(await this.upload(sessionId, path, content, headers), 200);
  }

  /** The bytes of a file that must be there. */
  async bytes(sessionId: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.file("GET", sessionId, path);
    assert.equal(response.status, 200, `${path}: ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** One page of a conversation's files. */
  async files(sessionId: string, parameters: Record<string, string> = {}): Promise<FileList> {
    return json(await this.request("GET", `/conversations/${sessionId}/files?${new URLSearchParams(parameters)}`), 200);
  }

  /** The paths of a conversation's files. */
  async paths(sessionId: string, parameters: Record<string, string> = {}): Promise<string[]> {
    return (await this.files(sessionId, parameters)).files.map(({ path }) => path);
  }

  async #fetch(url: string | URL, { headers, ...init }: RequestInit & { method: string; headers: Headers }): Promise<Response> {
    const response = await fetch(url, { headers: { ...this.#headers, ...headers }, ...init });
    await assertDescribed(init.method, response);
    return response;
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
  async events(sessionId: string, lastEventId?: string, include: readonly string[] = []): Promise<EventStream> {
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

  async turn(turnId: string): Promise<Turn> {
    return json<Turn>(await this.request("GET", `/turns/${turnId}`), 200);
  }

  /** Follows the conversation's current turn by its events to the end, and says how the turn then stands. */
  async ended(turn: { turn_id: string; session_id: string }): Promise<Turn> {
    const events = await this.events(turn.session_id);
    await events.toEnd();
    return this.turn(turn.turn_id);
  }

  async conversation(sessionId: string): Promise<Conversation> {
    return json<Conversation>(await this.request("GET", `/conversations/${sessionId}`), 200);
  }

  /** GET /conversations: one page, and where the next one is. */
  async page(path = "/conversations"): Promise<{ ids: string[]; next: string | undefined }> {
    const response = await this.request("GET", path);
    const next = link(response, "next");
    return { ids: (await json<Conversation[]>(response, 200)).map((conversation) => conversation.session_id), next };
  }

  async stats(): Promise<StorageStats> {
    return json<StorageStats>(await this.request("GET", "/storage-stats"), 200);
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
      const turns = await json<Turn[]>(await this.request("GET", `/conversations/${sessionId}/turns`), 200);
      if (turns.length >= count) return;
    }
  }

  /** POST /actions/{id}, whatever it answers. */
  decide(actionId: string, decision: object, headers: Headers = {}): Promise<Response> {
    const json = { "content-type": "application/json", ...headers };
    return this.#fetch(this.#named(`/actions/${actionId}`), { method: "POST", headers: json, body: JSON.stringify(decision) });
  }

  /** GET /actions. */
  async actions(parameters: Record<string, string> = {}): Promise<Action[]> {
    return json(await this.request("GET", `/actions?${new URLSearchParams(parameters)}`), 200);
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
