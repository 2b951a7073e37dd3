/**
 * The outgoing network of one container: a proxy, named to the program by HTTP_PROXY. For each request, workerd decides by the request's host
 * whether a Worker or the network gets it. A request names exactly one host, and a Worker never sees another.
 * Limit: traffic that does not use the proxy (raw sockets, clients that ignore HTTP_PROXY) is neither intercepted nor refused.
 */
import { createServer, request } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { endToEnd, passOn } from "../forward.ts";
import { close, join, listen, portOf } from "./sockets.ts";

/** A workerd that restarts is away for seconds and then names a new port. Requests wait meanwhile instead of failing. */
const WORKERD_AWAY_MS = 20_000;
const WORKERD_RETRY_MS = 100;
/** After a malformed request, its connection is closed. */
const END = { connection: "close" };
const ESTABLISHED = "HTTP/1.1 200 OK\r\n\r\n";

/** workerd's answer for an outgoing connection. */
type Route = { kind: "worker"; socket: Socket } | { kind: "direct" } | { kind: "refused"; why: string } | { kind: "away" };

export class Egress {
  readonly #proxy: Server;
  readonly #sockets = new Set<Duplex>();
  /** Connections that are a tunnel to a Worker: their requests are in origin form, but are routed like a proxy's. */
  readonly #tunnels = new WeakSet<Socket>();
  #port = 0;
  #internet = false;
  #stopped = false;

  constructor() {
    this.#proxy = createServer((req, res) => void this.#forward(req, res).catch(() => res.destroy()));
    this.#proxy.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#tunnel(req, socket, head).catch(() => socket.destroy());
    });
    this.#proxy.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#proxy.requestTimeout = this.#proxy.timeout = 0;
  }

  start(): Promise<void> {
    return listen(this.#proxy);
  }

  get proxyUrl(): string {
    return `http://127.0.0.1:${portOf(this.#proxy)}`;
  }

  /** workerd's port for outgoing connections; 0 until workerd has named it. */
  get workerdPort(): number {
    return this.#port;
  }

  /** workerd's port, and whether the internet may be reached; undefined leaves a value as it was. */
  follow(rules: { port: number | undefined; internet: boolean | undefined }): void {
    this.#port = rules.port ?? this.#port;
    this.#internet = rules.internet ?? this.#internet;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const socket of this.#sockets) socket.destroy();
    await close(this.#proxy);
  }

  /** Sends a plain request to the Worker that is registered for its host, otherwise to the network if that is allowed. */
  async #forward(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const hosts = req.headersDistinct["host"] ?? [];
    if (hosts.length > 1) return void res.writeHead(400, END).end("a request has one Host\n");
    const url = this.#tunnels.has(req.socket) ? urlWithin(hosts[0], req.url) : URL.parse(req.url ?? "");
    if (url === null) return void res.writeHead(400, END).end("this is a proxy\n");
    const [hostname, port] = [nameOf(url), Number(url.port || 80)];
    const route = await this.#route(hostname, port);
    // If the program has given up meanwhile, nobody would end what starts now.
    if (res.closed) return void (route.kind === "worker" && route.socket.destroy());
    if (route.kind === "refused") return void res.writeHead(403).end(`${route.why}\n`);
    if (route.kind === "away") return void res.writeHead(502).end("workerd cannot be reached\n");
    const headers = [...endToEnd(req.rawHeaders, (name) => name === "host"), "Host", url.port === "" ? hostname : `${hostname}:${port}`];
    const options = { host: hostname, port, method: req.method, path: url.pathname + url.search, headers };
    const onward = request({ ...options, ...(route.kind === "direct" ? { agent: false } : { createConnection: () => route.socket }) });
    passOn(req, res, onward, () => res.writeHead(502).end());
  }

  /** Passes HTTPS on unread if the internet may be reached. The bytes of a tunnel to a Worker are read as requests. */
  async #tunnel(req: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const url = new URL(`http://${req.url ?? ""}`);
    const [hostname, port] = [nameOf(url), Number(url.port || 80)];
    const route = await this.#route(hostname, port);
    if (route.kind === "worker") route.socket.destroy();
    if (socket.destroyed) return;
    if (route.kind === "refused") return void socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    if (route.kind === "away") return void socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    if (route.kind === "worker") {
      socket.write(ESTABLISHED);
      this.#tunnels.add(socket);
      if (head.length > 0) socket.unshift(head);
      return void this.#proxy.emit("connection", socket);
    }
    const upstream = connect({ host: hostname, port, allowHalfOpen: true });
    upstream.once("error", () => socket.destroy());
    upstream.once("connect", () => {
      socket.write(ESTABLISHED);
      join(socket, upstream, head, this.#sockets);
    });
  }

  /** Asks workerd where an outgoing connection goes, and waits for a workerd that restarts. */
  async #route(hostname: string, port: number): Promise<Route> {
    const deadline = performance.now() + WORKERD_AWAY_MS;
    for (;;) {
      const route = await this.#ask(hostname, port);
      if (route.kind !== "away" || this.#stopped || performance.now() > deadline) return route;
      await sleep(WORKERD_RETRY_MS);
    }
  }

  /** Asks workerd once: 200 opens a tunnel to a Worker, 202 means that no Worker takes it. */
  #ask(hostname: string, port: number): Promise<Route> {
    if (this.#port === 0) return Promise.resolve({ kind: "refused", why: "the container has no network yet" });
    return new Promise((resolve) => {
      const ask = request({
        host: "127.0.0.1",
        port: this.#port,
        method: "CONNECT",
        path: `${hostname}:${port}`,
        headers: { "X-Hostname": hostname, "X-Proto": "tcp" },
      });
      ask.once("connect", (answer, socket: Socket, head: Buffer) => {
        if (head.length > 0) socket.unshift(head);
        if (answer.statusCode === 200) return resolve({ kind: "worker", socket });
        socket.destroy();
        if (answer.statusCode === 202 && this.#internet) resolve({ kind: "direct" });
        else resolve({ kind: "refused", why: `${hostname} cannot be reached from this container` });
      });
      ask.once("response", (answer) => {
        answer.destroy();
        resolve({ kind: "refused", why: `workerd refused ${hostname} with ${answer.statusCode}` });
      });
      ask.once("error", () => resolve({ kind: "away" }));
      ask.end();
    });
  }
}

/** The host name of a URL, without the dot that may end it. */
function nameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, "");
}

/** The URL of a request in origin form; null if it does not name one host and a path. */
function urlWithin(host = "", target = ""): URL | null {
  return /^[^/?#@\\\s]+$/.test(host) && target.startsWith("/") ? URL.parse(`http://${host}${target}`) : null;
}
