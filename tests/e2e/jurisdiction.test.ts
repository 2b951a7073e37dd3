/*
 * JURISDICTION: every object that the Worker addresses, both accounts and shards of the directory, is within it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { json } from "./client.ts";
import type { Conversation } from "./client.ts";
import { service } from "./support.ts";

const WORKER = fileURLToPath(new URL("jurisdiction/worker.mjs", import.meta.url));

const running = service({ vars: { JURISDICTION: "eu" }, wranglerArgs: ["--config", "wrangler.json", WORKER] });

describe("a service with a jurisdiction", { timeout: 120_000 }, () => {
  test("asks only for objects within it", async () => {
    const client = running.newClient();
    const { session_id } = await client.query("What is 2+2?");
    const { account_id } = await json<Conversation>(await client.request("GET", `/conversations/${session_id}`), 200);
    assert.equal(account_id, `eu-${client.accountId}`);
    assert.equal((await fetch(`${running.url}/purge-runs`)).status, 200);
    assert.equal(running.stack.logs.filter((line) => line.includes("outside the jurisdiction")).length, 0);
  });
});
