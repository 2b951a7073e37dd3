/*
 * What an account has used: counted at the gateway, whoever in the container calls the model, and kept when conversations go.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bash, json, problem } from "../client.ts";
import type { Client, Usage } from "../client.ts";
import type { Service } from "../support.ts";

type Row = Usage & { day?: string; model?: string; session_id?: string; turns: number; model_calls: number; reported: Usage; container_seconds?: number; stored_bytes?: number };
type Report = { from: string; to: string; group: string; rows: Row[]; total: Row };

const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** How an agent that looks for a way around calls the model by itself. */
const CALL = `curl -s -o /dev/null -w '%{http_code} ' -x $http_proxy -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
 -d '{"model":"claude-opus-5-5","max_tokens":10,"messages":[{"role":"user","content":"[[say mine]]"}]}' http://model.internal/v1/messages`;

async function report(client: Client, parameters = ""): Promise<Report> {
  return json<Report>(await client.request("GET", `/usage${parameters}`), 200);
}

const tokens = ({ input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens }: Usage): number[] =>
  [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens];

/** What calls of the model have used. */
const ofModel = ({ container_seconds: _seconds, stored_bytes: _bytes, ...used }: Row): Partial<Row> => used;

export function usage(service: Service): void {
  test("the gateway's count is what the SDK says of a plain turn, by day, model and conversation", async () => {
    const client = service.newClient();
    const first = await client.query("[[say one]]", { session_id: "a" });
    const second = await client.query("[[say two]]", { session_id: "b" });
    const sum = tokens(first.usage).map((n, at) => n + (tokens(second.usage)[at] ?? 0));
    const byDay = await report(client);
    assert.equal(byDay.rows.length, 1);
    assert.match(byDay.rows[0]?.day ?? "", DAY);
    const all = await json<(Row & { account_id: string })[]>(await client.request("GET", "/accounts/usage"), 200);
    for (const row of [byDay.rows[0], byDay.total, all.find(({ account_id }) => account_id === client.accountId)]) {
      assert.ok(row);
      assert.ok((row.container_seconds ?? 0) >= 1, "its container runs");
      assert.deepEqual([tokens(row), tokens(row.reported), row.turns, row.model_calls], [sum, sum, 2, 2]);
      assert.ok(Math.abs(row.cost_usd - (first.usage.cost_usd + second.usage.cost_usd)) < 1e-6, "the price list is the SDK's");
    }
    const byModel = await report(client, "?group=model");
    assert.deepEqual(byModel.rows.map((row) => [row.model, row.turns]), [[first.model, 2]]);
    const byConversation = await report(client, "?group=conversation");
    assert.deepEqual(byConversation.rows.map((row) => [row.session_id, tokens(row), row.model_calls]), [
      ["a", tokens(first.usage), 1],
      ["b", tokens(second.usage), 1],
    ]);
    const page = await client.request("GET", "/usage?group=conversation&limit=1");
    assert.match(page.headers.get("link") ?? "", /cursor=a>; rel="next"/);
  });

  test("usage comes as CSV for whoever asks for it", async () => {
    const client = service.newClient();
    await client.query("[[say csv]]");
    const response = await client.request("GET", "/usage", { accept: "text/csv" });
    const lines = (await response.text()).split("\r\n");
    assert.deepEqual([response.headers.get("content-type"), lines.length], ["text/csv; charset=utf-8", 3]);
    assert.match(lines[1] ?? "", /^"\d{4}-\d{2}-\d{2}",1,1,\d+,/);
  });

  test("usage outlives the conversation", async () => {
    const client = service.newClient();
    await client.query("[[say gone]]", { session_id: "gone" });
    const before = await report(client);
    await json(await client.request("DELETE", "/conversations/gone"), 200);
    await json(await client.request("POST", "/purge"), 200);
    const after = await report(client);
    // The purge has stopped the container.
    assert.ok((after.total.stored_bytes ?? 0) > 0);
    assert.deepEqual([after.rows, after.total].flat().map(ofModel), [before.rows, before.total].flat().map(ofModel));
    assert.deepEqual((await report(client, "?group=conversation")).rows, []);
  });

  test("an agent that calls the model by itself pays for it", async () => {
    const client = service.newClient();
    const { response } = await client.query(bash(`${CALL}; ${CALL}`), { session_id: "own" });
    assert.equal(response.trim(), "200 200");
    const { total } = await report(client);
    assert.equal(total.model_calls, 4, "two of the CLI and two of the agent");
    assert.ok(total.input_tokens > total.reported.input_tokens);
  });

  test("an agent that goes on calling the model past the cap is stopped, and pays for the calls in flight", async () => {
    const client = service.newClient();
    await client.query("[[say warm]]", { session_id: "own" });
    const spent = (await report(client)).total;
    const limits = JSON.stringify({ limits: { tokens_per_day: tokens(spent).reduce((a, b) => a + b) + 1 } });
    const change = { method: "PATCH", headers: { "content-type": "application/json" }, body: limits };
    await json(await fetch(`${client.url}/accounts/${client.accountId}`, change), 200);
    // The CLI's first call takes the account over its limit, and it is the only one in flight.
    await problem(client.post(bash(`for n in $(seq 30); do ${CALL}; done`), { session_id: "own" }), 402, "budget_exhausted");
    assert.equal((await report(client)).total.model_calls, spent.model_calls + 1);
    await problem(client.post("[[say no]]", { session_id: "own" }), 402, "budget_exhausted");
  });

  test("an account that stores as much as it may admits no turn", async () => {
    const client = service.newClient();
    await json(await client.upload("full", "large.bin", new Uint8Array(3 * 1024 * 1024)), 200);
    const refused = await problem(client.post("[[say no]]"), 507, "storage_full");
    assert.deepEqual(Object.entries(refused).filter(([name]) => ["limit_name", "limit"].includes(name)), [["limit_name", "storage_bytes"], ["limit", 2_097_152]]);
  });

  test("queries above the rate are refused before the account is asked", async () => {
    const client = service.newClient();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.post("[[say fast]]", { session_id: "fast" }, { prefer: "respond-async" })));
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 6, `${refused.length}`);
    const [one] = refused;
    assert.ok(one);
    assert.equal(one.headers.get("retry-after"), "10");
    await problem(one, 429, "rate_limited");
    assert.equal((await client.request("GET", "/conversations")).status, 200, "reads are not counted");
    await client.cancel("fast");
  });
}
