/*
 * What comes out of a container never becomes a request of the public, whatever host it names: here with bytes that no client would send.
 * They go the container's own way, through its proxy, and past it straight to workerd: the wall is the Worker's, not the proxy's.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Client } from "../client.ts";
import { containerOf } from "../containers.ts";
import type { Service } from "../support.ts";
import { Outbound, throughTunnel } from "../upstream.ts";
import type { Upstream } from "../upstream.ts";

const SECRET = "my card number is 4111-1111";
const LAST = "Connection: close\r\n\r\n";

/** Requests of the public API as a container might send them: each is sent as it is, and as the second of a kept connection. */
const disguises = (path: string, host: string): Record<string, string> => ({
  "the service's own Host": `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n`,
  "a foreign Host": `GET ${path} HTTP/1.1\r\nHost: agents.example.com\r\n`,
  "a Host of one letter": `GET ${path} HTTP/1.1\r\nHost: x\r\n`,
  "localhost as Host": `GET ${path} HTTP/1.1\r\nHost: localhost\r\n`,
  "the model's Host": `GET ${path} HTTP/1.1\r\nHost: model.internal\r\n`,
  "the model's Host with a trailing dot": `GET ${path} HTTP/1.1\r\nHost: model.internal.\r\n`,
  "the model's Host behind a user": `GET ${path} HTTP/1.1\r\nHost: x@model.internal\r\n`,
  "two Hosts, the model's first": `GET ${path} HTTP/1.1\r\nHost: model.internal\r\nHost: localhost\r\n`,
  "two Hosts, the model's last": `GET ${path} HTTP/1.1\r\nHost: localhost\r\nHost: model.internal\r\n`,
  "an absolute request line": `GET http://localhost${path} HTTP/1.1\r\nHost: model.internal\r\n`,
  "an absolute request line of the model's": `GET http://model.internal${path} HTTP/1.1\r\nHost: localhost\r\n`,
  "forwarding headers": `GET ${path} HTTP/1.1\r\nHost: model.internal\r\nX-Forwarded-Host: localhost\r\nMF-Original-URL: http://localhost${path}\r\n`,
  "an operator's Origin": `GET ${path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n`,
});

export function gatewayHosts(service: Service, upstream: Upstream): void {
  let victim: Client;
  let outbound: Outbound;
  let ways: { proxy: number; workerd: number };
  const names = Object.keys(disguises("/", ""));
  before(async () => {
    victim = service.newClient();
    await victim.query(SECRET, { session_id: "private" });
    const pid = await containerOf(service.newClient(), service);
    outbound = new Outbound(pid);
    const container = service.stack.engine?.containers().find((container) => container.pid === pid);
    ways = { proxy: Number(outbound.proxy.port), workerd: container?.workerdPort ?? 0 };
  });

  const bytesOf = (name: string): string =>
    disguises(`/conversations/private?accountId=${victim.accountId}`, new URL(service.url).host)[name] as string;

  for (const name of names) {
    test(`a container reads nothing of the public API with ${name}`, async () => {
      const arrivals = await upstream.arrivalsDuring(async () => {
        for (const port of Object.values(ways)) {
          const heard = await throughTunnel(port, "model.internal", bytesOf(name) + LAST);
          assert.match(heard, /^HTTP\/1\.1 40[034] /, heard);
          assert.ok(!heard.includes("4111") && !heard.includes("session_id"), heard);
        }
      });
      assert.deepEqual(arrivals, []);
    });

    test(`nor as the second request of a kept connection, with ${name}`, async () => {
      const first = "GET /v1/messages HTTP/1.1\r\nHost: model.internal\r\n\r\n";
      const heard = await throughTunnel(ways.workerd, "model.internal", first + bytesOf(name) + LAST, 2);
      assert.equal(heard.match(/HTTP\/1\.1 40[04] /g)?.length, 2, heard);
      assert.ok(!heard.includes("4111") && !heard.includes("session_id"), heard);
    });
  }

  test("a container cannot run a turn of another account", async () => {
    const body = JSON.stringify({ accountId: victim.accountId, query: "[[say commanded]]", session_id: "commanded" });
    const head = `POST /query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
    for (const port of Object.values(ways)) assert.match(await throughTunnel(port, "model.internal", `${head}${LAST}${body}`), /^HTTP\/1\.1 40[34] /);
    assert.equal((await victim.request("GET", "/conversations/commanded")).status, 404);
  });

  test("what is refused is refused in the manner of the model's API", async () => {
    const heard = await outbound.ask("POST", "http://model.internal/query", { "content-type": "application/json" }, "{}");
    assert.equal(heard.status, 404);
    assert.equal((JSON.parse(heard.body) as { error: { type: string } }).error.type, "not_found_error");
  });
}
