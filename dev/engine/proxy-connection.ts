/**
 * One connection of the program to its proxy, as long as each request on it names a Worker's host and tells its length: it has a
 * tunnel to that Worker for itself, only the heads of its requests are read, and what answers is passed back unread.
 * The first other request hands the connection over, with all that follows.
 * Limit: no pipelining. A request for another host ends the tunnel that there was, and with it an answer that still comes.
 */
import type { Socket } from "node:net";
import { HOP_BY_HOP } from "../forward.ts";

/** Node's own limit for a request's head. */
const MAX_HEAD_BYTES = 16 * 1024;
const HEAD_END = "\r\n\r\n";
/** What changes how long a request is or how its connection goes on. */
const NOT_PLAIN: ReadonlySet<string> = new Set(["transfer-encoding", "expect", "upgrade"]);

/** A header's line in lower case: a token, a colon, and a value without anything that ends lines. */
const FIELD = /^([-!#$%&'*+.^_`|~0-9a-z]+):[ \t]*([^\r\n\0]*?)[ \t]*$/;

export type Destination = { hostname: string; port: number };

type Ways = {
  /** The tunnel to a Worker; undefined where no Worker takes it. */
  open: (to: Destination) => Promise<Socket | undefined>;
  /** Takes the client's socket over, as if nothing had been read from it since its last whole request. */
  otherwise: () => void;
};

type PlainRequest = Destination & { head: string; bodyBytes: number };

export class ProxyConnection {
  readonly #client: Socket;
  readonly #ways: Ways;
  #tunnel: (Destination & { socket: Socket }) | undefined;
  /** What came of the head of the next request. */
  #head: Buffer = Buffer.alloc(0);
  /** What is still to come of the body of this one. */
  #bodyBytes = 0;

  constructor(client: Socket, ways: Ways) {
    this.#client = client;
    this.#ways = ways;
    client.on("data", this.#hear).on("end", this.#end).on("close", this.#drop).on("error", this.#drop);
  }

  readonly #hear = (chunk: Buffer): void => {
    const rest = this.#passBody(chunk);
    if (rest.length === 0) return;
    this.#head = this.#head.length === 0 ? rest : Buffer.concat([this.#head, rest]);
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0 && this.#head.length <= MAX_HEAD_BYTES) return;
    const request = end < 0 ? undefined : plain(this.#head.toString("latin1", 0, end));
    if (request === undefined) return this.#handOver();
    if (this.#tunnel?.hostname === request.hostname && this.#tunnel.port === request.port) return this.#pass(request);
    this.#client.pause();
    void this.#connect(request).catch(() => this.#client.destroy());
  };

  readonly #end = (): void => {
    if (this.#tunnel === undefined) this.#client.end();
    else this.#tunnel.socket.end();
  };

  readonly #drop = (): void => {
    this.#client.destroy();
    this.#tunnel?.socket.destroy();
  };

  async #connect(request: PlainRequest): Promise<void> {
    this.#leave();
    const socket = await this.#ways.open(request);
    if (socket === undefined) return this.#handOver();
    if (this.#client.destroyed) return void socket.destroy();
    this.#tunnel = { hostname: request.hostname, port: request.port, socket };
    socket.setNoDelay(true);
    socket.on("drain", () => this.#client.resume());
    // A cut answer stays cut: an end is passed on as an end, and anything else as anything else.
    socket.once("close", () => {
      if (this.#tunnel?.socket === socket && !socket.readableEnded) this.#client.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.pipe(this.#client);
    this.#client.resume();
    this.#pass(request);
  }

  /** The head that has been read, rewritten; and what came with it. */
  #pass(request: PlainRequest): void {
    const rest = this.#head.subarray(this.#head.indexOf(HEAD_END) + HEAD_END.length);
    this.#head = Buffer.alloc(0);
    this.#bodyBytes = request.bodyBytes;
    const socket = this.#tunnel?.socket;
    socket?.cork();
    socket?.write(request.head, "latin1");
    if (rest.length > 0) this.#hear(rest);
    socket?.uncork();
  }

  /** Returns what does not belong to the body. */
  #passBody(chunk: Buffer): Buffer {
    if (this.#bodyBytes === 0) return chunk;
    const body = chunk.subarray(0, this.#bodyBytes);
    this.#bodyBytes -= body.length;
    if (this.#tunnel?.socket.write(body) === false) this.#client.pause();
    return chunk.subarray(body.length);
  }

  #leave(): void {
    const socket = this.#tunnel?.socket;
    this.#tunnel = undefined;
    socket?.unpipe(this.#client);
    socket?.destroy();
  }

  #handOver(): void {
    this.#leave();
    this.#client.off("data", this.#hear).off("end", this.#end).off("close", this.#drop).off("error", this.#drop);
    if (this.#client.destroyed) return;
    this.#client.pause();
    this.#client.unshift(this.#head);
    this.#ways.otherwise();
    this.#client.resume();
  }
}

/**
 * A request that has its length told, with its head as it goes to the Worker: in origin form, without what was for the proxy alone.
 * What is malformed or doubtful is none: two readers of it could differ on where it ends.
 */
function plain(head: string): PlainRequest | undefined {
  const [first = "", ...lines] = head.split("\r\n");
  const [, method, authority, target] = /^([A-Z]+) http:\/\/([^/?#@ ]+)(\S*) HTTP\/1\.1$/.exec(first) ?? [];
  const url = authority === undefined ? null : URL.parse(`http://${authority}`);
  if (method === undefined || target === undefined || url === null) return undefined;
  const passed = [`${method} ${target.startsWith("/") ? target : `/${target}`} HTTP/1.1`];
  let length: string | undefined;
  let hosts = 0;
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line.toLowerCase()) ?? [];
    if (name === undefined || value === undefined || NOT_PLAIN.has(name) || (name === "connection" && value !== "keep-alive")) return undefined;
    if (name === "content-length") {
      if (length !== undefined || !/^\d{1,15}$/.test(value)) return undefined;
      length = value;
    }
    if (name === "host" && ++hosts > 1) return undefined;
    if (!HOP_BY_HOP.has(name) && name !== "host") passed.push(line);
  }
  const hostname = nameOf(url);
  passed.push(`Host: ${hostname}${url.port === "" ? "" : `:${url.port}`}`, "", "");
  return { hostname, port: Number(url.port || 80), head: passed.join("\r\n"), bodyBytes: Number(length ?? 0) };
}

/** The name that a URL is for: with a dot at its end it is the same name. */
export function nameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, "");
}
