/*
 * The container that is started before its query, on a stack whose containers go soon: by whom, for how long, and what it is good for.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { json, problem } from "./client.ts";
import type { Client } from "./client.ts";
import { containerOf } from "./containers.ts";
import { gone } from "./processes.ts";
import { service } from "./support.ts";

/** Long enough for a turn to come while its container idles, on a busy machine. */
const CONTAINER_IDLE_S = 8;
/** From when a container is idle to when it is gone: its alarm, SIGTERM and the server's exit. */
const STOP_MS = 20_000;
const START_MS = 30_000;
const LOG_MS = 10_000;

const running = service({ vars: { CONTAINER_IDLE: `${CONTAINER_IDLE_S}s` } });

/** What stands for an account in the log, as src/digest.rs has it. */
const log = (client: Client): string => createHash("sha256").update(client.accountId).digest("hex").slice(0, 12);

const prewarm = async (client: Client): Promise<boolean> =>
  (await json<{ prewarming: boolean }>(await client.request("POST", "/prewarm"), 202)).prewarming;

const prewarmed = (client: Client): Promise<string> =>
  running.stack.waitForLog((line) => line.includes('"container_prewarmed"') && line.includes(log(client)), START_MS);

/** Asks something, and whether the turn had to start its container. */
async function startedForTurn(client: Client, session_id: string): Promise<unknown> {
  const { turn_id, response } = await client.query("What is 2+2?", { session_id });
  assert.equal(response, "4");
  const line = await running.stack.waitForLog((text) => text.includes('"turn_ended"') && text.includes(turn_id), LOG_MS);
  return (JSON.parse(line.slice(line.indexOf("{"), line.lastIndexOf("}") + 1)) as Record<string, unknown>)["cold_container"];
}

describe("prewarming", { concurrency: true, timeout: 180_000 }, () => {
  test("who asks for it has a container before the first query", async () => {
    const client = running.newClient();
    assert.equal(await prewarm(client), true);
    await prewarmed(client);
    assert.equal(await prewarm(client), false, "it runs");
    assert.equal(await startedForTurn(client, "first"), false);
  });

  test("a query that comes at once shares the start", async () => {
    const client = running.newClient();
    const [began, { response }] = await Promise.all([prewarm(client), client.query("What is 2+2?")]);
    assert.equal(typeof began, "boolean");
    assert.equal(response, "4");
  });

  test("opening a conversation starts the container that has stopped, and the turn afterwards finds it", async () => {
    const client = running.newClient();
    const session_id = "ancestors";
    const server = await containerOf(client, running);
    await gone(server, CONTAINER_IDLE_S * 1_000 + STOP_MS);
    const { messages } = await client.conversation(session_id);
    assert.equal(messages.length, 2);
    await prewarmed(client);
    assert.equal(await startedForTurn(client, session_id), false);
    const { response } = await client.query("repeat everything I said", { session_id });
    assert.match(response, /What is 2\+2\?/);
  });

  test("opening a conversation that is not there starts nothing", async () => {
    const client = running.newClient();
    await problem(client.request("GET", "/conversations/nowhere"), 404, "not_found");
    await problem(client.request("GET", "/conversations/nowhere/events"), 404, "not_found");
    assert.equal(await prewarm(client), true, "nothing had begun");
  });

  test("a container that no query comes to is stopped", async () => {
    const client = running.newClient();
    await prewarm(client);
    await running.stack.waitForLog((line) => line.includes('"container_stopped"') && line.includes(log(client)), START_MS + STOP_MS);
  });
});
