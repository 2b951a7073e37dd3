/**
 * The way out of one container: a proxy that the program is told of by HTTP_PROXY. workerd decides for each request where it goes, by the
 * one host that the request is for, and a Worker is never told another. A request that tells its length goes to its Worker as it comes,
 * and what answers comes back as it is (`ProxyConnection`); Node's own HTTP does the rest.
 * Limit: what does not go through the proxy (a raw socket, a client that ignores HTTP_PROXY) is neither intercepted nor refused.
 */
import { createServer as createHttpServer, request } from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { endToEnd, passOn } from "../forward.ts";
import { nameOf, ProxyConnection } from "./proxy-connection.ts";
import { close, join, listen, portOf } from "./sockets.ts";

/** A workerd that restarts is away for seconds, and then names a new port: what goes out meanwhile waits, and is not refused. */
const WORKERD_AWAY_MS = 20_000;
const WORKERD_RETRY_MS = 100;
const ESTABLISHED = "HTTP/1.1 200 OK\r\n\r\n";

/** What workerd said of an outgoing connection: a Worker takes it, or it goes to the network as it is. */
type Route = { kind: "worker"; socket: Socket } | { kind: "direct" } | { kind: "refused"; why: string } | { kind: "away" };

export class Egress {
  readonly #proxy: Server;
  readonly #http: HttpServer;
  readonly #sockets = new Set<Duplex>();
  /** What has been asked for a request that is now left to Node's HTTP: it is not asked, nor waited for, again. */
  readonly #told = new WeakMap<Socket, Route>();
  /** Those who asked for a tunnel to a Worker: what they send in it is no proxy's request, but judged as one. */
  readonly #tunnels = new WeakSet<Socket>();
  #port = 0;
  #internet = false;
  #stopped = false;

  constructor() {
    this.#http = createHttpServer((req, res) => void this.#forward(req, res).catch(() => res.destroy()));
    this.#http.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#tunnel(req, socket, head).catch(() => socket.destroy());
    });
    this.#http.requestTimeout = this.#http.timeout = 0;
    this.#proxy = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  start(): Promise<void> {
    return listen(this.#proxy);
  }

  get proxyUrl(): string {
    return `http://127.0.0.1:${portOf(this.#proxy)}`;
  }

  /** Where workerd takes what goes out of the container; 0 before it has said so. */
  get workerdPort(): number {
    return this.#port;
  }

  /** What workerd says of itself and of the internet; what it leaves out stays as it was. */
  follow(rules: { port: number | undefined; internet: boolean | undefined }): void {
    this.#port = rules.port ?? this.#port;
    this.#internet = rules.internet ?? this.#internet;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const socket of this.#sockets) socket.destroy();
    await close(this.#proxy);
  }

  #accept(client: Socket): void {
    this.#sockets.add(client);
    client.once("close", () => this.#sockets.delete(client));
    new ProxyConnection(client, {
      open: async ({ hostname, port }) => {
        const route = await this.#route(hostname, port);
        if (route.kind === "worker") return route.socket;
        this.#told.set(client, route);
        return undefined;
      },
      otherwise: () => void this.#http.emit("connection", client),
    });
  }

  /** A plain request of the program: to a Worker where one is registered for the host, else to the network if that is allowed. */
  async #forward(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const hosts = req.headersDistinct["host"] ?? [];
    if (hosts.length > 1) return void res.writeHead(400).end("a request has one Host\n");
    const url = this.#tunnels.has(req.socket) ? urlWithin(hosts[0], req.url) : URL.parse(req.url ?? "");
    if (url === null) return void res.writeHead(400).end("this is a proxy\n");
    const [hostname, port] = [nameOf(url), Number(url.port || 80)];
    const route = this.#told.get(req.socket) ?? (await this.#route(hostname, port));
    this.#told.delete(req.socket);
    // The program may have given up meanwhile: then nobody is left to end what would start now.
    if (res.closed) return void (route.kind === "worker" && route.socket.destroy());
    if (route.kind === "refused") return void res.writeHead(403).end(`${route.why}\n`);
    if (route.kind === "away") return void res.writeHead(502).end("workerd cannot be reached\n");
    const headers = [...endToEnd(req.rawHeaders, (name) => name === "host"), "Host", url.port === "" ? hostname : `${hostname}:${port}`];
    const options = { host: hostname, port, method: req.method, path: url.pathname + url.search, headers };
    const onward = request({ ...options, ...(route.kind === "direct" ? { agent: false } : { createConnection: () => route.socket }) });
    passOn(req, res, onward, () => res.writeHead(502).end());
  }

  /** HTTPS leaves the container as it is, where the internet may be reached at all. To a Worker there is no tunnel: its bytes are read as requests. */
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
      return void this.#http.emit("connection", socket);
    }
    const upstream = connect({ host: hostname, port, allowHalfOpen: true });
    upstream.once("error", () => socket.destroy());
    upstream.once("connect", () => {
      socket.write(ESTABLISHED);
      join(socket, upstream, head, this.#sockets);
    });
  }

  /** Where an outgoing connection goes, once workerd can say so. */
  async #route(hostname: string, port: number): Promise<Route> {
    const deadline = performance.now() + WORKERD_AWAY_MS;
    for (;;) {
      const route = await this.#ask(hostname, port);
      if (route.kind !== "away" || this.#stopped || performance.now() > deadline) return route;
      await sleep(WORKERD_RETRY_MS);
    }
  }

  /** One question to workerd: 200 opens a tunnel to a Worker, 202 means that no Worker wants it. */
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

/** What a request in origin form is for; null where that is not one host and a path. */
function urlWithin(host = "", target = ""): URL | null {
  return /^[^/?#@\\\s]+$/.test(host) && target.startsWith("/") ? URL.parse(`http://${host}${target}`) : null;
}
