/** The API's operations, each a method of the same name. */
import type { components, operations } from "./api.ts";
import { Connection } from "./connection.ts";
import type { CallOptions, ClientOptions, Content, Values } from "./connection.ts";
import { readFeed } from "./feed.ts";
import type { FeedEvent } from "./feed.ts";
import { TurnStream } from "./turn-stream.ts";
import type { Source } from "./turn-stream.ts";

export type Schemas = components["schemas"];
type QueryOf<Name extends keyof operations> = operations[Name]["parameters"] extends { query?: infer Query } ? Omit<NonNullable<Query>, "accountId"> : unknown;
type Parameters<Name extends keyof operations> = QueryOf<Name> & CallOptions;

type Signal = Pick<CallOptions, "signal">;

/** A part of a list. `next` has the parameters of the call that returns what follows; it is undefined at the end. */
export interface Page<Item, Next> {
  items: Item[];
  next: Next | undefined;
}

export type QueryRequest = Omit<Schemas["QueryRequest"], "accountId" | "stream">;

export interface QueryOptions extends CallOptions {
  /** The same request with the same key runs once. By default, each call of `query` has a key of its own. */
  idempotencyKey?: string | undefined;
}

export interface FollowOptions extends CallOptions {
  /** What is told beside the default events. */
  include?: Schemas["IncludeWord"][] | undefined;
}

export interface ReadFileOptions extends CallOptions {
  /** The id of a turn: the file as it was saved at its end. */
  at?: string | undefined;
  /** A `Range` header, such as `bytes=0-1023`. */
  range?: string | undefined;
  ifNoneMatch?: string | undefined;
  ifMatch?: string | undefined;
}

export interface UploadOptions extends CallOptions {
  /** Only over the version with this entity tag. */
  ifMatch?: string | undefined;
  /** `*`: only where there is no file yet. */
  ifNoneMatch?: string | undefined;
}

export class AgentClient {
  readonly #connection: Connection;

  constructor(options: ClientOptions) {
    this.#connection = new Connection(options);
  }

  health(options: CallOptions = {}): Promise<Schemas["Health"]> {
    return this.#connection.json({ path: "/health", ...options });
  }

  /** Runs a turn. Nothing is sent before the stream is read or its result is asked for. */
  query(request: QueryRequest, { idempotencyKey = newKey(), ...options }: QueryOptions = {}): TurnStream {
    const headers = { accept: "text/event-stream", "idempotency-key": idempotencyKey };
    const json = { ...request, stream: true };
    const open = (): Promise<Response> => this.#connection.sendOnce({ method: "POST", path: "/query", headers, json, ...options });
    return this.#stream({ open, sessionId: request.session_id ?? undefined }, { ...options, include: request.include ?? undefined });
  }

  /** Starts a turn, which runs by itself: `readTurn` tells how it stands, `followConversation` streams it. */
  startQuery(request: QueryRequest, { idempotencyKey = newKey(), ...options }: QueryOptions = {}): Promise<Schemas["AcceptedTurn"]> {
    const headers = { prefer: "respond-async", "idempotency-key": idempotencyKey };
    return this.#connection.json({ method: "POST", path: "/query", headers, json: request, ...options });
  }

  /** The events of the conversation's current or latest turn, or those after `lastEventId`. */
  followConversation(sessionId: string, { lastEventId, ...options }: FollowOptions & { lastEventId?: string | undefined } = {}): TurnStream {
    const open = (): Promise<Response> => this.#resume(sessionId, lastEventId, options);
    return this.#stream({ open, sessionId, lastEventId }, options);
  }

  /** What changes in the account. It begins with a `snapshot`, and again after a connection that was cut. It ends by its signal alone. */
  followAccount({ signal, accountId }: CallOptions = {}): AsyncIterable<FeedEvent> {
    const open = (): Promise<Response> => this.#connection.sendOnce({ path: "/events", headers: { accept: "text/event-stream" }, signal, accountId });
    return readFeed(open, this.#connection.maxRetries, signal);
  }

  /** What the AI SDK's transport sends, and its UI message stream as it comes. */
  chat(request: Omit<Schemas["ChatRequest"], "accountId">, { idempotencyKey, ...options }: QueryOptions = {}): Promise<Response> {
    return this.#connection.sendOnce({ method: "POST", path: "/chat", headers: { "idempotency-key": idempotencyKey }, json: request, ...options });
  }

  /** The stream of the turn of a chat that runs or waits, from its beginning; 204 if there is none. */
  followChat(sessionId: string, options: CallOptions = {}): Promise<Response> {
    return this.#connection.sendOnce({ path: `${chat(sessionId)}/stream`, ...options });
  }

  /** A conversation as UI messages of the AI SDK. */
  readChat(sessionId: string, options: CallOptions = {}): Promise<Schemas["UiMessage"][]> {
    return this.#connection.json({ path: `${chat(sessionId)}/messages`, ...options });
  }

  listConversations(parameters: Parameters<"listConversations"> = {}): Promise<Page<Schemas["ConversationSummary"], Parameters<"listConversations">>> {
    return this.#page("/conversations", parameters);
  }

  /** A conversation with its messages, and the parameters with which the messages before those are read. */
  async readConversation(sessionId: string, parameters: Parameters<"readConversation"> = {}): Promise<Schemas["Conversation"] & { previous: Parameters<"readConversation"> | undefined }> {
    const response = await this.#get(conversation(sessionId), parameters);
    const read = (await response.json()) as Schemas["Conversation"];
    return { ...read, previous: linked(response, "prev", parameters) };
  }

  updateConversation(sessionId: string, change: Omit<Schemas["ConversationChange"], "accountId">, options: CallOptions = {}): Promise<Schemas["Conversation"]> {
    return this.#connection.json({ method: "PATCH", path: conversation(sessionId), json: change, ...options });
  }

  deleteConversation(sessionId: string, options: CallOptions = {}): Promise<Schemas["Success"]> {
    return this.#connection.json({ method: "DELETE", path: conversation(sessionId), ...options });
  }

  /** `reason` becomes part of the detail that the turns end with. */
  cancelConversation(sessionId: string, { reason, ...options }: CallOptions & { reason?: string | undefined } = {}): Promise<Schemas["Success"]> {
    return this.#connection.json({ method: "POST", path: `${conversation(sessionId)}/cancel`, ...(reason !== undefined && { json: { reason } }), ...options });
  }

  /** A new conversation of a state that this one had. Sent once: a second request would make a second one. */
  async forkConversation(sessionId: string, { at, session_id, title, ...options }: Omit<Schemas["Fork"], "accountId"> & CallOptions = {}): Promise<Schemas["Conversation"]> {
    const response = await this.#connection.sendOnce({ method: "POST", path: `${conversation(sessionId)}/fork`, json: { at, session_id, title }, ...options });
    return (await response.json()) as Schemas["Conversation"];
  }

  /** Takes the conversation back to the end of the turn `to`, or to before the turn `before`. Sent once: afterwards that turn may be gone. */
  async rewindConversation(sessionId: string, target: { to: string } | { before: string }, options: CallOptions = {}): Promise<Schemas["Conversation"]> {
    const response = await this.#connection.sendOnce({ method: "POST", path: `${conversation(sessionId)}/rewind`, json: target, ...options });
    return (await response.json()) as Schemas["Conversation"];
  }

  /** Replaces the history by a summary, for the model alone: a turn, which is read as that of a query is. */
  compactConversation(sessionId: string, { instructions, idempotencyKey = newKey(), ...options }: QueryOptions & { instructions?: string | undefined } = {}): TurnStream {
    const headers = { accept: "text/event-stream", "idempotency-key": idempotencyKey };
    const open = (): Promise<Response> => this.#connection.sendOnce({ method: "POST", path: `${conversation(sessionId)}/compact`, headers, json: { instructions, stream: true }, ...options });
    return this.#stream({ open, sessionId }, options);
  }

  /** How full the model's context was at the end of the last turn. */
  readContext(sessionId: string, options: CallOptions = {}): Promise<Schemas["ConversationContext"]> {
    return this.#connection.json({ path: `${conversation(sessionId)}/context`, ...options });
  }

  listTurns(sessionId: string, parameters: Parameters<"listTurns"> = {}): Promise<Page<Schemas["Turn"], Parameters<"listTurns">>> {
    return this.#page(`${conversation(sessionId)}/turns`, parameters);
  }

  readTurn(turnId: string, { signal, accountId, ...query }: Parameters<"readTurn"> = {}): Promise<Schemas["Turn"]> {
    return this.#connection.json({ path: `/turns/${encodeURIComponent(turnId)}`, query: query as Values, signal, accountId });
  }

  async listFiles(sessionId: string, parameters: Parameters<"listFiles"> = {}): Promise<Schemas["FileList"] & { next: Parameters<"listFiles"> | undefined }> {
    const response = await this.#get(file(sessionId, ""), parameters);
    const list = (await response.json()) as Schemas["FileList"];
    return { ...list, next: linked(response, "next", parameters) };
  }

  /** All files as a ZIP archive. */
  readArchive(sessionId: string, options: CallOptions = {}): Promise<Response> {
    return this.#connection.send({ path: file(sessionId, ""), headers: { accept: "application/zip" }, ...options });
  }

  /** A file, as the body of the response. 304 if it is still the version of `ifNoneMatch`. */
  readFile(sessionId: string, path: string, { at, range, ifMatch, ifNoneMatch, ...options }: ReadFileOptions = {}): Promise<Response> {
    const headers = { range, "if-match": ifMatch, "if-none-match": ifNoneMatch };
    return this.#connection.send({ path: file(sessionId, path), query: { at }, headers, ...options });
  }

  uploadFile(sessionId: string, path: string, content: Content, { ifMatch, ifNoneMatch, ...options }: UploadOptions = {}): Promise<Schemas["UploadedFile"]> {
    const headers = { "if-match": ifMatch, "if-none-match": ifNoneMatch };
    return this.#connection.json({ method: "PUT", path: file(sessionId, path), headers, body: content, ...options });
  }

  /** Deletes a file; with a `/` at the end of the path, a folder with everything in it; with an empty path, all files. */
  deleteFiles(sessionId: string, path: string, { ifMatch, ...options }: CallOptions & { ifMatch?: string | undefined } = {}): Promise<Schemas["Success"]> {
    const at = path === "" ? `${file(sessionId, "")}/` : file(sessionId, path);
    return this.#connection.json({ method: "DELETE", path: at, headers: { "if-match": ifMatch }, ...options });
  }

  listWebhooks(options: CallOptions = {}): Promise<Schemas["Webhook"][]> {
    return this.#connection.json({ path: "/webhooks", ...options });
  }

  readWebhook(name: string, options: CallOptions = {}): Promise<Schemas["Webhook"]> {
    return this.#connection.json({ path: webhook(name), ...options });
  }

  setWebhook(name: string, request: Omit<Schemas["WebhookRequest"], "accountId">, options: CallOptions = {}): Promise<Schemas["Webhook"]> {
    return this.#connection.json({ method: "PUT", path: webhook(name), json: request, ...options });
  }

  deleteWebhook(name: string, options: CallOptions = {}): Promise<Schemas["Success"]> {
    return this.#connection.json({ method: "DELETE", path: webhook(name), ...options });
  }

  /** Sent once: a second request would send a second event. */
  async testWebhook(name: string, options: CallOptions = {}): Promise<Schemas["QueuedEvent"]> {
    const response = await this.#connection.sendOnce({ method: "POST", path: `${webhook(name)}/test`, ...options });
    return (await response.json()) as Schemas["QueuedEvent"];
  }

  listDeliveries(name: string, parameters: Parameters<"listDeliveries"> = {}): Promise<Page<Schemas["WebhookDelivery"], Parameters<"listDeliveries">>> {
    return this.#page(`${webhook(name)}/deliveries`, parameters);
  }

  /** Sent once: a second request would send the event a second time. */
  async redeliver(name: string, eventId: string, options: CallOptions = {}): Promise<Schemas["QueuedEvent"]> {
    const path = `${webhook(name)}/deliveries/${encodeURIComponent(eventId)}/redeliver`;
    const response = await this.#connection.sendOnce({ method: "POST", path, ...options });
    return (await response.json()) as Schemas["QueuedEvent"];
  }

  listSchedules(options: CallOptions = {}): Promise<Schemas["Schedule"][]> {
    return this.#connection.json({ path: "/schedules", ...options });
  }

  readSchedule(name: string, options: CallOptions = {}): Promise<Schemas["Schedule"]> {
    return this.#connection.json({ path: schedule(name), ...options });
  }

  setSchedule(name: string, request: Omit<Schemas["ScheduleRequest"], "accountId">, options: CallOptions = {}): Promise<Schemas["Schedule"]> {
    return this.#connection.json({ method: "PUT", path: schedule(name), json: request, ...options });
  }

  deleteSchedule(name: string, options: CallOptions = {}): Promise<Schemas["Success"]> {
    return this.#connection.json({ method: "DELETE", path: schedule(name), ...options });
  }

  /** Runs it now, besides its times. Sent once: a second request would run it twice. */
  async runSchedule(name: string, options: CallOptions = {}): Promise<Schemas["StartedRun"]> {
    const response = await this.#connection.sendOnce({ method: "POST", path: `${schedule(name)}/run`, ...options });
    return (await response.json()) as Schemas["StartedRun"];
  }

  /** The runs of a schedule, newest first. */
  listRuns(name: string, parameters: Parameters<"listRuns"> = {}): Promise<Page<Schemas["ScheduleRun"], Parameters<"listRuns">>> {
    return this.#page(`${schedule(name)}/runs`, parameters);
  }

  /** What turns wait for, oldest first. */
  listActions(parameters: Parameters<"listActions"> = {}): Promise<Page<Schemas["Action"], Parameters<"listActions">>> {
    return this.#page("/actions", parameters);
  }

  readAction(actionId: string, options: CallOptions = {}): Promise<Schemas["Action"]> {
    return this.#connection.json({ path: action(actionId), ...options });
  }

  /** Decides an action. The turn goes on by itself: `followConversation` streams it. */
  decideAction(actionId: string, decision: Omit<Schemas["ActionDecision"], "accountId" | "stream" | "include">, options: CallOptions = {}): Promise<Schemas["AcceptedTurn"]> {
    return this.#connection.json({ method: "POST", path: action(actionId), headers: { prefer: "respond-async" }, json: decision, ...options });
  }

  async readUsage(parameters: Parameters<"readUsage"> = {}): Promise<Schemas["UsageReport"] & { next: Parameters<"readUsage"> | undefined }> {
    const response = await this.#get("/usage", parameters);
    const report = (await response.json()) as Schemas["UsageReport"];
    return { ...report, next: linked(response, "next", parameters) };
  }

  listAccounts(parameters: Parameters<"listAccounts"> = {}): Promise<Page<Schemas["AccountSummary"], Parameters<"listAccounts">>> {
    return this.#page("/accounts", parameters);
  }

  listAccountsUsage(parameters: Parameters<"listAccountsUsage"> = {}): Promise<Page<Schemas["AccountUsage"], Parameters<"listAccountsUsage">>> {
    return this.#page("/accounts/usage", parameters);
  }

  readAccount(accountId: string, { signal }: Signal = {}): Promise<Schemas["Account"]> {
    return this.#connection.json({ path: account(accountId), signal });
  }

  changeAccount(accountId: string, change: Schemas["AccountChangeRequest"], { signal }: Signal = {}): Promise<Schemas["Account"]> {
    return this.#connection.json({ method: "PATCH", path: account(accountId), json: change, signal });
  }

  eraseAccount(accountId: string, { signal, ...query }: Parameters<"eraseAccount"> = {}): Promise<Schemas["ErasureBegun"]> {
    return this.#connection.json({ method: "DELETE", path: account(accountId), query: query as Values, signal });
  }

  eraseOwnAccount(options: CallOptions = {}): Promise<Schemas["ErasureBegun"]> {
    return this.#connection.json({ method: "DELETE", path: "/account", ...options });
  }

  readErasure(erasureId: string, options: CallOptions = {}): Promise<Schemas["Erasure"]> {
    return this.#connection.json({ path: `/erasures/${encodeURIComponent(erasureId)}`, ...options });
  }

  readFleet({ signal }: Signal = {}): Promise<Schemas["Fleet"]> {
    return this.#connection.json({ path: "/fleet", signal });
  }

  listAudit(parameters: Parameters<"listAudit"> = {}): Promise<Page<Schemas["AuditEntry"], Parameters<"listAudit">>> {
    return this.#page("/audit", parameters);
  }

  /** A token for an account, made with a key. Sent once: a second request would make a second one. */
  async makeToken(request: Schemas["TokenRequest"], { signal }: Signal = {}): Promise<Schemas["Token"]> {
    const response = await this.#connection.sendOnce({ method: "POST", path: "/tokens", json: request, signal });
    return (await response.json()) as Schemas["Token"];
  }

  /** The account as lines of JSON; `cursor` goes on behind a conversation, and with `files: "inline"` files come with their bytes. */
  export({ cursor, files, ...options }: CallOptions & { cursor?: string | undefined; files?: "list" | "inline" | undefined } = {}): Promise<Response> {
    return this.#connection.send({ path: "/export", query: { cursor, files }, ...options });
  }

  /**
   * Stores what an export wrote, or a part of it with `resume`. Sent once: a second request would be refused for what the first has stored.
   * After an error, send the same lines with `resume`, which passes over the conversations that are there.
   */
  async import(lines: Content, { signal, accountId, ...query }: Parameters<"import"> = {}): Promise<Schemas["Imported"]> {
    const headers = { "content-type": "application/x-ndjson" };
    const response = await this.#connection.sendOnce({ method: "POST", path: "/import", query: query as Values, headers, body: lines, signal, accountId });
    return (await response.json()) as Schemas["Imported"];
  }

  prewarm(options: CallOptions = {}): Promise<Schemas["Prewarming"]> {
    return this.#connection.json({ method: "POST", path: "/prewarm", ...options });
  }

  storageStats(options: CallOptions = {}): Promise<Schemas["StorageStats"]> {
    return this.#connection.json({ path: "/storage-stats", ...options });
  }

  purge(options: CallOptions = {}): Promise<Schemas["PurgeResult"]> {
    return this.#connection.json({ method: "POST", path: "/purge", ...options });
  }

  /** Sent once: a second request would start a second run. */
  async startPurgeRun({ signal }: Signal = {}): Promise<Schemas["PurgeRunStarted"]> {
    const response = await this.#connection.sendOnce({ method: "POST", path: "/purge-runs", signal });
    return (await response.json()) as Schemas["PurgeRunStarted"];
  }

  listPurgeRuns({ signal }: Signal = {}): Promise<Schemas["PurgeRun"][]> {
    return this.#connection.json({ path: "/purge-runs", signal });
  }

  #stream(source: Pick<Source, "open" | "sessionId" | "lastEventId">, options: FollowOptions): TurnStream {
    const resume = (sessionId: string, lastEventId: string): Promise<Response> => this.#resume(sessionId, lastEventId, options);
    return new TurnStream({ ...source, resume, maxRetries: this.#connection.maxRetries, signal: options.signal });
  }

  #resume(sessionId: string, lastEventId: string | undefined, { signal, accountId, include }: FollowOptions): Promise<Response> {
    const headers = { accept: "text/event-stream", "last-event-id": lastEventId };
    return this.#connection.sendOnce({ path: `${conversation(sessionId)}/events`, query: { include: include?.join(",") }, headers, signal, accountId });
  }

  #get(path: string, { signal, accountId, ...query }: CallOptions): Promise<Response> {
    return this.#connection.send({ path, query: query as Values, signal, accountId });
  }

  async #page<Item, Next extends CallOptions>(path: string, parameters: Next): Promise<Page<Item, Next>> {
    const response = await this.#get(path, parameters);
    return { items: (await response.json()) as Item[], next: linked(response, "next", parameters) };
  }
}

const KEY_BYTES = 16;

/** A key that nobody else has. `crypto.randomUUID` is missing on pages without TLS. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const conversation = (sessionId: string): string => `/conversations/${encodeURIComponent(sessionId)}`;

const account = (accountId: string): string => `/accounts/${encodeURIComponent(accountId)}`;
const action = (actionId: string): string => `/actions/${encodeURIComponent(actionId)}`;
const chat = (sessionId: string): string => `/chat/${encodeURIComponent(sessionId)}`;
const webhook = (name: string): string => `/webhooks/${encodeURIComponent(name)}`;
const schedule = (name: string): string => `/schedules/${encodeURIComponent(name)}`;

/** The slashes of a path separate segments, which are encoded. */
function file(sessionId: string, path: string): string {
  return [`${conversation(sessionId)}/files`, ...(path === "" ? [] : path.split("/").map(encodeURIComponent))].join("/");
}

/** The parameters of the URL in the `Link` header with this relation, besides those that the call had. */
function linked<Call extends CallOptions>(response: Response, relation: "next" | "prev", call: Call): Call | undefined {
  const target = new RegExp(`<([^>]+)>; rel="${relation}"`).exec(response.headers.get("link") ?? "")?.[1];
  if (target === undefined) return undefined;
  const { accountId: _, ...values } = Object.fromEntries(new URL(target, "http://any").searchParams);
  // An offset counts from the beginning, a cursor goes on from where it was made.
  const { offset: __, ...others } = call as Call & { offset?: unknown };
  return { ...others, ...values } as unknown as Call;
}
