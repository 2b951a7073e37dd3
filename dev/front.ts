/**
 * What listens on the public port of `npm run dev`, in front of wrangler. wrangler believes the Host that it is sent, and the `MF-*` headers of
 * anybody, so a web page whose name was rebound to this machine could pass for `localhost`. The front judges each request of a connection by
 * its Host, drops those headers, and passes all else on as it is: both ways, as it comes, no faster than it is read.
 */
import { Agent, createServer, request } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { endToEnd, passOn } from "./forward.ts";
import { hostname, isLoopback } from "./loopback.ts";
import { problem, starting } from "./not-served.ts";

export type FrontOptions = {
  /** Where it listens: 127.0.0.1 and a free port by default. */
  ip?: string;
  port?: number;
  /** Names that a request's Host may have besides loopback's own; "any" leaves it to the keys who gets in. */
  hosts: readonly string[] | "any";
};

export type Front = {
  port: number;
  /** Where requests go from now on: a port of 127.0.0.1. Until then, whoever asks is told to come back. */
  leadTo(port: number): void;
  close(): Promise<void>;
};

/** As workerd has it: a request that it takes must not fail here. */
const MAX_HEAD_BYTES = 128 * 1024;
/** workerd closes a connection that nobody used for 5 s: it is given up before. */
const IDLE_MS = 2_000;
const WRANGLERS_OWN = "mf-";

export async function startFront(options: FrontOptions): Promise<Front> {
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  let inner: number | undefined;
  const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES, requestTimeout: 0, noDelay: true }, (req, res) => {
    const why = refusal(req, options.hosts);
    if (why !== undefined) return problem(res, 403, "foreign_host", "Foreign host", why);
    if (inner === undefined) return starting(req, res);
    const headers = endToEnd(req.rawHeaders, (name) => name.startsWith(WRANGLERS_OWN));
    passOn(req, res, request({ host: "127.0.0.1", port: inner, agent, method: req.method, path: req.url, headers }), () =>
      problem(res, 502, "worker_unreachable", "Worker unreachable", "wrangler does not answer; what it said is in the terminal."),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, options.ip ?? "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    leadTo: (port) => void (inner = port),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

/** Why a request is not for this server; undefined where it is. */
function refusal(req: IncomingMessage, hosts: readonly string[] | "any"): string | undefined {
  const [host = "", ...others] = req.headersDistinct["host"] ?? [];
  if (others.length > 0) return "A request has one Host.";
  // An absolute one names a host too, and another reader might believe that one.
  if (req.url?.startsWith("/") !== true) return "A request's target is a path.";
  if (hosts === "any" || isLoopback(host) || hosts.some((name) => name.toLowerCase() === hostname(host))) return undefined;
  return "This server answers requests for localhost. `npm run dev -- --allow-host NAME` adds a name.";
}

