/*
 * Answers of this server that are no stream: JSON, and errors as `{code, message}`.
 */
import type { ServerResponse } from "node:http";

export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  /** Fields that go with it. */
  readonly details: object;

  constructor(status: number, code: string, message: string, details: object = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

export function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

export function notFound(method: string | undefined, path: string): HttpError {
  return new HttpError(404, "not_found", `${method} ${path} is not a call of this server`);
}
