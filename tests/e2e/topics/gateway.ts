/*
 * The model gateway from both sides: what of a container's call reaches the model's API, and what of the answer comes back.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { problem } from "../client.ts";
import type { Client } from "../client.ts";
import { containerOf } from "../containers.ts";
import { SECRET } from "../support.ts";
import type { Service } from "../support.ts";
import { Outbound, statusLine } from "../upstream.ts";
import type { Upstream } from "../upstream.ts";
import { bash } from "./isolation.ts";

const MESSAGES = "http://model.internal/v1/messages";
const STOLEN = "sk-ant-stolen";
const LOG_MS = 20_000;
/** Many times what any hop between the two ends could hold back unnoticed. */
const LARGE_BYTES = 24 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, "a");

/** What a client of the public might send to be taken for a container. */
const DISGUISES: Record<string, string> = {
  "its own Host": "POST /v1/messages HTTP/1.1\r\nHost: localhost",
  "the model's Host": "POST /v1/messages HTTP/1.1\r\nHost: model.internal",
  "an absolute request line": "POST http://model.internal/v1/messages HTTP/1.1\r\nHost: model.internal",
  "an absolute request line and its own Host": "POST http://model.internal/v1/messages HTTP/1.1\r\nHost: localhost",
  "forwarding headers": "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: model.internal\r\nForwarded: host=model.internal\r\nX-Original-URL: /v1/messages",
  "headers named like the interception's": "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Hostname: model.internal\r\nX-Dst-Addr: model.internal:80\r\nX-Proto: tcp",
  "headers named like props": 'POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nmodel_gateway: true\r\nprops: {"model_gateway":true}\r\ncf-workers-props: {"model_gateway":true}',
  "props in the query string": "POST /v1/messages?model_gateway=true&props={%22model_gateway%22:true} HTTP/1.1\r\nHost: localhost",
  "a path with dots": "POST /health/../v1/messages HTTP/1.1\r\nHost: localhost",
  "another spelling of the path": "POST //v1//messages HTTP/1.1\r\nHost: localhost",
};

/** What the runtime sets by itself. */
const OF_THE_CONNECTION = ["host", "connection", "content-length", "transfer-encoding", "accept-encoding", "cf-worker"];

/** Beside these two, nothing passes. */
const PASSING = ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"];
const REFUSED: [method: string, path: string][] = [
  ...["GET", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method): [string, string] => [method, "/v1/messages"]),
  ...[
    "/", "/v1", "/v1/messages/", "/v1/messages/batches", "/v1/models", "/v1/files", "/v1/complete", "/v1/organizations/api_keys",
    "/v1/messages/../files", "/v1/messages%2fbatches", "//v1/messages", "/V1/messages", "/v1/messages;a=b", "/query", "/health",
    "/conversations", "/purge-runs", "/control/requests",
  ].map((path): [string, string] => ["POST", path]),
];

export function gateway(service: Service, upstream: Upstream): void {
  let client: Client;
  let caller: Client;
  let outbound: Outbound;
  before(async () => {
    client = service.newClient();
    // Only a running turn calls the model: this one runs as long as the topic does.
    caller = service.newClient();
    outbound = new Outbound(await containerOf(caller, service));
    const events = await caller.stream(`${bash("sleep 600")} [[say slept]]`, { session_id: "open" });
    await events.until(({ event }) => event === "tool");
  });
  after(() => caller.cancel("open"));

  for (const [disguise, head] of Object.entries(DISGUISES)) {
    test(`nobody outside a container reaches the model with ${disguise}`, async () => {
      const arrivals = await upstream.arrivalsDuring(async () => {
        assert.match(await statusLine(service.url, `${head}\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}`), /^HTTP\/1\.1 40[0134] /);
      });
      assert.deepEqual(arrivals, []);
    });
  }

  test("the model's own calls pass, with their query and body", async () => {
    for (const path of PASSING) {
      const [arrival] = await upstream.arrivalsDuring(() => outbound.ask("POST", `http://model.internal${path}`, {}, '{"a":"é"}'));
      assert.deepEqual([arrival?.method, arrival?.url], ["POST", path]);
      assert.equal(Buffer.from(arrival?.body ?? "", "latin1").toString(), '{"a":"é"}');
    }
  });

  test("no other method or path passes", async () => {
    const arrivals = await upstream.arrivalsDuring(async () => {
      for (const [method, path] of REFUSED) {
        assert.equal((await outbound.ask(method, `http://model.internal${path}`)).status, 404, `${method} ${path}`);
      }
    });
    assert.deepEqual(arrivals, []);
  });

  test("whatever credential comes, the configured one takes its place", async () => {
    const headers = {
      "x-api-key": STOLEN,
      authorization: `Bearer ${STOLEN}`,
      cookie: `key=${STOLEN}`,
      "proxy-authorization": STOLEN,
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "some-beta",
      "user-agent": "claude-cli/2",
    };
    const [arrival] = await upstream.arrivalsDuring(() => outbound.ask("POST", MESSAGES, headers, "{}"));
    assert.equal(arrival?.headers["x-api-key"], SECRET);
    assert.equal(arrival.headers.authorization, undefined);
    assert.ok(!JSON.stringify(arrival.headers).includes(STOLEN), JSON.stringify(arrival.headers));
    assert.deepEqual(
      ["anthropic-version", "anthropic-beta", "user-agent"].map((name) => arrival.headers[name]),
      ["2023-06-01", "some-beta", "claude-cli/2"],
    );
  });

  test("nothing tells the model's API which account or container asks", async () => {
    const headers = { "x-forwarded-for": "10.0.0.1", "cf-connecting-ip": "10.0.0.1", "x-claude-code-session-id": "kept-as-it-is" };
    const [arrival] = await upstream.arrivalsDuring(() => outbound.ask("POST", MESSAGES, headers, "{}"));
    const seen = JSON.stringify(arrival?.headers);
    assert.ok(!seen.includes(caller.accountId) && !seen.includes("10.0.0.1") && !seen.includes("model.internal"), seen);
  });

  test("the first byte of an answer is there before the model has finished", async () => {
    const finish = Promise.withResolvers<void>();
    const answer: RequestListener = (_req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" }).write("event: ping\n\n");
      void finish.promise.then(() => res.end("event: message_stop\n\n"));
    };
    await upstream.answering(answer, async () => {
      const call = outbound.open("POST", MESSAGES);
      call.end("{}");
      const [response] = (await once(call, "response")) as [IncomingMessage];
      assert.equal(String((await once(response, "data"))[0]), "event: ping\n\n");
      finish.resolve();
      assert.equal(await text(response), "event: message_stop\n\n");
    });
  });

  test("the first byte of a request is with the model before its last is sent", async () => {
    const first = Promise.withResolvers<string>();
    const answer: RequestListener = (req, res) => {
      req.once("data", (chunk: Buffer) => first.resolve(chunk.toString()));
      req.resume().once("end", () => res.end("whole"));
    };
    await upstream.answering(answer, async () => {
      const call = outbound.open("POST", MESSAGES);
      call.write('{"one":');
      // The gateway has read a piece before it lets the one before it go.
      call.write("2,");
      assert.equal(await first.promise, '{"one":');
      call.end('"three":4}');
      const [response] = (await once(call, "response")) as [IncomingMessage];
      assert.equal(await text(response), "whole");
    });
  });

  test("a large request and a large answer pass whole", async () => {
    let asked = 0;
    const answer: RequestListener = (req, res) => {
      req.on("data", (chunk: Buffer) => (asked += chunk.length));
      req.once("end", () => {
        res.writeHead(200);
        for (let sent = 0; sent < LARGE_BYTES; sent += CHUNK.length) res.write(CHUNK);
        res.end();
      });
    };
    await upstream.answering(answer, async () => {
      const call = outbound.open("POST", MESSAGES);
      call.write('{"a":"');
      for (let sent = 0; sent < LARGE_BYTES; sent += CHUNK.length) if (!call.write(CHUNK)) await once(call, "drain");
      call.end('"}');
      const [response] = (await once(call, "response")) as [IncomingMessage];
      let heard = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) heard += chunk.length;
      assert.deepEqual([asked, heard], [LARGE_BYTES + '{"a":""}'.length, LARGE_BYTES]);
    });
  });

  test("a caller that leaves in the middle of an answer is noticed by the model", async () => {
    const left = Promise.withResolvers<void>();
    const answer: RequestListener = (_req, res) => {
      res.writeHead(200).write("half");
      // Only what is sent can fail to arrive.
      const sending = setInterval(() => res.write("more"), 20);
      res.once("close", () => {
        clearInterval(sending);
        left.resolve();
      });
    };
    await upstream.answering(answer, async () => {
      const call = outbound.open("POST", MESSAGES);
      call.on("error", () => {});
      call.end("{}");
      const [response] = (await once(call, "response")) as [IncomingMessage];
      response.on("error", () => {});
      await once(response, "data");
      call.destroy();
      await left.promise;
    });
  });

  test("of a call's headers only those that the CLI needs reach the model", async () => {
    const headers = {
      "anthropic-workspace-id": "w", forwarded: "for=10.0.0.1", "true-client-ip": "10.0.0.1", "x-real-ip": "10.0.0.1", via: "1.1 me", origin: "http://me",
      "x-stainless-lang": "js", "x-app": "cli", accept: "application/json", "content-type": "application/json",
    };
    const [arrival] = await upstream.arrivalsDuring(() => outbound.ask("POST", MESSAGES, headers, "{}"));
    const seen = Object.keys(arrival?.headers ?? {}).filter((name) => !OF_THE_CONNECTION.includes(name));
    assert.deepEqual(seen.sort(), ["accept", "content-type", "x-api-key", "x-app", "x-stainless-lang"]);
  });

  test("of an answer's headers only those that the CLI needs come back", async () => {
    const told = { "anthropic-organization-id": "org", "set-cookie": "a=b", "cf-ray": "r", "anthropic-ratelimit-tokens-limit": "1", "request-id": "req_1", "content-type": "application/json" };
    for (const status of [200, 400]) {
      const heard = await upstream.answering((_req, res) => void res.writeHead(status, told).end("{}"), () => outbound.ask("POST", MESSAGES, {}, "{}"));
      assert.deepEqual([heard.status, heard.headers["request-id"]], [status, "req_1"]);
      for (const name of ["anthropic-organization-id", "set-cookie", "cf-ray", "anthropic-ratelimit-tokens-limit"]) assert.equal(heard.headers[name], undefined, name);
    }
  });

  test("status, retry-after, request id and body of the model's refusal come back as they are", async () => {
    const body = '{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}';
    const told = { "retry-after": "61", "request-id": "req_from_the_model", "anthropic-ratelimit-unified-status": "rejected", "content-type": "application/json" };
    const heard = await upstream.answering((_req, res) => void res.writeHead(429, told).end(body), () => outbound.ask("POST", MESSAGES, {}, "{}"));
    assert.deepEqual([heard.status, heard.body], [429, body]);
    for (const [name, value] of Object.entries(told)) assert.equal(heard.headers[name], value);
  });

  test("a redirect is followed by nobody, and the turn fails as the model's failure", async () => {
    let followed = 0;
    const elsewhere = createServer((_req, res) => void ((followed += 1), res.end("{}")));
    await once(elsewhere.listen(0, "127.0.0.1"), "listening");
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/v1/messages`;
    try {
      for (const status of [301, 302, 307, 308]) {
        const heard = await upstream.answering((_req, res) => void res.writeHead(status, { location }).end(), () => outbound.ask("POST", MESSAGES, {}, "{}"));
        assert.deepEqual([heard.status, heard.headers.location], [502, undefined]);
      }
      await upstream.answering((_req, res) => void res.writeHead(307, { location }).end(), () => problem(client.post("go on, elsewhere"), 502, "model_failed"));
    } finally {
      elsewhere.close();
    }
    assert.equal(followed, 0);
  });

  test("while the container may not reach the internet, the model's API is not asked to, however the body is spelt", async () => {
    const content = (source: string): string => `{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":${source}}]}]}`;
    const bodies = [
      content('{"type":"url","url":"https://attacker.example/?secret"}'),
      content('{"url":"https://attacker.example","t\\u0079pe":"\\u0075rl"}'),
      '{"model":"m","messages":[],"mcp_servers":[{"type":"url","url":"https://attacker.example"}]}',
      '{"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}],"model":"m","messages":[]}',
    ];
    for (const body of bodies) {
      const arrivals = await upstream.arrivalsDuring(async () => {
        assert.equal((await outbound.ask("POST", MESSAGES, { "content-type": "application/json" }, body)).status, 403, body);
      });
      assert.ok(arrivals.every((arrival) => arrival.body.length < body.length), "it never arrives whole");
    }
    const innocent = content('{"type":"base64","media_type":"image/png","data":"aGk="}');
    assert.equal((await upstream.answering((_req, res) => void res.end("{}"), () => outbound.ask("POST", MESSAGES, {}, innocent))).status, 200);
  });

  test("nothing is called where no turn runs, and the log says so", async () => {
    const idle = service.newClient();
    const late = new Outbound(await containerOf(idle, service));
    const arrivals = await upstream.arrivalsDuring(async () => {
      const heard = await late.ask("POST", MESSAGES, { "content-type": "application/json" }, "{}");
      assert.deepEqual([heard.status, (JSON.parse(heard.body) as { error: { type: string } }).error.type], [403, "permission_error"]);
    });
    assert.deepEqual(arrivals, []);
    await service.stack.waitForLog((line) => line.includes('"call_without_turn"'), LOG_MS);
  });

  test("what a turn's own shell asks of the model is counted for the turn and logged", async () => {
    const body = JSON.stringify({ model: "claude-of-the-shell", max_tokens: 9, stream: true, messages: [{ role: "user", content: "[[words 7]]" }] });
    const ask = `curl -s -o /dev/null -x $HTTP_PROXY ${MESSAGES} -H "content-type: application/json" -d '${body}'`;
    const { turn_id } = await client.query(`${bash(ask)} [[say done]]`);
    assert.equal((await turnLine(turn_id)).model_calls, 3);
    const line = await service.stack.waitForLog((text) => text.includes('"model_call"') && text.includes("claude-of-the-shell") && text.includes(turn_id), LOG_MS);
    assert.match(line, /"output_tokens":[1-9]/);
    assert.match(line, /"http_status":200/);
  });

  test("the log's line of a turn says how many calls of the model it took", async () => {
    const { turn_id } = await client.query(`${bash("true")} ${bash("true")} [[say done]]`);
    assert.equal((await turnLine(turn_id)).model_calls, 3);
  });

  test("the calls of a turn that is cancelled are counted too", async () => {
    const session_id = "counted";
    const events = await client.stream(`${bash("true")} [[hang-midway]] [[words 9]]`, { session_id });
    await events.untilDeltas(1);
    await client.cancel(session_id);
    const turnId = String(events.events[0]?.data["turn_id"]);
    assert.equal((await turnLine(turnId)).model_calls, 2);
  });

  async function turnLine(turnId: string): Promise<{ model_calls?: number }> {
    const line = await service.stack.waitForLog((text) => text.includes('"turn_ended"') && text.includes(turnId), LOG_MS);
    return JSON.parse(line.slice(line.indexOf("{"), line.lastIndexOf("}") + 1)) as { model_calls?: number };
  }

  test("a host that is not the model's is refused where CONTAINER_INTERNET is off", async () => {
    const site = createServer((_req, res) => void res.end("a site"));
    await once(site.listen(0, "127.0.0.1"), "listening");
    try {
      const { port } = site.address() as AddressInfo;
      for (const url of [`http://127.0.0.1:${port}/`, "http://169.254.169.254/latest/meta-data/", `${upstream.url}/v1/messages`]) {
        assert.equal((await outbound.ask("GET", url)).status, 403, url);
      }
    } finally {
      site.close();
    }
  });
}
