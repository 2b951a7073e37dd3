/*
 * A Worker that nobody gave a credential to: it says so, and how to mend it.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
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

test("without configured authentication only requests to this machine's own name get in", async () => {
  const { port } = new URL(running.url);
  const status = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ host: "127.0.0.1", port, path: "/conversations", headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
  assert.deepEqual(
    [await status(`localhost:${port}`), await status(`127.0.0.1:${port}`), await status("agents.example.com")],
    [200, 200, 403],
  );
});
