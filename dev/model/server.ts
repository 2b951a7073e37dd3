/*
 * The stand-in of Anthropic's Messages API over HTTP: messages, token counts, and the control routes.
 * Answers at once unless told otherwise. A development tool: it checks that a credential is there, never which.
 */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { isLoopback } from "../loopback.ts";
import { Control } from "./control.ts";
import type { LoggedRequest, Rule } from "./control.ts";
import { handleControl } from "./control-routes.ts";
import { encode, errorBody, eventsOf, messageFor, newId } from "./message.ts";
import type { Usage } from "./message.ts";
import { InvalidRequest, readMessagesRequest } from "./request.ts";
import type { MessagesRequest } from "./request.ts";
import { planFor } from "./script.ts";
import type { Failure, Plan } from "./script.ts";

/** The API's own limit. */
export const MAX_BODY_BYTES = 32 * 1024 * 1024;
/** A larger body is read to its end, and thrown away, so that its sender gets the answer; up to here. */
const MAX_DISCARDED_BYTES = 4 * MAX_BODY_BYTES;
/** Prompts with `[[fail … times=N]]` whose failures are being counted. */
export const MAX_COUNTED_PROMPTS = 1_000;
const KEEP_ALIVE_MS = 120_000;
const JSON_TYPE = "application/json";

export type Model = { url: string; port: number; control: Control; close(): Promise<void> };

/** Starts the stand-in on 127.0.0.1; port 0 (the default) takes a free one. */
export async function startModel(options: { port?: number } = {}): Promise<Model> {
  const control = new Control();
  const failures = new FailureCounts();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    handle(request, response, control, failures).catch((error: unknown) => {
      if (response.destroyed) return;
      const [status, text] =
        error instanceof InvalidRequest ? [400, error.message] : error instanceof TooLarge ? [413, error.message] : [500, String(error)];
      sendError(response, { status }, text);
    });
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    control,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

class TooLarge extends Error {}

async function handle(request: IncomingMessage, response: ServerResponse, control: Control, failures: FailureCounts): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://stand-in");
  if (pathname.startsWith("/control/")) {
    const text = await readBody(request);
    const refusal = refusalOf(request, text);
    const [status, body] = refusal ?? handleControl(control, `${request.method} ${pathname}`, text);
    return sendJson(response, status, body);
  }
  if (pathname !== "/v1/messages" && pathname !== "/v1/messages/count_tokens") {
    return sendError(response, { status: 404 }, `Not found: ${pathname}`);
  }
  if (request.method !== "POST") return sendError(response, { status: 405 }, "Method Not Allowed");
  const credential = { xApiKey: header(request, "x-api-key"), authorization: header(request, "authorization") };
  const body = await readBody(request);
  if (credential.xApiKey === null && credential.authorization === null) {
    return sendError(response, { status: 401 }, "x-api-key header is required");
  }
  const asked = readMessagesRequest(parseJson(body));
  if (pathname.endsWith("/count_tokens")) {
    if (asked.refusal !== undefined) throw new InvalidRequest(asked.refusal);
    return sendJson(response, 200, { input_tokens: asked.prefixTokens + asked.lastMessageTokens });
  }

  const logged = control.arrived(request.url ?? "", credential, asked);
  response.on("close", () => {
    control.update(logged, { state: response.writableFinished ? "answered" : "aborted" });
  });
  if (asked.refusal !== undefined) {
    control.update(logged, { status: 400 });
    throw new InvalidRequest(asked.refusal);
  }
  const plan = withRule(planFor(control.scripted(asked)), control.takeRule());
  const failure = plan.failure && failures.next(asked, plan.failure);
  if (failure !== undefined) {
    control.update(logged, { status: failure.status });
    return sendError(response, failure, `stand-in: told to fail with ${failure.status}`);
  }
  if (plan.hang) await hang(control, logged);
  if (response.destroyed) return;
  control.update(logged, { status: 200 });
  if (asked.stream) return stream(response, asked, plan, control, logged);

  if (plan.ending === "stalled") await hang(control, logged);
  if (response.destroyed || plan.ending === "cut") return void response.destroy();
  await sleep(plan.delayMs);
  const message = messageFor(asked, plan);
  control.update(logged, { usage: message.usage });
  sendJson(response, 200, message);
}

/** The control routes ask nobody who they are: what a web page could send, under this machine's name or another, is not taken. */
function refusalOf({ headers, headersDistinct }: IncomingMessage, body: string): [status: number, body: object] | undefined {
  if (headers.origin !== undefined) return [403, { error: "the control routes are not for web pages" }];
  const [host = "", ...others] = headersDistinct["host"] ?? [];
  if (others.length > 0 || !isLoopback(host)) return [403, { error: "the control routes answer to localhost" }];
  const type = headers["content-type"] ?? (body === "" ? JSON_TYPE : "");
  return type.split(";")[0]?.trim().toLowerCase() === JSON_TYPE ? undefined : [415, { error: `a rule is sent as ${JSON_TYPE}` }];
}

/** A rule goes before what the prompt says. */
function withRule(plan: Plan, rule: Rule | undefined): Plan {
  if (rule === undefined) return plan;
  return { ...plan, failure: rule.fail ?? plan.failure, hang: rule.hang ?? plan.hang, delayMs: rule.delayMs ?? plan.delayMs };
}

async function hang(control: Control, logged: LoggedRequest): Promise<void> {
  const released = control.released();
  control.update(logged, { state: "hanging" });
  await released;
  if (!logged.aborted) control.update(logged, { state: "open" });
}

/** Events that nothing comes between go in one piece, as through any buffer, up to about this length. */
const MAX_PIECE_CHARS = 16 * 1024;

async function stream(
  response: ServerResponse,
  asked: MessagesRequest,
  plan: Plan,
  control: Control,
  logged: LoggedRequest,
): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "request-id": newId("req"),
  });
  let deltas = 0;
  let ending = plan.ending;
  let piece = "";
  let usage: Usage | null = null;
  let saidBytes = 0;
  const flush = async (): Promise<void> => {
    const text = piece;
    piece = "";
    control.update(logged, { usage, said_bytes: saidBytes });
    if (text !== "" && !response.destroyed && !response.write(text)) await drained(response);
  };
  const message = messageFor(asked, plan);
  for (const event of eventsOf(message)) {
    const isDelta = event.type === "content_block_delta";
    // A stream that ends early ends after its first piece, or before its end where there is only one.
    if ((isDelta && deltas === 1) || event.type === "content_block_stop") {
      if (ending !== "whole") await flush();
      if (ending === "stalled") await hang(control, logged);
      if (ending === "malformed") return void response.end("event: content_block_delta\ndata: {not json\n\n");
      if (ending === "cut") return cut(response);
      ending = "whole";
    }
    if (isDelta) {
      if (plan.delayMs > 0) {
        await flush();
        await sleep(plan.delayMs);
      }
      deltas += 1;
      saidBytes += saidIn(event["delta"] as object);
    }
    if (response.destroyed) return;
    if (event.type === "message_start") usage = { ...message.usage, output_tokens: 1 };
    if (event.type === "message_delta") usage = message.usage;
    piece += encode(event);
    if (piece.length > MAX_PIECE_CHARS) await flush();
  }
  control.update(logged, { usage, said_bytes: saidBytes });
  response.end(piece);
}

/** The bytes of a delta's value, without its quotes. */
function saidIn({ type: _, ...value }: { type?: string } & object): number {
  return Object.values(value).reduce<number>((sum, said) => sum + Buffer.byteLength(JSON.stringify(said)) - 2, 0);
}

/** Waits until the reader has caught up or left, and listens no longer. */
async function drained(response: ServerResponse): Promise<void> {
  const over = new AbortController();
  const either = ["drain", "close"].map((event) => once(response, event, { signal: over.signal }));
  await Promise.race(either).finally(() => over.abort());
}

/** Destroys the connection after what was written has left. */
async function cut(response: ServerResponse): Promise<void> {
  await new Promise((sent) => response.write(": cut\n\n", sent));
  response.destroy();
}

/** Counts how often a prompt with `times=N` has failed; after N failures it goes through, and counts anew. */
class FailureCounts {
  readonly #counts = new Map<string, number>();

  next(asked: MessagesRequest, failure: Failure): Failure | undefined {
    if (failure.times === undefined) return failure;
    const prompt = asked.userTexts.at(-1) ?? "";
    const failed = this.#counts.get(prompt) ?? 0;
    if (failed >= failure.times) {
      this.#counts.delete(prompt);
      return undefined;
    }
    if (this.#counts.size >= MAX_COUNTED_PROMPTS) this.#counts.clear();
    this.#counts.set(prompt, failed + 1);
    return failure;
  }
}

function header(request: IncomingMessage, name: "x-api-key" | "authorization"): string | null {
  const value = request.headers[name];
  return typeof value === "string" ? value : null;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_DISCARDED_BYTES) break;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (bytes > MAX_BODY_BYTES) throw new TooLarge("Request exceeds the maximum size");
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidRequest("The request body is not valid JSON.");
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "request-id": newId("req") });
  response.end(JSON.stringify(body));
}

function sendError(response: ServerResponse, failure: Failure, message: string): void {
  if (response.headersSent) return void response.destroy();
  const requestId = newId("req");
  response.writeHead(failure.status, {
    "content-type": "application/json",
    "request-id": requestId,
    ...(failure.retryAfterSeconds === undefined ? {} : { "retry-after": String(failure.retryAfterSeconds) }),
  });
  response.end(JSON.stringify(errorBody(failure.status, message, requestId)));
}
