/*
 * A deployment that leaves authentication to what stands before it: AUTH = "none".
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { json } from "./client.ts";
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

test("health says that authentication is configured", async () => {
  assert.equal((await json<{ hasAuth: boolean }>(await fetch(`${running.url}/health`), 200)).hasAuth, true);
});
