/*
 * What stands where the gateway believes the model's API to be: keeps what reaches it and answers as the test says;
 * without a word of the test the stand-in answers. Also a program in a container, as far as its network goes. Holds no test.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after } from "node:test";
import { service } from "./support.ts";
import type { Service } from "./support.ts";
import type { StackOptions } from "../../dev/stack.ts";

const ANSWER_MS = 10_000;

/** A request as it reached the model's API; `body` is what has arrived of it. */
export type Arrival = { method: string; url: string; headers: IncomingHttpHeaders; body: string };

export class Upstream {
  readonly arrivals: Arrival[] = [];
  readonly url: string;
  readonly #server: Server;
  #answer: RequestListener | undefined;
  readonly #standIn: () => string;

  private constructor(server: Server, standIn: () => string) {
    this.#server = server;
    this.#standIn = standIn;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (req, res) => this.#arrived(req, res));
  }

  /** `standIn` is where requests go that the test has no answer for. */
  static async start(standIn: () => string): Promise<Upstream> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new Upstream(server, standIn);
  }

  /** The test's own answer to all requests that arrive while `during` runs. */
  async answering<T>(answer: RequestListener, during: () => Promise<T>): Promise<T> {
    this.#answer = answer;
    try {
      return await during();
    } finally {
      this.#answer = undefined;
    }
  }

  /** What arrived while `during` ran. */
  async arrivalsDuring(during: () => Promise<unknown>): Promise<Arrival[]> {
    const known = this.arrivals.length;
    await during();
    return this.arrivals.slice(known);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #arrived(req: IncomingMessage, res: ServerResponse): void {
    const arrival: Arrival = { method: req.method ?? "", url: req.url ?? "", headers: req.headers, body: "" };
    this.arrivals.push(arrival);
    req.on("data", (chunk: Buffer) => (arrival.body += chunk.toString("latin1")));
    if (this.#answer !== undefined) return this.#answer(req, res);
    const onward = request(this.#standIn() + req.url, { method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onward.on("error", () => res.destroy());
    res.once("close", () => onward.destroy());
    req.pipe(onward);
  }
}

/** A product whose model's API is an `Upstream` in front of the stand-in. */
export async function serviceWithUpstream(options: StackOptions = {}): Promise<{ running: Service; upstream: Upstream }> {
  const upstream = await Upstream.start(() => running.model.url);
  const running = service({ ...options, vars: { MODEL_API_URL: upstream.url, ...options.vars } });
  after(() => upstream.close());
  return { running, upstream };
}

/** An answer of the network to a program in a container. */
export type Heard = { status: number; headers: IncomingHttpHeaders; body: string };

/** A program in a container that honours HTTP_PROXY, as the CLI and curl do: what it sends takes the agent's own way. */
export class Outbound {
  readonly proxy: URL;

  /** In the container of that process. */
  constructor(pid: number) {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    const proxy = environment.find((entry) => entry.startsWith("HTTP_PROXY="))?.slice("HTTP_PROXY=".length);
    assert.ok(proxy !== undefined, `process ${pid} is in no container`);
    this.proxy = new URL(proxy);
  }

  /** A request whose body is still to be written. */
  open(method: string, url: string, headers: Record<string, string> = {}): ClientRequest {
    return request({ host: this.proxy.hostname, port: this.proxy.port, method, path: url, agent: false, headers: { host: new URL(url).host, ...headers } });
  }

  async ask(method: string, url: string, headers: Record<string, string> = {}, body = ""): Promise<Heard> {
    const call = this.open(method, url, headers);
    call.end(body);
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) };
  }
}

/** The answers, so many, to bytes that are sent through a tunnel to `host`, whatever they say: of a container's proxy, or of workerd itself. */
export async function throughTunnel(port: number, host: string, bytes: string, answers = 1): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    socket.write(`CONNECT ${host}:80 HTTP/1.1\r\nHost: ${host}:80\r\nX-Hostname: ${host}\r\nX-Proto: tcp\r\n\r\n`);
    const opened = String((await once(socket, "data", { signal }))[0]);
    assert.match(opened, /^HTTP\/1\.1 200 /);
    socket.write(bytes);
    let heard = "";
    while (heard.split("HTTP/1.1 ").length <= answers || !/(\}|0\r\n\r\n|Content-Length: 0\r\n\r\n)$/i.test(heard)) {
      heard += String((await once(socket, "data", { signal }))[0]);
    }
    return heard;
  } finally {
    socket.destroy();
  }
}

/** The first line of what a server answers to bytes that no HTTP client would send. */
export async function statusLine(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    socket.write(bytes);
    let heard = "";
    while (!heard.includes("\r\n")) heard += String((await once(socket, "data", { signal }))[0]);
    return heard.slice(0, heard.indexOf("\r\n"));
  } finally {
    socket.destroy();
  }
}
