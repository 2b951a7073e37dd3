/*
 * A server that takes webhooks: it keeps what reaches it, verifies it with the public library of Standard Webhooks, and answers as a test
 * says, or 204. Holds no test.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { assertDescribed } from "./contract.ts";
import { json } from "./client.ts";
import type { Client } from "./client.ts";

export type Event = {
  id: string;
  type: string;
  created_at: number;
  data: { account_id: string; session_id?: string; turn_id?: string; status?: string; code?: string; schedule?: string; turn?: { response?: string } };
};
export type Arrival = { at: number; path: string; headers: IncomingHttpHeaders; body: string; event: Event };
/** Whatever answers a request; it need not. */
export type Answer = (response: ServerResponse) => void;

export class Receiver {
  readonly url: string;
  readonly arrivals: Arrival[] = [];
  /** Answers of the requests to come, one after the other. */
  readonly answers: Answer[] = [];
  /** The answer of a request for which there is none. */
  otherwise: (arrival: Arrival) => Answer = () => status(204);
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => void this.#arrived(request.url ?? "", request.headers, text(request), response));
  }

  static async start(): Promise<Receiver> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new Receiver(server);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Waits until so many requests of an account have come that fit; returns them. */
  async until(count: number, fits: (arrival: Arrival) => boolean, timeoutMs: number): Promise<Arrival[]> {
    const found = (): Arrival[] => this.arrivals.filter(fits);
    await this.when(() => found().length >= count, timeoutMs, () => `${found().length} of ${count} requests`);
    return found();
  }

  /** Waits until something holds, which only another request can change. */
  async when(holds: () => boolean, timeoutMs: number, stand: () => string): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (!holds()) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        signal.addEventListener("abort", () => reject(new Error(`${stand()} after ${timeoutMs} ms`)), { once: true });
      });
    }
  }

  async #arrived(path: string, headers: IncomingHttpHeaders, body: Promise<string>, response: ServerResponse): Promise<void> {
    const sent = await body;
    const arrival = { at: Date.now(), path, headers, body: sent, event: JSON.parse(sent) as Event };
    this.arrivals.push(arrival);
    const answer = this.answers.shift() ?? this.otherwise(arrival);
    answer(response);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Answers with a status, and headers. */
export const status = (code: number, headers: Record<string, string> = {}): Answer => (response) => void response.writeHead(code, headers).end();
/** Never answers. */
export const stall: Answer = () => {};

/** Checks an arrival with the public library, and returns its event. */
export function verified(arrival: Arrival, secret: string): Event {
  const headers = arrival.headers as Record<string, string>;
  const event = new Webhook(secret).verify(arrival.body, headers) as Event;
  assert.equal(event.id, headers["webhook-id"]);
  return event;
}

/** PUT of a JSON document about the client's account, whatever it answers. */
export async function put(client: Client, path: string, body: unknown): Promise<Response> {
  const url = `${client.url}${path}?accountId=${client.accountId}`;
  const response = await fetch(url, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  await assertDescribed("PUT", response);
  return response;
}

/** Makes a webhook and returns its secret. */
export async function webhook(client: Client, url: string, fields: Record<string, unknown> = {}): Promise<string> {
  return (await json<{ secret: string }>(await put(client, "/webhooks/crm", { url, ...fields }), 200)).secret;
}

export type Delivery = { event_id: string; type: string; status: "pending" | "delivered" | "dead"; attempts: number; last_status: number | null; last_error: string | null };

export async function deliveries(client: Client): Promise<Delivery[]> {
  return json<Delivery[]>(await client.request("GET", "/webhooks/crm/deliveries"), 200);
}
