/**
 * The network of one container, which workerd drives as its sidecar: ingress from workerd to the program's ports by CONNECT,
 * and what workerd says of the way out.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Egress } from "./egress.ts";
import { close, join, listen, portOf } from "./sockets.ts";

const MAX_CONTROL_BODY_BYTES = 64 * 1024;

export class Sidecar {
  readonly #hostPort: (containerPort: number) => number | undefined;
  readonly #control: Server;
  readonly #egress = new Egress();
  readonly #sockets = new Set<Duplex>();

  constructor(hostPort: (containerPort: number) => number | undefined) {
    this.#hostPort = hostPort;
    this.#control = createServer((req, res) => void this.#serveControl(req, res).catch(() => res.destroy()));
    this.#control.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => this.#ingress(req, socket, head));
    // A turn's frames may be silent for as long as a turn may last: neither side is cut for being quiet.
    this.#control.requestTimeout = this.#control.timeout = 0;
  }

  async start(): Promise<void> {
    await Promise.all([listen(this.#control), this.#egress.start()]);
  }

  get controlPort(): number {
    return portOf(this.#control);
  }

  get workerdPort(): number {
    return this.#egress.workerdPort;
  }

  get proxyUrl(): string {
    return this.#egress.proxyUrl;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#control.closeAllConnections();
    await Promise.all([close(this.#control), this.#egress.stop()]);
  }

  /** `PUT /egress` names workerd's port and the rules; `GET /ca` is asked for and of no use without TLS interception. */
  async #serveControl(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await readBody(req, MAX_CONTROL_BODY_BYTES);
    if (req.method === "PUT" && req.url === "/egress") {
      const { port, internet } = JSON.parse(body) as { port?: number; internet?: { enabled?: boolean } };
      this.#egress.follow({ port, internet: internet?.enabled });
      res.end();
    } else if (req.method === "GET" && req.url === "/ca") {
      res.end("no CA: TLS is not intercepted by the local engine\n");
    } else {
      res.writeHead(404).end();
    }
  }

  #ingress(req: IncomingMessage, socket: Socket, head: Buffer): void {
    // Also where it is refused: a workerd that dies resets what it has open.
    socket.on("error", () => socket.destroy());
    const port = this.#hostPort(Number(String(req.headers["x-dst-addr"]).split(":").at(-1)));
    const refuse = (): void => void socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    if (port === undefined) return refuse();
    const upstream = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    upstream.once("error", refuse);
    upstream.once("connect", () => {
      upstream.off("error", refuse);
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      join(socket, upstream, head, this.#sockets);
    });
    socket.once("close", () => upstream.destroy());
  }
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
