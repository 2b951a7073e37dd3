/*
 * Who gets in, on a stack that takes keys and tokens; and that a token gets at nothing but its own account.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Client, json, problem } from "./client.ts";
import { service } from "./support.ts";
import { AUDIENCE, ISSUER, JWT_SECRET, badTokens, claims, signed, tokenFor } from "./tokens.ts";
import { attacks } from "./topics/attacks.ts";
import { PAGE, browsers } from "./topics/browsers.ts";
import { ownActions } from "./topics/own-actions.ts";

const KEYS = ["old-key-3f9a-52c1-88e0-7d4b", "new-key-77b2-19f6-a3c8-0e5d"];

const running = service({
  secrets: { ANTHROPIC_API_KEY: "sk-ant-e2e", API_KEYS: KEYS.join(","), JWT_SECRET },
  vars: { JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, ALLOWED_ORIGINS: `https://first.example,${PAGE}` },
});

const ROUTES: [method: string, path: string][] = [
  ["POST", "/query"],
  ["GET", "/conversations"],
  ["GET", "/conversations/a"],
  ["PATCH", "/conversations/a"],
  ["DELETE", "/conversations/a"],
  ["POST", "/conversations/a/cancel"],
  ["GET", "/conversations/a/events"],
  ["GET", "/turns/turn_0123456789abcdef0123456789abcdef"],
  ["POST", "/prewarm"],
  ["GET", "/storage-stats"],
  ["POST", "/purge"],
  ["POST", "/purge-runs"],
  ["GET", "/purge-runs"],
];

const list = (authorization?: string, query = ""): Promise<Response> =>
  fetch(`${running.url}/conversations${query}`, authorization === undefined ? {} : { headers: { authorization } });

test("the product starts", () => assert.match(running.url, /^http:/));

describe("keys", { timeout: 60_000 }, () => {
  for (const key of KEYS) {
    test(`${key} gets in, for any account`, async () => {
      for (const account of ["", "?accountId=acme", "?accountId=other"]) {
        assert.deepEqual(await json(await list(`Bearer ${key}`, account), 200), []);
      }
    });
  }

  for (const [what, authorization] of [
    ["nothing", undefined],
    ["no key", "Bearer"],
    ["an empty key", "Bearer "],
    ["another key", "Bearer wrong"],
    ["the beginning of a key", `Bearer ${KEYS[0]?.slice(0, -1)}`],
    ["both keys at once", `Bearer ${KEYS.join(",")}`],
    ["another scheme", `Basic ${Buffer.from(`:${KEYS[0]}`).toString("base64")}`],
    ["a key without its scheme", KEYS[0]],
  ] as const) {
    test(`${what} does not get in, and is told how to`, async () => {
      const response = await list(authorization);
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
      await problem(response, 401, "unauthorized");
    });
  }

  test("a key in the URL does not get in", async () => {
    await problem(list(undefined, `?api_key=${KEYS[0]}&access_token=${KEYS[0]}`), 401, "unauthorized");
  });

  test("nobody gets in at any route without one, but for health", async () => {
    for (const [method, path] of ROUTES) await problem(fetch(running.url + path, { method }), 401, "unauthorized");
    await json(await fetch(`${running.url}/health`), 200);
  });

  test("what is wrong with a conversation's id is told to those who may ask", async () => {
    await problem(fetch(`${running.url}/conversations/-a`), 401, "unauthorized");
    await problem(fetch(`${running.url}/conversations/-a`, { headers: { authorization: `Bearer ${KEYS[0]}` } }), 400, "invalid_session_id");
  });

  test("health says that authentication is configured, and not how", async () => {
    const health = await json<Record<string, unknown>>(await fetch(`${running.url}/health`), 200);
    assert.equal(health["hasAuth"], true);
    assert.deepEqual(Object.keys(health).sort(), ["hasAuth", "hasContainer", "hasToken", "status", "timestamp", "version"]);
  });
});

describe("an agent", () => ownActions(running, () => ({ authorization: `Bearer ${KEYS[0]}` })));

test("a page of another site that has a key gets in", async () => {
  const headers = { authorization: `Bearer ${KEYS[0]}`, origin: "https://app.example", "sec-fetch-site": "cross-site" };
  await json(await fetch(`${running.url}/conversations`, { headers }), 200);
});

describe("tokens", { timeout: 60_000 }, () => {
  test("a token speaks for the account in it", async () => {
    const client = new Client(running.url, "acme", { authorization: `Bearer ${tokenFor("acme")}` });
    const { session_id } = await client.query("[[say ok]] mine");
    const own = await json<{ session_id: string }[]>(await list(`Bearer ${tokenFor("acme")}`), 200);
    assert.deepEqual(own.map((conversation) => conversation.session_id), [session_id]);
    assert.deepEqual(await json(await list(`Bearer ${tokenFor("somebody else")}`), 200), []);
  });

  test("an audience among several is this one's", async () => {
    const token = signed({ ...claims("acme"), aud: ["others", AUDIENCE] });
    await json(await list(`Bearer ${token}`), 200);
  });

  for (const [what, token] of Object.entries(badTokens("acme"))) {
    test(`a token with ${what} does not get in`, async () => {
      const response = await list(`Bearer ${token}`);
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
      const { detail } = await problem(response, 401, "unauthorized");
      assert.ok(!detail.includes(token.slice(0, 20)));
    });
  }

  test("a token that names another account is refused", async () => {
    const { detail } = await problem(list(`Bearer ${tokenFor("acme")}`, "?accountId=other"), 403, "wrong_account");
    assert.doesNotMatch(detail, /acme/);
  });

  test("a token does not get at the operator's routes, and a key does", async () => {
    const call = (method: string, authorization: string): Promise<Response> => fetch(`${running.url}/purge-runs`, { method, headers: { authorization } });
    for (const method of ["GET", "POST"]) await problem(call(method, `Bearer ${tokenFor("acme")}`), 403, "operator_only");
    assert.ok(Array.isArray(await json(await call("GET", `Bearer ${KEYS[0]}`), 200)));
  });

  test("a token that names its own account is not", async () => {
    await json(await list(`Bearer ${tokenFor("acme")}`, "?accountId=acme"), 200);
  });

  test("a token erases its own account, unless that is suspended, and reads the receipt", async () => {
    const call = (method: string, path: string, credential: string, body?: object): Promise<Response> =>
      fetch(running.url + path, {
        method,
        headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
        body: body === undefined ? null : JSON.stringify(body),
      });
    const suspend = async (status: string): Promise<unknown> => json(await call("PATCH", "/accounts/leaving", KEYS[0] ?? "", { status }), 200);
    const own = tokenFor("leaving");
    await new Client(running.url, "leaving", { authorization: `Bearer ${own}` }).query("[[say ok]] mine");
    await suspend("suspended");
    await problem(call("DELETE", "/account", own), 403, "account_suspended");
    await problem(call("POST", "/purge", own), 403, "account_suspended");
    await suspend("active");
    const { erasure_id } = await json<{ erasure_id: string }>(await call("DELETE", "/account", own), 202);
    let status = "pending";
    for (const end = Date.now() + 30_000; status === "pending" && Date.now() < end; await setTimeout(250)) {
      status = (await json<{ status: string }>(await call("GET", `/erasures/${erasure_id}`, own), 200)).status;
    }
    assert.equal(status, "done");
    assert.deepEqual(await json(await list(`Bearer ${own}`), 200), []);
    await problem(call("GET", "/erasures/erasure_01a202feb07b753ebcc7ee3525df0aa1", own), 404, "not_found");
  });
});

describe("browsers", { timeout: 60_000 }, () => browsers(running, `Bearer ${KEYS[0]}`));

describe("attacks", { timeout: 120_000 }, () => attacks(running, (account) => ({ authorization: `Bearer ${tokenFor(account)}` })));
