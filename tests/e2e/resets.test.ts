/*
 * An account's object loses its memory during a request, as in each deployment. No client notices, and no turn runs twice.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Client } from "./client.ts";
import { service } from "./support.ts";

const WORKER = fileURLToPath(new URL("reset/worker.mjs", import.meta.url));

const MODEL_MS = 30_000;

// wrangler.json is the stack's. Without the argument, wrangler takes the configuration nearest to the script.
const running = service({ wranglerArgs: ["--config", "wrangler.json", WORKER] });

describe("an object that is reset", { timeout: 120_000 }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "e2e-reset-"));
  });
  after(() => rm(folder, { recursive: true }));

  const reset = async (client: Client): Promise<void> => {
    const answer = await fetch(running.url, { headers: { "x-reset-account": client.accountId } });
    assert.equal(await answer.text(), "reset");
  };

  test("under a JSON query: the turn goes on, runs once, and its caller gets its answer", async () => {
    const client = running.newClient();
    const [gate, runs] = [join(folder, "gate"), join(folder, "runs")];
    const command = `echo run >> ${runs}; until [ -e ${gate} ]; do sleep 0.05; done; echo survived`;
    const prompt = `[[tool Bash ${JSON.stringify({ command })}]]`;
    const answer = client.post(prompt, { session_id: "s" });
    await running.model.control.waitFor((request) => request.user_texts.at(-1) === prompt, MODEL_MS);
    const events = await client.events("s");
    await events.until((event) => event.event === "tool");
    await reset(client);
    await writeFile(gate, "");
    const response = await answer;
    const body = (await response.json()) as { response?: string };
    assert.deepEqual([response.status, body.response], [200, "survived"], JSON.stringify(body));
    assert.equal(response.headers.get("idempotent-replayed"), null);
    assert.equal(await readFile(runs, "utf8"), "run\n");
    assert.deepEqual(await client.said("s"), [`user: ${prompt}`, "assistant: survived"]);
  });

  test("into a version that cannot start: its alarm is not given up, and it goes on when one can", async () => {
    const client = running.newClient();
    await client.query("[[say one]]", { session_id: "s" });
    const untilNext = Number(await (await fetch(running.url, { headers: { "x-fail-account": client.accountId } })).text());
    assert.ok(untilNext > 30_000 && untilNext <= 60_000, `the alarm rings again in ${untilNext} ms`);
    assert.equal((await client.request("GET", "/conversations/s")).status, 500);
    await reset(client);
    assert.deepEqual(await client.said("s"), ["user: [[say one]]", "assistant: one"]);
  });

  test("of an earlier version: a command that it does not have is refused, and can be sent again", async () => {
    const client = running.newClient();
    const request_id = `req_${"0".repeat(32)}`;
    const headers = { "x-command-account": client.accountId };
    for (const command of ["erase_everything", { fork: { session_id: "s" } }]) {
      const json = JSON.stringify({ request_id, command });
      const inUrl = await fetch(`${running.url}/?${encodeURIComponent(json)}`, { headers });
      const inBody = await fetch(running.url, { method: "POST", headers, body: json });
      for (const answer of [inUrl, inBody]) {
        const problem = (await answer.json()) as { code: string; request_id: string };
        assert.deepEqual([answer.status, problem.code, problem.request_id], [503, "object_reset", request_id]);
        assert.ok(Number(answer.headers.get("retry-after")) > 0);
      }
    }
  });

  test("with a container that runs: it keeps its time, and the way to the model is laid anew before each start", async () => {
    const client = running.newClient();
    const calls = async (): Promise<string[]> => (await fetch(running.url, { headers: { "x-calls-account": client.accountId } })).json() as Promise<string[]>;
    await client.query("[[say one]]", { session_id: "s" });
    assert.deepEqual((await calls()).slice(0, 3), ["interceptOutboundHttp", "start", "setInactivityTimeout"]);
    const before = (await calls()).length;
    await reset(client);
    await client.request("GET", "/conversations/s");
    assert.ok((await calls()).slice(before).includes("setInactivityTimeout"), (await calls()).join());
    process.kill(running.stack.engine?.containers().at(-1)?.pid ?? 0, "SIGKILL");
    const dead = (await calls()).length;
    await client.query("[[say two]]", { session_id: "s" });
    const since = (await calls()).slice(dead);
    assert.ok(since.includes("start") && since.lastIndexOf("interceptOutboundHttp", since.indexOf("start")) !== -1, since.join());
  });

  test("between two requests: the next is answered as if nothing had happened, and the container goes on", async () => {
    const client = running.newClient();
    await client.query("[[say one]]", { session_id: "s" });
    await reset(client);
    assert.equal((await client.request("GET", "/conversations/s")).status, 200);
    await reset(client);
    await client.query("[[say two]]", { session_id: "s" });
    assert.equal(running.stack.logs.filter((line) => line.includes('"container_started"') && line.includes(client.accountId)).length, 0);
    assert.deepEqual(await client.said("s"), ["user: [[say one]]", "assistant: one", "user: [[say two]]", "assistant: two"]);
  });
});
