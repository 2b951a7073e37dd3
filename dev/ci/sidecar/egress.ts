/**
 * Serves what the container sends to port 80 of any address, which is redirected here. Each request is offered to workerd under the one name
 * in its Host header, and the Worker sees that name. workerd decides who answers.
 */
import { createServer, request } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { endToEnd, passOn } from "../../forward.ts";

/** Docker's name for the bridge's gateway, on which workerd listens. */
export const WORKERD_HOST = "host.docker.internal";
/** A workerd that restarts is away for seconds, and then names a new port. */
const WORKERD_AWAY_MS = 20_000;
const WORKERD_RETRY_MS = 100;

export class Egress {
  /** workerd's port. */
  port: number;
  readonly #workerd: string;

  constructor(port: number, workerd = WORKERD_HOST) {
    this.port = port;
    this.#workerd = workerd;
  }

  listen(port: number): Server {
    const server = createServer((req, res) => void this.#carry(req, res).catch(() => res.destroy()));
    // A model may think for longer than Node's default time limits.
    server.requestTimeout = server.timeout = 0;
    return server.listen(port, "127.0.0.1");
  }

  /** Whether a Worker answers (200) or workerd passes it to the network, or nowhere (202), the request goes the same way. */
  async #carry(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const host = hostOf(req);
    if (host === undefined) return void res.writeHead(400).end("a request has one Host\n");
    const tunnel = await this.#tunnel(host, req.socket);
    if (res.closed) return void tunnel?.destroy();
    if (tunnel === undefined) return void res.writeHead(502).end();
    const headers = [...endToEnd(req.rawHeaders, (name) => name === "host"), "Host", host];
    passOn(req, res, request({ createConnection: () => tunnel, method: req.method, path: req.url, headers }), () => res.writeHead(502).end());
  }

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
      const ask = request({ host: this.#workerd, port: this.port, method: "CONNECT", path: `${host}:80`, headers: { "X-Hostname": host } });
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

/** The one name in a request's Host header as workerd knows it: in lower case, without a final dot, and without the port, which is 80. */
function hostOf(req: IncomingMessage): string | undefined {
  const [host = "", ...others] = req.headersDistinct["host"] ?? [];
  if (others.length > 0 || req.url?.startsWith("/") !== true || !/^[a-z0-9_.-]+(?::\d+)?$/i.test(host)) return undefined;
  return host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
}
