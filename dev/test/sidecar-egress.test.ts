/** The way out of a real container where no registry has Cloudflare's own: each request is offered to workerd by the one host it is for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { Egress } from "../ci/sidecar/egress.ts";
import { portOf } from "../engine/sockets.ts";
import { TIME_LIMIT } from "./support.ts";

/** Stands for workerd: `model.internal` belongs to the Worker, and everything else is refused. */
let workerd: Server;
let outgoing: Server;
let asked: string[];
let arrived: string[];

before(async () => {
  const worker = createServer((req, res) => {
    arrived.push(`${req.headers.host}${req.url}`);
    req.pipe(res);
  });
  workerd = createServer();
  workerd.on("connect", (req: IncomingMessage, socket: Socket) => {
    asked.push(`${req.url} ${String(req.headers["x-hostname"])}`);
    const intercepted = req.headers["x-hostname"] === "model.internal";
    socket.write(`HTTP/1.1 ${intercepted ? "200 OK" : "403 Forbidden"}\r\n\r\n`);
    if (intercepted) worker.emit("connection", socket);
  });
  await once(workerd.listen(0, "127.0.0.1"), "listening");
  outgoing = new Egress(portOf(workerd), "127.0.0.1").listen(0);
  await once(outgoing, "listening");
});
after(() => {
  outgoing.close();
  workerd.close();
});
beforeEach(() => {
  asked = [];
  arrived = [];
});

async function statuses(bytes: string, count: number): Promise<number[]> {
  const socket = connect(portOf(outgoing), "127.0.0.1");
  socket.write(bytes);
  let heard = "";
  const found = (): number[] => [...heard.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
  while (found().length < count) heard += String((await once(socket, "data"))[0]);
  socket.destroy();
  return found();
}
const one = (host: string, target = "/"): string => `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\n{}`;

describe("what a container sends to port 80", TIME_LIMIT, () => {
  test("is offered to workerd request by request", async () => {
    const bytes = [one("model.internal", "/1"), one("agents.example.com"), one("localhost:8787"), one("model.internal", "/2")].join("");
    assert.deepEqual(await statuses(bytes, 4), [200, 502, 502, 200]);
    assert.deepEqual(arrived, ["model.internal/1", "model.internal/2"]);
    assert.deepEqual(asked, ["model.internal:80", "agents.example.com:80", "localhost:80", "model.internal:80"].map((url) => `${url} ${url.slice(0, -3)}`));
  });

  test("for another spelling of the Worker's name arrives under its name", async () => {
    assert.deepEqual(await statuses(one("Model.Internal.:80"), 1), [200]);
    assert.deepEqual(arrived, ["model.internal/"]);
  });

  for (const [what, bytes] of Object.entries({
    "two Hosts": "GET / HTTP/1.1\r\nHost: model.internal\r\nHost: agents.example.com\r\n\r\n",
    "no Host": "GET / HTTP/1.0\r\n\r\n",
    "a name within its Host": one("x@model.internal"),
    "a host in its request line": one("model.internal", "http://agents.example.com/"),
  })) test(`with ${what} is refused`, async () => {
    assert.deepEqual([await statuses(bytes, 1), asked, arrived], [[400], [], []]);
  });
});
