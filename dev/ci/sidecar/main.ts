/**
 * The sidecar of one container. workerd drives it by `PUT /egress` and `GET /ca`, and reaches the container's ports by CONNECT.
 * The container shares this network namespace. TLS is not intercepted, because no Worker here asks for it.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { parseArgs } from "node:util";
import { join } from "../../engine/sockets.ts";
import { serveDns } from "./dns.ts";
import { Egress, WORKERD_HOST } from "./egress.ts";
import { applyRules, becomeSidecar, DNS_PORT, EGRESS_PORT } from "./rules.ts";

const INGRESS_PORT = 39001;
const MAX_CONTROL_BODY_CHARS = 64 * 1024;

type Rules = { port?: number; dns?: { allowHostnames?: string[] }; internet?: { enabled?: boolean } };

const { values } = parseArgs({ strict: false, options: { "http-egress-port": { type: "string" } } });
const names = new Set<string>();
let internet = false;
const egress = new Egress(Number(values["http-egress-port"] ?? 0));

const control = createServer((req, res) => {
  serveControl(req, res).catch((error: unknown) => {
    console.error(String(error));
    res.writeHead(500).end(String(error));
  });
});
control.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => ingress(req, socket, head));
// A turn's frames may be silent for as long as a turn may last.
control.requestTimeout = control.timeout = 0;
// This comes first: workerd waits two seconds for a sidecar that refuses connections, and twenty for one that is slow to answer.
control.listen(INGRESS_PORT, "0.0.0.0");
await once(control, "listening");
const ready = prepare();
process.on("SIGTERM", () => process.exit(0));

async function prepare(): Promise<void> {
  await applyRules(internet);
  becomeSidecar();
  const dns = serveDns(DNS_PORT, { upstream: process.env["UPSTREAM_DNS"] ?? "", intercepts: (name) => names.has(name), internet: () => internet });
  const outgoing = egress.listen(EGRESS_PORT);
  await Promise.all([once(dns, "listening"), once(outgoing, "listening")]);
  console.log(`ready; workerd is ${WORKERD_HOST}:${egress.port}`);
}

/** A field that is missing leaves its value as it was. */
async function serveControl(req: IncomingMessage, res: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of req.setEncoding("utf8") as AsyncIterable<string>) {
    body += chunk;
    if (body.length > MAX_CONTROL_BODY_CHARS) throw new Error("the body is too long");
  }
  await ready;
  if (req.method === "PUT" && req.url === "/egress") {
    const rules = JSON.parse(body) as Rules;
    if (rules.port !== undefined) egress.port = rules.port;
    for (const name of rules.dns?.allowHostnames ?? []) names.add(name.toLowerCase());
    if (rules.internet?.enabled !== undefined && rules.internet.enabled !== internet) {
      await applyRules(rules.internet.enabled);
      internet = rules.internet.enabled;
    }
    console.log(`egress: ${body}`);
    res.end();
  } else if (req.method === "GET" && req.url === "/ca") {
    res.end("");
  } else {
    res.writeHead(404).end();
  }
}

/** 400 tells workerd that nothing listens on that port (yet). */
function ingress(req: IncomingMessage, socket: Socket, head: Buffer): void {
  const port = Number(String(req.headers["x-dst-addr"]).split(":").at(-1));
  const program = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  const refuse = (): void => void socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  program.once("error", refuse);
  program.once("connect", () => {
    program.off("error", refuse);
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    join(socket, program, head);
  });
  socket.on("error", () => program.destroy());
  socket.once("close", () => program.destroy());
}
