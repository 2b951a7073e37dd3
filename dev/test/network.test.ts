/** A container's network: what comes in by workerd's tunnel, and what goes out through the proxy to workerd or past it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import type { ClientRequest, IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { portOf } from "../engine/sockets.ts";
import { Docker, TIME_LIMIT } from "./support.ts";
import type { Running } from "./support.ts";

let docker: Docker;
let container: Running;
let proxy: URL;
/** Stands for workerd: hosts that end in `.internal` belong to a Worker, and the Worker is `worker`. */
let egress: Server;
let worker: RequestListener;
let asked: IncomingMessage[];

before(async () => {
  docker = await Docker.start();
  container = await docker.run("workerd-service-Account-network");
  proxy = new URL((await container.env())["HTTP_PROXY"] ?? "");
  const workerServer = createServer((req, res) => worker(req, res));
  egress = createServer();
  egress.on("connect", (req: IncomingMessage, socket: Socket) => {
    asked.push(req);
    const intercepted = String(req.headers["x-hostname"]).endsWith(".internal");
    socket.write(`HTTP/1.1 ${intercepted ? "200 OK" : "202 Accepted"}\r\n\r\n`);
    if (intercepted) workerServer.emit("connection", socket);
  });
  await once(egress.listen(0, "127.0.0.1"), "listening");
});
after(async () => {
  await docker.stop();
  egress.close();
});
beforeEach(async () => {
  asked = [];
  worker = (_req, res) => void res.end("the Worker");
  await container.setEgress(portOf(egress), false);
});

/** What the program in the container does with HTTP_PROXY set: for one request alone, or as one of several on its connection. */
let connection: "close" | "keep-alive" = "close";

function throughProxy(url: string, options: { method?: string; headers?: Record<string, string> } = {}): ClientRequest {
  const headers = { host: new URL(url).host, connection, ...options.headers };
  return request({ host: proxy.hostname, port: proxy.port, path: url, agent: false, ...options, headers });
}

async function get(url: string): Promise<{ status: number; body: string }> {
  const call = throughProxy(url);
  call.end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await text(answer) };
}

async function tunnel(authority: string): Promise<{ status: number; socket: Duplex }> {
  const call = request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: authority, agent: false });
  call.end();
  const [answer, socket] = (await once(call, "connect")) as [IncomingMessage, Duplex];
  return { status: answer.statusCode ?? 0, socket };
}

describe("what comes in", TIME_LIMIT, () => {
  test("reaches the port that the program was told", async () => {
    assert.equal(await container.get("/"), "listening");
  });

  test("is refused where nothing listens", async () => {
    assert.equal(await container.connect(9), 400);
  });

  test("is refused once the program has ended", async () => {
    const short = await docker.run("workerd-service-Account-short");
    await docker.call("POST", `/containers/${short.name}/stop`);
    assert.equal(await short.connect(8080), 400);
  });

  test("is refused where nothing listens, and may be reset by who is refused", async () => {
    const socket = connect(await container.controlPort(), "127.0.0.1");
    socket.write("CONNECT container HTTP/1.1\r\nHost: container\r\nX-Dst-Addr: 127.0.0.1:9\r\n\r\n");
    assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1.1 400/);
    const closed = once(socket, "close");
    socket.resetAndDestroy();
    await closed;
    assert.equal(await container.get("/"), "listening");
  });

  test("streams both ways at once", async () => {
    const socket = await container.connect(8080);
    assert.ok(typeof socket !== "number");
    const call = request({ createConnection: () => socket, method: "POST", path: "/echo", host: "container" });
    call.write("first");
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    assert.equal(String((await once(answer, "data"))[0]), "first");
    call.end("second");
    assert.equal(await text(answer), "second");
  });
});

for (const kind of ["close", "keep-alive"] as const) describe(`what goes out to a Worker with Connection: ${kind}`, TIME_LIMIT, () => {
  before(() => void (connection = kind));

  test("to a host of the Worker's arrives there in origin form, with the host it was for", async () => {
    let seen = "";
    worker = (req, res) => void res.end((seen = `${req.method} ${req.url} ${req.headers.host}`));
    await get("http://model.internal/v1/messages?beta=true");
    assert.equal(seen, "GET /v1/messages?beta=true model.internal");
    assert.deepEqual(asked.map((ask) => [ask.url, ask.headers["x-hostname"]]), [["model.internal:80", "model.internal"]]);
  });

  test("carries headers from end to end, but not the hop's own", async () => {
    let seen: IncomingMessage["headers"] = {};
    worker = (req, res) => {
      seen = req.headers;
      res.setHeader("retry-after", "7").writeHead(429).end();
    };
    const call = throughProxy("http://model.internal/", { headers: { host: "model.internal", "x-api-key": "placeholder", "proxy-connection": "keep-alive" } });
    call.end();
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    answer.resume();
    assert.equal(seen["x-api-key"], "placeholder");
    assert.equal(seen["proxy-connection"], undefined);
    assert.deepEqual([answer.statusCode, answer.headers["retry-after"]], [429, "7"]);
  });

  test("streams both ways at once", async () => {
    worker = (req, res) => void req.pipe(res);
    const call = throughProxy("http://model.internal/", { method: "POST" });
    call.write("first");
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    assert.equal(String((await once(answer, "data"))[0]), "first");
    call.end("second");
    assert.equal(await text(answer), "second");
  });

  test("and is given up by the program is given up at the Worker", async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    worker = (_req, res) => void (res.write("…"), arrived.resolve(res));
    const call = throughProxy("http://model.internal/");
    call.on("error", () => {});
    call.end();
    const response = await arrived.promise;
    const closed = once(response, "close");
    call.destroy();
    await closed;
    assert.ok(!response.writableFinished);
  });

  for (const [cut, how] of Object.entries({
    cut: (socket?: Socket) => socket?.destroy(),
    reset: (socket?: Socket) => socket?.resetAndDestroy(),
  })) test(`and is ${cut} by the Worker looks cut to the program`, async () => {
    worker = (_req, res) => void res.write("half");
    const call = throughProxy("http://model.internal/");
    call.end();
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    how(asked[0]?.socket);
    await assert.rejects(text(answer), /aborted/);
  });

  test("with a body of a told length arrives whole", async () => {
    worker = (req, res) => void req.pipe(res);
    const body = "x".repeat(300_000);
    const call = throughProxy("http://model.internal/", { method: "POST", headers: { "content-length": String(body.length) } });
    call.end(body);
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    assert.equal((await text(answer)).length, body.length);
  });
});

describe("what goes out on one connection", TIME_LIMIT, () => {
  let client: Agent;
  beforeEach(() => void (client = new Agent({ keepAlive: true, maxSockets: 1 })));
  afterEach(() => client.destroy());

  async function post(url: string, body: string, headers: Record<string, string> = { "content-length": String(body.length) }): Promise<string> {
    const call = request({ host: proxy.hostname, port: proxy.port, path: url, agent: client, method: "POST", headers });
    call.end(body);
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    return `${call.reusedSocket ? "again" : "first"} ${await text(answer)}`;
  }
  const echo: RequestListener = (req, res) => void text(req).then((body) => res.end(`${req.headers.host} ${body}`));

  test("to another host goes there, and back", async () => {
    worker = echo;
    assert.deepEqual(
      [await post("http://a.internal/", "1"), await post("http://b.internal:81/", "2"), await post("http://a.internal/", "3")],
      ["first a.internal 1", "again b.internal:81 2", "again a.internal 3"],
    );
    assert.deepEqual(asked.map((ask) => ask.url), ["a.internal:80", "b.internal:81", "a.internal:80"]);
  });

  test("with a dot behind the name is for the name", async () => {
    worker = echo;
    const chunked = { "transfer-encoding": "chunked" };
    assert.deepEqual(
      [await post("http://a.internal./", "1"), await post("http://a.internal.:81/", "2"), (await post("http://a.internal./", "3", chunked)).trim()],
      ["first a.internal 1", "again a.internal:81 2", "again a.internal 3"],
    );
  });

  test("goes on after a body that does not tell its length, and after a refusal", async () => {
    worker = echo;
    const answers = [
      await post("http://a.internal/", "1"),
      await post("http://a.internal/", "2", { "transfer-encoding": "chunked" }),
      await post("http://192.0.2.1/", "3"),
      await post("http://a.internal/", "4"),
    ];
    assert.deepEqual(answers.map((answer) => answer.trim()), [
      "first a.internal 1",
      "again a.internal 2",
      "again 192.0.2.1 cannot be reached from this container",
      "again a.internal 4",
    ]);
  });

  test("past the Workers is asked for once", async () => {
    assert.match(await post("http://192.0.2.1/", "1"), /cannot be reached/);
    assert.equal(asked.length, 1);
  });

  for (const [what, fields] of Object.entries({
    "two lengths": "Content-Length: 3\r\nContent-Length: 5",
    "a second Host": "Host: b.internal\r\nContent-Length: 3",
    "a space behind a header's name": "Content-Length: 3\r\nTransfer-Encoding : chunked",
    "a header that a bare line feed hides": "Content-Length: 3\r\nX: y\nTransfer-Encoding: chunked",
    "a length that is no number": "Content-Length: 3x",
  })) test(`with ${what} never arrives`, async () => {
    const arrived: string[] = [];
    worker = (req, res) => void (arrived.push(req.url ?? ""), res.end());
    const socket = connect(Number(proxy.port), proxy.hostname);
    socket.write(`POST http://a.internal/ HTTP/1.1\r\nHost: a.internal\r\n${fields}\r\n\r\nabc`);
    assert.match(await text(socket), /^HTTP\/1.1 400/);
    assert.deepEqual(arrived, []);
    assert.deepEqual(asked, []);
  });

  test("with a head that has no end is refused", async () => {
    const socket = connect(Number(proxy.port), proxy.hostname);
    socket.write(`GET http://a.internal/ HTTP/1.1\r\nX: ${"x".repeat(20_000)}`);
    assert.match(await text(socket), /^HTTP\/1.1 431/);
  });
});

describe("what goes out in a tunnel to a Worker", TIME_LIMIT, () => {
  /** The statuses of what answers to these bytes, and the hosts of what has arrived at the Worker. */
  async function sent(bytes: string, count: number): Promise<{ statuses: number[]; arrived: string[] }> {
    const arrived: string[] = [];
    worker = (req, res) => void (arrived.push(`${req.headers.host}${req.url}`), res.end());
    const { status, socket } = await tunnel("model.internal:80");
    assert.equal(status, 200);
    socket.write(bytes);
    let heard = "";
    const statuses = (): number[] => [...heard.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
    while (statuses().length < count) heard += String((await once(socket, "data"))[0]);
    socket.destroy();
    return { statuses: statuses(), arrived };
  }
  const one = (host: string, target = "/"): string => `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\n{}`;

  test("arrives with the host that it is for", async () => {
    assert.deepEqual(await sent(one("model.internal", "/v1/messages") + one("model.internal:80"), 2), {
      statuses: [200, 200],
      arrived: ["model.internal/v1/messages", "model.internal/"],
    });
  });

  test("is judged request by request", async () => {
    const bytes = [one("model.internal", "/1"), one("agents.example.com"), one("localhost"), one("model.internal", "/2")].join("");
    assert.deepEqual(await sent(bytes, 4), { statuses: [200, 403, 403, 200], arrived: ["model.internal/1", "model.internal/2"] });
  });

  for (const [what, bytes] of Object.entries({
    "two Hosts": "GET / HTTP/1.1\r\nHost: model.internal\r\nHost: agents.example.com\r\n\r\n",
    "the same Host twice": "GET / HTTP/1.1\r\nHost: model.internal\r\nHost: model.internal\r\n\r\n",
    "no Host": "GET / HTTP/1.0\r\n\r\n",
    "a name within its Host": one("x@model.internal"),
    "a path within its Host": one("model.internal/x"),
    "another host in its request line": one("model.internal", "http://agents.example.com/"),
  })) test(`with ${what} is refused`, async () => {
    assert.deepEqual(await sent(bytes, 1), { statuses: [400], arrived: [] });
  });

  test("with a dot behind the Worker's name arrives at the Worker without", async () => {
    assert.deepEqual(await sent(one("model.internal."), 1), { statuses: [200], arrived: ["model.internal/"] });
    assert.deepEqual(asked.map((ask) => ask.url), ["model.internal:80", "model.internal:80"]);
  });

  test("is refused within a tunnel in the tunnel as well", async () => {
    assert.deepEqual(await sent(`CONNECT model.internal:80 HTTP/1.1\r\nHost: x\r\n\r\n${one("agents.example.com")}`, 2), { statuses: [200, 403], arrived: [] });
  });

  test("streams", async () => {
    worker = (req, res) => void req.pipe(res);
    const { socket } = await tunnel("model.internal:80");
    const call = request({ createConnection: () => socket, host: "model.internal", method: "POST" });
    call.write("first");
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    assert.equal(String((await once(answer, "data"))[0]), "first");
    call.end("second");
    assert.equal(await text(answer), "second");
  });
});

describe("what goes out past the Workers", TIME_LIMIT, () => {
  test("to anywhere else is refused without the internet", async () => {
    const { status } = await get("http://192.0.2.1/");
    assert.equal(status, 403);
  });

  test("to anywhere else goes there with the internet", async (t) => {
    const site = createServer((_req, res) => void res.end("a site")).listen(0, "127.0.0.1");
    t.after(() => site.close());
    await once(site, "listening");
    await container.setEgress(portOf(egress), true);
    assert.deepEqual(await get(`http://127.0.0.1:${portOf(site)}/`), { status: 200, body: "a site" });
  });

  test("by CONNECT is refused without the internet", async () => {
    const { status, socket } = await tunnel("192.0.2.1:443");
    socket.destroy();
    assert.equal(status, 403);
  });

  test("by CONNECT goes there with the internet", async (t) => {
    const site = createServer((_req, res) => void res.end("a site")).listen(0, "127.0.0.1");
    t.after(() => site.close());
    await once(site, "listening");
    await container.setEgress(portOf(egress), true);
    const { status, socket } = await tunnel(`127.0.0.1:${portOf(site)}`);
    assert.equal(status, 200);
    socket.write("GET / HTTP/1.0\r\n\r\n");
    assert.match(await text(socket), /a site$/);
  });

  test("while workerd is away waits until it is back on another port", async () => {
    const gone = createServer();
    await once(gone.listen(0, "127.0.0.1"), "listening");
    const deadPort = portOf(gone);
    await new Promise((resolve) => gone.close(resolve));
    await container.setEgress(deadPort, false);
    const answer = get("http://model.internal/");
    assert.equal(asked.length, 0);
    await container.setEgress(portOf(egress), false);
    assert.deepEqual(await answer, { status: 200, body: "the Worker" });
  });

  test("before workerd named its port is refused", async () => {
    const fresh = await docker.run("workerd-service-Account-fresh");
    const { HTTP_PROXY } = await fresh.env();
    const { hostname, port } = new URL(HTTP_PROXY ?? "");
    const call = request({ host: hostname, port, path: "http://model.internal/", agent: false });
    call.end();
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    answer.resume();
    assert.equal(answer.statusCode, 403);
  });

  test("as something that is no proxy request is refused", async () => {
    const socket = connect(Number(proxy.port), proxy.hostname);
    socket.write("GET /v1/messages HTTP/1.0\r\n\r\n");
    assert.match(await text(socket), /^HTTP\/1.1 400/);
  });
});
