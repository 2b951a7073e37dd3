/**
 * What the container sends to port 80, wherever to: redirected here, and offered to workerd by the name in its Host header.
 * workerd decides who answers; this file carries bytes. One connection is one host's, as every HTTP client keeps it.
 */
import { request } from "node:http";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "./join.ts";

/** workerd listens on the bridge's gateway, which Docker gives this name. */
export const WORKERD_HOST = "host.docker.internal";
const MAX_HEAD_BYTES = 64 * 1024;
/** A workerd that restarts is away for seconds, and then names a new port. */
const WORKERD_AWAY_MS = 20_000;
const WORKERD_RETRY_MS = 100;

export class Egress {
  /** workerd's. */
  port: number;

  constructor(port: number) {
    this.port = port;
  }

  listen(port: number): Server {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      this.#carry(socket).catch(() => socket.destroy());
    });
    return server.listen(port, "127.0.0.1");
  }

  async #carry(socket: Socket): Promise<void> {
    const head = await readHead(socket);
    const host = /^host:[ \t]*([^\s:]+)/im.exec(head.toString("latin1"))?.[1];
    if (host === undefined) return void socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    const tunnel = await this.#tunnel(host, socket);
    if (tunnel === undefined) return void socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    tunnel.write(head);
    join(socket, tunnel);
    socket.once("close", () => tunnel.destroy());
  }

  /** Whether a Worker answers (200) or workerd passes it to the network, or nowhere (202), the bytes go the same way. */
  async #tunnel(host: string, client: Socket): Promise<Socket | undefined> {
    const deadline = performance.now() + WORKERD_AWAY_MS;
    while (!client.destroyed && performance.now() < deadline) {
      const answer = await this.#ask(host);
      if (answer !== "away") return answer;
      await sleep(WORKERD_RETRY_MS);
    }
    return undefined;
  }

  #ask(host: string): Promise<Socket | undefined | "away"> {
    return new Promise((resolve) => {
      const ask = request({ host: WORKERD_HOST, port: this.port, method: "CONNECT", path: `${host}:80`, headers: { "X-Hostname": host } });
      ask.once("connect", (answer, tunnel: Socket, head: Buffer) => {
        if (head.length > 0) tunnel.unshift(head);
        if (answer.statusCode === 200 || answer.statusCode === 202) return resolve(tunnel);
        tunnel.destroy();
        resolve(undefined);
      });
      ask.once("error", () => resolve("away"));
      ask.end();
    });
  }
}

/** All that came up to the end of the first request's header, which is not taken from the stream's later part. */
function readHead(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const hear = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      if (!head.includes("\r\n\r\n")) {
        if (head.length > MAX_HEAD_BYTES) reject(new Error("the header is too long"));
        return;
      }
      socket.off("data", hear);
      socket.pause();
      resolve(head);
    };
    socket.on("data", hear);
    socket.once("close", () => reject(new Error("closed")));
  });
}
