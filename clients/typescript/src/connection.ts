/** Sends requests: where to, with which credential and account, and again if they fail for a while. Knows no operation. */
import { ConnectionError, errorOf } from "./errors.ts";
import { DEFAULT_MAX_RETRIES, Retries } from "./retries.ts";

export interface ClientOptions {
  /** Where the service is, such as `https://agents.example.com`. A path in it is kept. */
  baseUrl: string | URL;
  /** A key or a token. A function is asked before each request, so that it can return a fresh token. */
  token?: string | undefined | (() => string | undefined | Promise<string | undefined>);
  /** The account of each request that names no other. Without one, it is the token's account; with a key, `default`. */
  accountId?: string | undefined;
  /** How often a request is sent again that failed for a reason that may pass. Default: 5. */
  maxRetries?: number;
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch;
}

/** What every method takes besides its own parameters. */
export interface CallOptions {
  /** Ends the request. A turn that it started goes on. */
  signal?: AbortSignal | undefined;
  /** The account of this request. */
  accountId?: string | undefined;
}

/** What a file is uploaded from: each can be sent twice. */
export type Content = Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | string;

export type Values = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export interface Outgoing extends CallOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Values;
  headers?: Values;
  json?: unknown;
  body?: Content | undefined;
}

export class Connection {
  readonly maxRetries: number;
  readonly #base: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#base = String(new URL(options.baseUrl)).replace(/\/+$/, "");
    this.maxRetries = options.maxRetries ?? DEFAULT_MAX_RETRIES;
  }

  /** A response with a status below 400. The request is sent again if it fails, so it must be one that may arrive twice. */
  async send(outgoing: Outgoing): Promise<Response> {
    const retries = new Retries(this.maxRetries);
    for (;;) {
      try {
        return await this.sendOnce(outgoing);
      } catch (error) {
        await retries.waitAfter(error, outgoing.signal);
      }
    }
  }

  async sendOnce(outgoing: Outgoing): Promise<Response> {
    const { signal } = outgoing;
    const request = await this.#request(outgoing);
    // A function of its own: `fetch` refuses to be called as a method.
    const send = this.#options.fetch ?? fetch;
    let response: Response;
    try {
      response = await send(request);
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw new ConnectionError(`${new URL(request.url).origin} does not respond`, { cause: error });
    }
    if (response.status >= 400) throw await errorOf(response);
    return response;
  }

  /** The JSON of a response. */
  async json<T>(outgoing: Outgoing): Promise<T> {
    const response = await this.send(outgoing);
    return (await response.json()) as T;
  }

  async #request({ method = "GET", path, query = {}, headers = {}, json, body, accountId, signal }: Outgoing): Promise<Request> {
    const url = new URL(this.#base + path);
    const account = accountId ?? this.#options.accountId;
    if (account !== undefined) url.searchParams.set("accountId", account);
    for (const [name, value] of given(query)) url.searchParams.set(name, value);
    const all = new Headers(given(headers));
    const { token } = this.#options;
    const credential = typeof token === "function" ? await token() : token;
    if (credential !== undefined) all.set("authorization", `Bearer ${credential}`);
    if (json !== undefined) all.set("content-type", "application/json");
    const content = json === undefined ? body : JSON.stringify(json);
    return new Request(url, {
      method,
      headers: all,
      ...(content !== undefined && { body: content }),
      ...(signal !== undefined && { signal }),
    });
  }
}

function given(values: Values): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined || value === null ? [] : [[name, String(value)]]));
}
