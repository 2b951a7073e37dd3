/*
 * A Worker that nobody gave a credential to: it says so, and how to mend it.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { json, problem } from "./client.ts";
import { service } from "./support.ts";

const running = service({ model: "none", secrets: {} });

test("a query without a configured credential is 500 token_not_set, which says how to set it", async () => {
  const { error } = await problem(running.newClient().post("What is 2+2?"), 500, "token_not_set");
  assert.match(error, /^CLAUDE_CODE_OAUTH_TOKEN not set/);
  assert.match(error, /wrangler secret put/);
});

test("health says that there is no credential", async () => {
  const health = await json<Record<string, unknown>>(await fetch(`${running.url}/health`), 200);
  assert.deepEqual([health["status"], health["hasToken"]], ["healthy", false]);
});

/** A request with headers that fetch does not let through. */
const send = (method: string, path: string, headers: Record<string, string>, body = ""): Promise<Response> =>
  new Promise((resolve, reject) => {
    const { port } = new URL(running.url);
    request({ host: "127.0.0.1", port, method, path, headers }, (message) => {
      const headers = Object.entries(message.headers).map(([name, value]): [string, string] => [name, String(value)]);
      text(message).then((body) => resolve(new Response(body, { status: message.statusCode ?? 0, headers })), reject);
    })
      .on("error", reject)
      .end(body);
  });
/** GET /conversations by that Host header. */
const listBy = (host: string): Promise<Response> => send("GET", "/conversations", { host });

test("without configured authentication requests to this machine's own name get in", async () => {
  const { port } = new URL(running.url);
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) assert.equal((await listBy(host)).status, 200, host);
});

test("requests to any other name do not, and are told the ways to configure it", async () => {
  for (const host of ["agents.example.com", "localhost.example.com", "10.0.0.1"]) {
    const { detail } = await problem(listBy(host), 403, "auth_not_configured");
    assert.match(detail, /API_KEYS.*JWT_SECRET.*AUTH = "none"/);
  }
});

test("a page whose name was made to mean this machine does not get in, though wrangler takes its word for the URL", async () => {
  const { port } = new URL(running.url);
  const page = { host: `rebind.evil.example:${port}`, origin: `http://rebind.evil.example:${port}` };
  const body = '{"query":"What is 2+2?"}';
  for (const path of ["/query", "/conversations"]) {
    const headers = { ...page, "mf-original-url": `http://localhost${path}`, "content-type": "application/json" };
    const response = path === "/query" ? send("POST", path, headers, body) : send("GET", path, headers);
    const { detail } = await problem(response, 403, "auth_not_configured");
    assert.match(detail, /Origin/);
  }
});

test("a page of another site does not get in, with a body or without one", async () => {
  for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }, { "sec-fetch-site": "cross-site" }]) {
    for (const [method, path] of [["POST", "/conversations/some/cancel"], ["POST", "/purge"], ["POST", "/purge-runs"], ["POST", "/prewarm"], ["GET", "/conversations"]] as const) {
      await problem(fetch(running.url + path, { method, headers }), 403, "auth_not_configured");
    }
  }
});

test("a page of this machine does, on whatever port it is", async () => {
  for (const origin of ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"]) {
    await json(await fetch(`${running.url}/purge`, { method: "POST", headers: { origin, "sec-fetch-site": "same-site" } }), 200);
  }
});
