/** The front of `npm run dev`: whose requests pass, what of them passes, and that it is but a pipe for the rest. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { ClientRequest, IncomingMessage, RequestListener, Server } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, beforeEach, describe, test } from "node:test";
import { startFront } from "../front.ts";
import type { Front } from "../front.ts";
import { TIME_LIMIT } from "./support.ts";

/** Stands for wrangler. */
let inner: Server;
let answer: RequestListener;
let arrived: IncomingMessage[];
let front: Front;

before(async () => {
  inner = createServer((req, res) => {
    arrived.push(req);
    answer(req, res);
  });
  await once(inner.listen(0, "127.0.0.1"), "listening");
  front = await startFront({ hosts: ["My.box"] });
  front.leadTo((inner.address() as AddressInfo).port);
});
after(async () => {
  await front.close();
  inner.close();
  inner.closeAllConnections();
});
beforeEach(() => {
  arrived = [];
  answer = (_req, res) => void res.end("inner");
});

function ask(headers: Record<string, string>, options: { method?: string; path?: string; port?: number } = {}): ClientRequest {
  return request({ host: "127.0.0.1", port: front.port, agent: false, ...options, headers });
}

async function responseTo(call: ClientRequest): Promise<IncomingMessage> {
  return ((await once(call, "response")) as [IncomingMessage])[0];
}

/** The status of each answer to bytes that no HTTP client would send. */
async function statuses(bytes: string, count: number): Promise<number[]> {
  const socket = connect(front.port, "127.0.0.1");
  socket.write(bytes);
  const found: number[] = [];
  let heard = "";
  while (found.length < count) {
    heard += String((await once(socket, "data"))[0]);
    found.splice(0, found.length, ...[...heard.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status)));
  }
  socket.destroy();
  return found;
}

describe("a request", TIME_LIMIT, () => {
  for (const host of ["localhost", "localhost:8787", "LOCALHOST", "127.0.0.1:8787", "127.0.0.2", "[::1]:8787", "my.box:8787"]) {
    test(`for ${host} passes, with its Host as it was`, async () => {
      const response = await responseTo(ask({ host }).end());
      assert.deepEqual([response.statusCode, await text(response), arrived[0]?.headers.host], [200, "inner", host]);
    });
  }

  const foreign = [
    "rebind.evil.example:8801", "localhost.evil.example", "evil.example.", "my.box.evil.example", "192.0.2.1", "0.0.0.0", "[::]", "[::ffff:192.0.2.1]",
    "x@localhost", "localhost@evil.example", "localhost/evil", "localhost#", "localhost, evil.example", "model.internal",
  ];
  for (const host of foreign) {
    test(`for ${host} is refused, and goes no further`, async () => {
      const response = await responseTo(ask({ host }).end());
      assert.equal(response.statusCode, 403);
      assert.equal(response.headers["content-type"], "application/problem+json");
      const { code, status } = JSON.parse(await text(response)) as { code: string; status: number };
      assert.deepEqual([code, status, arrived.length], ["foreign_host", 403, 0]);
    });
  }

  test("of a rebound page that says which URL it means is refused", async () => {
    const page = {
      host: "rebind.evil.example:8801", origin: "http://rebind.evil.example:8801", "mf-original-url": "http://localhost/query", "content-type": "application/json",
    };
    const response = await responseTo(ask(page, { method: "POST", path: "/query" }).end('{"query":"[[tool Bash {\\"command\\":\\"id\\"}]]"}'));
    assert.deepEqual([response.statusCode, arrived.length], [403, 0]);
  });

  test("with two Hosts, none, or a host in its request line is refused", async () => {
    const refused = [
      "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n\r\n",
      "GET / HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost:\r\n\r\n",
      "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for (const bytes of refused) assert.deepEqual(await statuses(bytes, 1), [403], bytes);
    assert.equal(arrived.length, 0);
  });

  test("is judged for itself, whatever came before it on its connection", async () => {
    const one = (host: string, more = ""): string => `POST /${host} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n${more}\r\n{}`;
    const bytes = [one("localhost"), one("evil.example"), one("localhost", "MF-Original-URL: http://evil.example/\r\n")].join("");
    assert.deepEqual(await statuses(bytes, 3), [200, 403, 200]);
    assert.deepEqual(arrived.map(({ url }) => url), ["/localhost", "/localhost"]);
    assert.ok(arrived.every(({ headers }) => !("mf-original-url" in headers)));
  });

  test("passes without wrangler's own headers, in any spelling, and with all others", async () => {
    const own = { "MF-Original-URL": "http://evil.example/", "mf-proxy-shared-secret": "x", "Mf-CF-Blob": "{}", "MF-Anything": "1" };
    await responseTo(ask({ host: "localhost", "X-MF": "stays", "Idempotency-Key": "k", authorization: "Bearer t", ...own }).end());
    const names = Object.keys(arrived[0]?.headers ?? {});
    assert.deepEqual(names.filter((name) => name !== "connection").sort(), ["authorization", "host", "idempotency-key", "x-mf"]);
  });

  test("with a header twice passes both, in their order", async () => {
    assert.deepEqual(await statuses("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nx-a: 2\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 1), [200]);
    assert.deepEqual(arrived[0]?.headersDistinct["x-a"], ["1", "2"]);
    assert.deepEqual(arrived[0]?.headersDistinct["authorization"], ["a", "b"]);
  });

  test("with a body of unknown length passes with it, whatever its method", async () => {
    answer = (req, res) => void text(req).then((body) => res.end(body));
    for (const method of ["POST", "DELETE"]) {
      const call = ask({ host: "localhost", "transfer-encoding": "chunked" }, { method });
      call.write("one ");
      call.end("two");
      assert.equal(await text(await responseTo(call)), "one two");
    }
  });
});

describe("an answer", TIME_LIMIT, () => {
  test("passes with its status and headers", async () => {
    answer = (_req, res) => void res.writeHead(418, "Short and Stout", ["X-A", "1", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "Content-Length", "2"]).end("hi");
    const response = await responseTo(ask({ host: "localhost" }).end());
    assert.deepEqual([response.statusCode, response.statusMessage], [418, "Short and Stout"]);
    assert.deepEqual([response.headers["x-a"], response.headers["set-cookie"], response.headers["content-length"]], ["1", ["a=1", "b=2"], "2"]);
    assert.equal(await text(response), "hi");
  });

  test("streams: each event is there when it was sent", async () => {
    const more = Promise.withResolvers<void>();
    answer = (_req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
      void more.promise.then(() => res.end("data: 2\n\n"));
    };
    const response = await responseTo(ask({ host: "localhost" }).end());
    assert.equal(String((await once(response, "data"))[0]), "data: 1\n\n");
    more.resolve();
    assert.equal(await text(response), "data: 2\n\n");
  });

  test("that is cut looks cut", async () => {
    answer = (_req, res) => void res.writeHead(200).write("half", () => res.destroy());
    await assert.rejects(text(await responseTo(ask({ host: "localhost" }).end())), { code: "ECONNRESET" });
  });

  test("is read no faster than the client reads it", async () => {
    const chunk = Buffer.alloc(64 * 1024, "x");
    const total = 1024;
    let sent = 0;
    const full = Promise.withResolvers<void>();
    answer = (_req, res) => {
      const send = (): void => {
        while (sent < total) {
          sent += 1;
          if (!res.write(chunk)) return void res.once("drain", send);
        }
        res.end();
      };
      send();
      void stalled(() => sent).then(full.resolve);
    };
    const response = await responseTo(ask({ host: "localhost" }).end());
    await full.promise;
    assert.ok(sent < total / 2, `${sent} of ${total} chunks were taken though nothing was read`);
    assert.equal((await text(response)).length, total * chunk.length);
  });

  test("ends where the client leaves", async () => {
    const left = Promise.withResolvers<void>();
    answer = (_req, res) => {
      res.once("close", left.resolve);
      res.writeHead(200).write("endless");
    };
    (await responseTo(ask({ host: "localhost" }).end())).destroy();
    await left.promise;
  });
});

test("a front whose wrangler is not ready yet says when to come back: to a browser with a page that reloads itself", TIME_LIMIT, async (t) => {
  const early = await startFront({ hosts: [] });
  t.after(() => early.close());
  const asks = async (accept: string): Promise<[IncomingMessage, string]> => {
    const response = await responseTo(ask({ host: "localhost", accept }, { port: early.port, path: "/console/" }).end());
    return [response, await text(response)];
  };
  const [json, problem] = await asks("*/*");
  assert.deepEqual([json.statusCode, json.headers["retry-after"], json.headers["content-type"]], [503, "2", "application/problem+json"]);
  assert.equal((JSON.parse(problem) as { code: string }).code, "starting");
  const [html, page] = await asks("text/html,application/xhtml+xml,*/*;q=0.8");
  assert.deepEqual([html.statusCode, html.headers["retry-after"], html.headers["content-type"]], [503, "2", "text/html; charset=utf-8"]);
  assert.match(page, /<meta http-equiv="refresh" content="2">/);
  early.leadTo((inner.address() as AddressInfo).port);
  assert.equal((await asks("text/html"))[1], "inner");
});

test("a front whose wrangler is gone says so", TIME_LIMIT, async (t) => {
  const alone = await startFront({ hosts: [] });
  t.after(() => alone.close());
  const gone = createServer();
  await once(gone.listen(0, "127.0.0.1"), "listening");
  alone.leadTo((gone.address() as AddressInfo).port);
  await new Promise((resolve) => gone.close(resolve));
  const response = await responseTo(ask({ host: "localhost" }, { port: alone.port }).end());
  assert.equal(response.statusCode, 502);
  assert.match(await text(response), /"code":"worker_unreachable"/);
});

test("a front that is open to others leaves it to the keys who gets in, and keeps wrangler's headers out", TIME_LIMIT, async (t) => {
  const open = await startFront({ hosts: "any" });
  open.leadTo((inner.address() as AddressInfo).port);
  t.after(() => open.close());
  const response = await responseTo(ask({ host: "192.0.2.1:8787", "mf-original-url": "http://localhost/" }, { port: open.port }).end());
  assert.equal(response.statusCode, 200);
  assert.ok(!("mf-original-url" in (arrived[0]?.headers ?? {})));
});

/** Resolves when a number has stood still for a while: a full pipe gives no other sign. */
async function stalled(count: () => number): Promise<void> {
  for (let known = -1; known !== count(); await sleep(200)) known = count();
}
