/*
 * A deployment that pays with CLAUDE_CODE_OAUTH_TOKEN and leaves the agent the internet.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { before, describe, test } from "node:test";
import type { Client } from "./client.ts";
import { containerOf, whileTurnRuns } from "./containers.ts";
import { Outbound, serviceWithUpstream } from "./upstream.ts";

const TOKEN = "sk-ant-oat01-e2e-77c1d0";
const STOLEN = "sk-ant-stolen";

const { running, upstream } = await serviceWithUpstream({ secrets: { CLAUDE_CODE_OAUTH_TOKEN: TOKEN }, vars: { CONTAINER_INTERNET: "on" } });

describe("an OAuth token", { timeout: 60_000 }, () => {
  let client: Client;
  before(() => {
    client = running.newClient();
  });

  test("is what the model gets of a turn, as a bearer and as nothing else", async () => {
    const arrivals = await upstream.arrivalsDuring(() => client.query("[[say hello]] with a token"));
    assert.deepEqual(
      arrivals.map(({ headers }) => [headers.authorization, headers["x-api-key"]]),
      [[`Bearer ${TOKEN}`, undefined]],
    );
  });

  test("makes the CLI ask as the holder of a token does", async () => {
    const [arrival] = await upstream.arrivalsDuring(() => client.query("[[say hello]] with a beta"));
    assert.match(String(arrival?.headers["anthropic-beta"]), /\boauth-\d{4}-\d{2}-\d{2}\b/);
  });

  test("takes the place of whatever credential comes", async () => {
    const outbound = new Outbound(await containerOf(client, running));
    const headers = { "x-api-key": STOLEN, authorization: `Bearer ${STOLEN}` };
    const ask = (): Promise<unknown> => outbound.ask("POST", "http://model.internal/v1/messages", headers, "{}");
    const [arrival] = await whileTurnRuns(client, () => upstream.arrivalsDuring(ask));
    assert.equal(arrival?.headers.authorization, `Bearer ${TOKEN}`);
    assert.ok(!JSON.stringify(arrival.headers).includes(STOLEN));
  });

  test("is nowhere in the agent's environment, nor in its CLI's", async () => {
    const { response } = await client.query(`[[tool Bash {"command":"env; cat /proc/*/environ 2>/dev/null | tr '\\\\0' '\\\\n' | grep CLAUDE_CODE_OAUTH"}]]`);
    assert.match(response, /^CLAUDE_CODE_OAUTH_TOKEN=placeholder$/m);
    assert.ok(!response.includes(TOKEN));
  });
});

test("where CONTAINER_INTERNET is on, other hosts are reached and get no credential", { timeout: 60_000 }, async () => {
  const seen: string[] = [];
  const site = createServer((req, res) => void (seen.push(JSON.stringify(req.headers)), res.end("a site")));
  await once(site.listen(0, "127.0.0.1"), "listening");
  try {
    const outbound = new Outbound(await containerOf(running.newClient(), running));
    const { status, body } = await outbound.ask("POST", `http://127.0.0.1:${(site.address() as AddressInfo).port}/v1/messages`);
    assert.deepEqual([status, body], [200, "a site"]);
    assert.ok(seen.length === 1 && !seen[0]?.includes(TOKEN));
  } finally {
    site.close();
  }
});
