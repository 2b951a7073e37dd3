/**
 * The network of one container, which workerd drives as its sidecar: ingress from workerd to the program's ports by CONNECT,
 * and egress from the program through HTTP_PROXY. workerd decides about every outgoing request; this file only carries bytes.
 * Limit: what does not go through the proxy (a raw socket, a client that ignores HTTP_PROXY) is neither intercepted nor refused.
 */
import { Agent, createServer, request } from "node:http";
import type { ClientRequest, ClientRequestArgs, IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

const MAX_CONTROL_BODY_BYTES = 64 * 1024;
/** A workerd that restarts is away for seconds, and then names a new port: what goes out meanwhile waits, and is not refused. */
const WORKERD_AWAY_MS = 20_000;
const WORKERD_RETRY_MS = 100;
/** Tunnels to a Worker that stay open for the program's next request, and for how long. */
const MAX_KEPT_TUNNELS = 8;
const KEPT_TUNNEL_MS = 10_000;
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"];

type Egress = { port: number; internet: boolean };

/** What workerd said of an outgoing connection: a Worker takes it, or it goes to the network as it is. */
type Route = { kind: "worker"; socket: Socket } | { kind: "direct" } | { kind: "refused"; why: string } | { kind: "away" };

export class Sidecar {
  readonly #hostPort: (containerPort: number) => number | undefined;
  readonly #control: Server;
  readonly #proxy: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #tunnels = new Tunnels();
  #egress: Egress = { port: 0, internet: false };
  #stopped = false;

  constructor(hostPort: (containerPort: number) => number | undefined) {
    this.#hostPort = hostPort;
    this.#control = createServer((req, res) => void this.#serveControl(req, res).catch(() => res.destroy()));
    this.#control.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => this.#ingress(req, socket, head));
    this.#proxy = createServer((req, res) => void this.#forward(req, res).catch(() => res.destroy()));
    this.#proxy.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#tunnel(req, socket, head).catch(() => socket.destroy());
    });
    // A turn's frames may be silent for as long as a turn may last: neither side is cut for being quiet.
    for (const server of [this.#control, this.#proxy]) server.requestTimeout = server.timeout = 0;
  }

  async start(): Promise<void> {
    await Promise.all([listen(this.#control), listen(this.#proxy)]);
  }

  get controlPort(): number {
    return portOf(this.#control);
  }

  get proxyUrl(): string {
    return `http://127.0.0.1:${portOf(this.#proxy)}`;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#tunnels.destroy();
    await Promise.all([close(this.#control), close(this.#proxy)]);
  }

  /** `PUT /egress` names workerd's port and the rules; `GET /ca` is asked for and of no use without TLS interception. */
  async #serveControl(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await readBody(req, MAX_CONTROL_BODY_BYTES);
    if (req.method === "PUT" && req.url === "/egress") {
      const rules = JSON.parse(body) as { port?: number; internet?: { enabled?: boolean } };
      this.#egress = {
        port: rules.port ?? this.#egress.port,
        internet: rules.internet?.enabled ?? this.#egress.internet,
      };
      res.end();
    } else if (req.method === "GET" && req.url === "/ca") {
      res.end("no CA: TLS is not intercepted by the local engine\n");
    } else {
      res.writeHead(404).end();
    }
  }

  #ingress(req: IncomingMessage, socket: Socket, head: Buffer): void {
    const port = this.#hostPort(Number(String(req.headers["x-dst-addr"]).split(":").at(-1)));
    const refuse = (): void => void socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    if (port === undefined) return refuse();
    const upstream = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    upstream.once("error", refuse);
    upstream.once("connect", () => {
      upstream.off("error", refuse);
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      this.#join(socket, upstream, head);
    });
    socket.once("close", () => upstream.destroy());
    socket.on("error", () => upstream.destroy());
  }

  /** A plain request of the program: to a Worker where one is registered for the host, else to the network if that is allowed. */
  async #forward(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = URL.parse(req.url ?? "");
    if (url === null) return void res.writeHead(400).end("this is a proxy\n");
    const port = Number(url.port || 80);
    const headers = { ...endToEnd(req.headers), host: url.host };
    const options = { host: url.hostname, port, method: req.method, path: url.pathname + url.search, headers };
    if (this.#tunnels.hasFree(url.hostname, port)) return passOn(req, res, request({ ...options, agent: this.#tunnels }));
    const route = await this.#route(url.hostname, port);
    // The program may have given up meanwhile: then nobody is left to end what would start now.
    if (res.closed) return void (route.kind === "worker" && route.socket.destroy());
    if (route.kind === "refused") return void res.writeHead(403).end(`${route.why}\n`);
    if (route.kind === "away") return void res.writeHead(502).end("workerd cannot be reached\n");
    if (route.kind === "direct") return passOn(req, res, request({ ...options, agent: false }));
    passOn(req, res, request({ ...options, agent: this.#tunnels, createConnection: () => route.socket }));
  }

  /** HTTPS leaves the container as it is, where the internet may be reached at all. */
  async #tunnel(req: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const { hostname, port } = new URL(`http://${req.url ?? ""}`);
    const route = await this.#route(hostname, Number(port || 80));
    if (socket.destroyed) return void (route.kind === "worker" && route.socket.destroy());
    if (route.kind === "refused") return void socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    if (route.kind === "away") return void socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    const upstream = route.kind === "worker" ? route.socket : connect({ host: hostname, port: Number(port || 80), allowHalfOpen: true });
    upstream.once("error", () => socket.destroy());
    const joined = (): void => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      this.#join(socket, upstream, head);
    };
    if (route.kind === "worker") joined();
    else upstream.once("connect", joined);
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
    const { internet, port: egressPort } = this.#egress;
    if (egressPort === 0) return Promise.resolve({ kind: "refused", why: "the container has no network yet" });
    return new Promise((resolve) => {
      const ask = request({
        host: "127.0.0.1",
        port: egressPort,
        method: "CONNECT",
        path: `${hostname}:${port}`,
        headers: { "X-Hostname": hostname, "X-Proto": "tcp" },
      });
      ask.once("connect", (answer, socket: Socket, head: Buffer) => {
        if (head.length > 0) socket.unshift(head);
        if (answer.statusCode === 200) return resolve({ kind: "worker", socket });
        socket.destroy();
        if (answer.statusCode === 202 && internet) resolve({ kind: "direct" });
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

  /** Both directions, with each side's end and each side's death passed on. */
  #join(a: Socket, b: Socket, head: Buffer): void {
    for (const [from, to] of [[a, b], [b, a]] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => to.destroy());
      from.once("close", () => {
        this.#sockets.delete(from);
        // What was read before the close is still on its way; a clean end has been passed on by the pipe.
        if (!from.readableEnded) to.destroy();
      });
      from.pipe(to);
    }
    if (head.length > 0) b.write(head);
  }
}

/** Carries a request onward and its answer back, as they come. */
function passOn(req: IncomingMessage, res: ServerResponse, onward: ClientRequest): void {
  onward.once("response", (answer) => {
    res.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
    // With what of the body is there already.
    setImmediate(() => res.flushHeaders());
    answer.on("error", () => res.destroy());
    answer.pipe(res);
    // An answer that was cut must look cut to the program too, never like a short one.
    answer.once("close", () => {
      if (!answer.complete) res.destroy();
    });
  });
  onward.on("error", () => {
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
  res.once("close", () => onward.destroy());
  req.pipe(onward);
}

/** The tunnels that stay open: a request takes a free one to its host, or brings its own. */
class Tunnels extends Agent {
  constructor() {
    super({ keepAlive: true, maxFreeSockets: MAX_KEPT_TUNNELS, timeout: KEPT_TUNNEL_MS });
  }

  hasFree(host: string, port: number): boolean {
    return this.freeSockets[this.getName({ host, port })]?.some((socket) => !socket.destroyed) ?? false;
  }

  override createConnection(options: ClientRequestArgs, onCreate: (error: Error | null, socket: Duplex) => void): Duplex | null | undefined {
    return options.createConnection?.(options, onCreate);
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}

export async function readBody(req: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`a body over ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve());
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
