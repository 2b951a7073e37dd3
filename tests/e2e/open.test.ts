/*
 * A deployment that leaves authentication to what stands before it: AUTH = "none".
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { describe, test } from "node:test";
import { json, problem } from "./client.ts";
import { service } from "./support.ts";

const running = service({ vars: { AUTH: "none" } });

test("everyone gets in, by whatever name and with whatever header", async () => {
  const { port } = new URL(running.url);
  const status = (headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ host: "127.0.0.1", port, path: "/conversations?accountId=acme", headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
  for (const headers of [{ host: "agents.example.com" }, { host: "10.0.0.1", authorization: "Bearer whatever" }]) {
    assert.equal(await status(headers), 200);
  }
});

describe("a page of another site", { timeout: 60_000 }, () => {
  for (const [what, headers] of [
    ["that tells its origin", { origin: "https://evil.example" }],
    ["without an origin of its own", { origin: "null" }],
    ["that the browser tells of", { "sec-fetch-site": "cross-site" }],
  ] as const) {
    for (const [method, path] of [
      ["GET", "/conversations"],
      ["POST", "/conversations/some/cancel"],
      ["POST", "/purge"],
      ["POST", "/purge-runs"],
      ["POST", "/prewarm"],
      ["POST", "/query"],
    ] as const) {
      test(`${what} does not get in: ${method} ${path}`, async () => {
        await problem(fetch(running.url + path, { method, headers }), 403, "auth_not_configured");
      });
    }
  }

  test("does, where it is of this host", async () => {
    const { origin } = new URL(running.url);
    for (const headers of [{ origin }, { "sec-fetch-site": "same-origin" }, { "sec-fetch-site": "none" }]) {
      await json(await fetch(`${running.url}/purge`, { method: "POST", headers }), 200);
    }
  });
});

test("health says that authentication is configured", async () => {
  assert.equal((await json<{ hasAuth: boolean }>(await fetch(`${running.url}/health`), 200)).hasAuth, true);
});
