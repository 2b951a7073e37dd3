/*
 * Random and hostile requests: methods, paths, encodings, headers and bodies that nobody sane sends, among some that are right.
 * Every request is valid HTTP; nothing else about it is promised.
 */
import type { Random } from "../soak/random.ts";

export type FuzzRequest = { method: string; path: string; headers: Record<string, string>; body?: Buffer };

const METHODS = ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "PROPFIND", "MKCOL"];
const SEGMENTS = ["query", "conversations", "turns", "health", "storage-stats", "purge", "purge-runs", "cancel", "events", "v1", "messages", "..", ".", "", "%2e%2e", "__proto__"];
const TURNS = ["turn_0123456789abcdef0123456789abcdef", "turn_", "turn_x", "turn_0123456789ABCDEF0123456789abcdef"];
const TYPES = ["application/json", "application/json", "application/json", "application/json; charset=utf-16", "text/plain", "application/merge-patch+json", "multipart/form-data; boundary=x", "", "application/json, text/html", "APPLICATION/JSON"];
const TEXTS = ["", " ", "a", "fuzz", "null", "true", "0", "-1", "1e309", "NaN", "\u0000", "\u0000\u0001", "\ud83d\ude00", "\u202e", "é", "ß", "İ", "'; drop table turns; --", "' or 1=1", "%", "_", "\\", "\"", "${7*7}", "<script>", "../../etc/passwd", "\r\nX-Evil: 1", "x".repeat(128), "x".repeat(129), "é".repeat(300), "constructor", "$.message_count", "[[", "a b c d e f g h i"];
const NUMBERS = [0, -0, 1, -1, 0.5, 1e21, -1e21, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 2 ** 64, 1e308, 200, 201];
const NAMES = ["query", "prompt", "accountId", "session_id", "stream", "model", "system_prompt", "max_turns", "title", "metadata", "limit", "offset", "cursor", "q", "before", "account_id", "__proto__", "toString"];
const HEADERS = ["last-event-id", "idempotency-key", "prefer", "accept", "authorization", "x-request-id", "x-forwarded-for", "if-none-match", "range", "cookie", "content-encoding", "expect-ct", "cf-connecting-ip", "x-http-method-override", "origin"];
const MAX_DEPTH = 200;
const MAX_PROMPT = 1024 * 1024;
/** Only queries are read whole: a large body anywhere else is answered before it has come. */
const MAX_BODY_ELSEWHERE = 16 * 1024;

/** The accounts that a query may start a container for; any other is only read. */
export const QUERY_ACCOUNTS = ["fuzz-one", "fuzz two/é"];

export class Requests {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): FuzzRequest {
    const [right, path] = this.#route();
    const method = this.#chance(0.85) ? right : this.#random.pick(METHODS);
    const target = path + this.#parameters(method);
    const headers = this.#headers();
    // Who waits for a turn sends nothing else meanwhile.
    if (path === "/query" && !this.#chance(0.03)) headers["prefer"] = "respond-async";
    if (method === "GET" || method === "HEAD" || this.#chance(0.1)) return { method, path: target, headers };
    if (!this.#chance(0.05)) headers["content-type"] = this.#random.pick(TYPES);
    const body = this.#body();
    return { method, path: target, headers, body: path === "/query" ? body : body.subarray(0, MAX_BODY_ELSEWHERE) };
  }

  #chance(share: number): boolean {
    return this.#random.next() < share;
  }

  /** A method and a path, which mostly go together. */
  #route(): [method: string, path: string] {
    const conversation = `/conversations/${this.#id()}`;
    const known: [string, string][] = [
      ["POST", "/query"],
      ["POST", "/query"],
      ["GET", "/conversations"],
      ["GET", "/conversations"],
      ["GET", conversation],
      ["PATCH", conversation],
      ["DELETE", conversation],
      ["GET", `${conversation}/events`],
      ["POST", `${conversation}/cancel`],
      ["GET", `/turns/${this.#random.pick(TURNS)}`],
      ["GET", "/storage-stats"],
      ["GET", "/health"],
    ];
    if (this.#chance(0.85)) return this.#random.pick(known);
    const segments = Array.from({ length: this.#random.between(0, 5) }, () => (this.#chance(0.6) ? this.#random.pick(SEGMENTS) : this.#id()));
    return [this.#random.pick(METHODS), `/${segments.join("/")}`];
  }

  /** The query string. A POST names one of the accounts that may have a container, or leaves that to its body. */
  #parameters(method: string): string {
    const parameters = Array.from({ length: this.#random.between(0, 3) }, () => `${this.#random.pick(NAMES)}=${this.#encoded(this.#text())}`);
    if (method !== "POST" && this.#chance(0.3)) parameters.push(`accountId=${this.#encoded(this.#text())}`);
    else if (this.#chance(0.5)) parameters.unshift(`accountId=${encodeURIComponent(this.#random.pick(QUERY_ACCOUNTS))}`);
    return parameters.length === 0 ? "" : `?${parameters.join("&")}`;
  }

  /** A conversation's id, or something in its place. */
  #id(): string {
    return this.#chance(0.6) ? this.#random.pick(["fuzz", "a", "A.b_c:d-e", "x".repeat(128)]) : this.#encoded(this.#text());
  }

  #text(): string {
    if (this.#chance(0.6)) return this.#random.pick(TEXTS);
    if (this.#chance(0.5)) return String(this.#random.pick(NUMBERS));
    return Array.from({ length: this.#random.between(1, 40) }, () => String.fromCodePoint(this.#codePoint())).join("");
  }

  #codePoint(): number {
    const ranges = [[0, 0x7f], [0, 0x7f], [0x80, 0x7ff], [0xe000, 0xffff], [0x10000, 0x10ffff]] as const;
    const [from, to] = this.#random.pick(ranges);
    return this.#random.between(from, to);
  }

  /** Encoded rightly, doubly, wrongly or as bytes that are no text. */
  #encoded(text: string): string {
    const once = encodeURIComponent(text.toWellFormed());
    switch (this.#random.between(0, 9)) {
      case 0:
        return encodeURIComponent(once);
      case 1:
        return `${once}%`;
      case 2:
        return `%zz${once}`;
      case 3:
        return Array.from({ length: this.#random.between(1, 12) }, () => `%${this.#random.between(0, 255).toString(16).padStart(2, "0")}`).join("");
      default:
        return once;
    }
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = {};
    for (let left = this.#random.between(0, 3); left > 0; left -= 1) {
      // What a header may hold: no control characters, and Latin-1 at most.
      const value = this.#text().replace(/[^\x20-\x7e\xa0-\xff]/g, "?").trim();
      headers[this.#random.pick(HEADERS)] = value;
    }
    if (this.#chance(0.1)) headers["last-event-id"] = `${this.#random.pick(TURNS)}:${this.#random.pick(NUMBERS)}`;
    if (this.#chance(0.2)) headers["accept"] = "text/event-stream";
    return headers;
  }

  #body(): Buffer {
    switch (this.#random.between(0, 9)) {
      case 0:
        return Buffer.from(Array.from({ length: this.#random.between(0, 200) }, () => this.#random.between(0, 255)));
      case 1:
        return Buffer.from("[".repeat(this.#random.between(1, MAX_DEPTH)));
      case 2:
        return Buffer.from(JSON.stringify({ query: "x".repeat(MAX_PROMPT + this.#random.between(0, 2)), accountId: QUERY_ACCOUNTS[0] }));
      case 3:
        return Buffer.from(JSON.stringify({ query: "fuzz", session_id: "fuzz", accountId: this.#random.pick(QUERY_ACCOUNTS) }));
      case 4: {
        const whole = Buffer.from(JSON.stringify(this.#object(0)));
        return whole.subarray(0, this.#random.between(0, whole.length));
      }
      default:
        return Buffer.from(JSON.stringify(this.#object(0)));
    }
  }

  #object(depth: number): Record<string, unknown> {
    const fields: [string, unknown][] = Array.from({ length: this.#random.between(0, 6) }, () => [this.#chance(0.8) ? this.#random.pick(NAMES) : this.#text(), this.#value(depth)]);
    const object: Record<string, unknown> = Object.fromEntries(fields);
    if (depth > 0) return object;
    // A query that is right runs for one of two accounts; any other account stays without a container.
    if (typeof object["accountId"] === "string" || !("accountId" in object)) object["accountId"] = this.#random.pick(QUERY_ACCOUNTS);
    return object;
  }

  #value(depth: number): unknown {
    const kinds = ["text", "text", "text", "number", "bool", "null", "object", "list"];
    switch (this.#random.pick(kinds)) {
      case "text":
        return this.#text();
      case "number":
        return this.#random.pick(NUMBERS);
      case "bool":
        return this.#chance(0.5);
      case "object":
        return depth < 3 ? this.#object(depth + 1) : {};
      case "list":
        return depth < 3 ? [this.#value(depth + 1), this.#value(depth + 1)] : [];
      default:
        return null;
    }
  }
}
