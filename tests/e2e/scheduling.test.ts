/*
 * The product with `scheduling_policy = "durable_object"`, under which each object names the image that its container runs. The policy cannot
 * be changed after the first deployment, so both policies have to work.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { containerOf, whileTurnRuns } from "./containers.ts";
import { gone } from "./processes.ts";
import { SECRET, service } from "./support.ts";
import { Outbound } from "./upstream.ts";
import type { Heard } from "./upstream.ts";

const running = service({ configuration: { schedulingPolicy: "durable_object" }, vars: { CONTAINER_INTERNET: "off" } });
const TIME_LIMIT_MS = 120_000;
const EXIT_MS = 5_000;

test("the product starts", () => assert.match(running.url, /^http:/));

describe("with containers that their objects schedule", { timeout: TIME_LIMIT_MS }, () => {
  test("a question is answered", async () => {
    assert.match((await running.newClient().query("What is 2+2?")).response, /4/);
  });

  test("a conversation goes on after its container was destroyed", async () => {
    const client = running.newClient();
    await client.query("The word is pear.", { session_id: "mortal" });
    const pid = await containerOf(client, running);
    process.kill(pid, "SIGKILL");
    await gone(pid, EXIT_MS);
    assert.match((await client.query("repeat everything I said", { session_id: "mortal" })).response, /The word is pear\./);
    assert.notEqual(await containerOf(client, running), pid);
  });

  test("the container reaches the model, with the Worker's credential, and nothing else", async () => {
    const client = running.newClient();
    const prompt = "[[say yes]] who pays?";
    await client.query(prompt);
    assert.equal(running.asked(prompt)[0]?.x_api_key, SECRET);
    const outbound = new Outbound(await containerOf(client, running));
    const body = JSON.stringify({ model: "claude-sonnet-4-5", max_tokens: 16, messages: [{ role: "user", content: "[[say hello]]" }] });
    const ask = (): Promise<Heard> => outbound.ask("POST", "http://model.internal/v1/messages", { "content-type": "application/json" }, body);
    const answer = await whileTurnRuns(client, ask);
    assert.deepEqual([answer.status, /hello/.test(answer.body)], [200, true]);
    assert.equal((await outbound.ask("POST", "http://model.internal/query")).status, 404);
    assert.equal((await outbound.ask("GET", "http://192.0.2.1/")).status, 403);
  });
});
