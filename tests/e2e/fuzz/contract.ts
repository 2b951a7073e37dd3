/*
 * What any answer of the service must be, whatever the request was.
 */
import assert from "node:assert/strict";
import { Agent, request as send } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { CODES } from "../codes.ts";
import type { FuzzRequest } from "./requests.ts";

export type FuzzAnswer = { status: number; headers: IncomingHttpHeaders; body: string };

/** The codes that a request alone can provoke where everybody gets in. A fault of ours is none of them. */
const PROVOKED = new Set(["invalid_json", "no_prompt", "invalid_account", "invalid_session_id", "invalid_parameter", "not_found", "method_not_allowed", "auth_not_configured", "turn_cancelled", "prompt_too_large", "unsupported_media_type", "idempotency_key_reused", "queue_full"]);
/** A turn of fuzz waits for those before it. */
const ANSWER_TIMEOUT_MS = 60_000;

/** A connection a request: what is left of a body that the Worker did not read is no business of the next request. */
export const agent = (connections: number): Agent => new Agent({ keepAlive: false, maxSockets: connections });

/**
 * Whether the development server answered in the Worker's place: where a Worker answers before a body has come whole,
 * wrangler's proxy may lose the connection, or use it again too early and take the rest of the body for a request.
 */
export function isFromProxy({ headers, body }: FuzzAnswer): boolean {
  return headers["x-request-id"] === undefined && (body === "invalid HTTP method parsed" || body.includes("/miniflare/dist/"));
}

/** Sends a request as it is: node:http changes nothing in a path. */
export function answer(url: string, agent: Agent, { method, path, headers, body }: FuzzRequest): Promise<FuzzAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = send({ hostname, port, agent, method, path, headers, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.once("error", reject);
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)));
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

/** Fails unless the answer is one of the contract's. */
export function check({ method }: FuzzRequest, { status, headers, body }: FuzzAnswer): void {
  const requestId = headers["x-request-id"];
  assert.match(String(requestId), /^req_[0-9a-f]{32}$/, "every answer has a request id");
  const type = headers["content-type"] ?? "";
  if (method === "OPTIONS" && status === 204) {
    assert.deepEqual([headers["allow"] === undefined, type, body], [false, "", ""]);
    return;
  }
  if (status === 200 || status === 202) {
    if (method === "HEAD") return assert.equal(body, "");
    if (type.startsWith("text/event-stream")) return;
    assert.equal(type, "application/json");
    JSON.parse(body);
    return;
  }
  assert.equal(type, "application/problem+json");
  assert.equal(headers["allow"] !== undefined, status === 405, "Allow comes with 405 and nothing else");
  if (method === "HEAD") return;
  const problem = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual(Object.keys(problem).sort(), ["code", "detail", "error", "request_id", "status", "title", "type"]);
  const code = String(problem["code"]);
  assert.ok(PROVOKED.has(code), `${code} is no fault of the request's`);
  assert.deepEqual([[status, problem["title"]], problem["type"]], [CODES[code], "about:blank"]);
  assert.deepEqual([problem["status"], problem["request_id"], problem["error"]], [status, requestId, problem["detail"]]);
  assert.ok(String(problem["detail"]).length < 500, "a detail is a sentence");
  assert.doesNotMatch(body, /panicked|\.rs:\d|RuntimeError|wasm|sqlite|\bat .+:\d+:\d+/i);
}
