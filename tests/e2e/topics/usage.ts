/*
 * What an account has used: counted at the gateway, whoever in the container calls the model, and kept when conversations go.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { bash, json, problem } from "../client.ts";
import type { Client, Usage } from "../client.ts";
import type { Service } from "../support.ts";

type Row = Usage & { day?: string; model?: string; session_id?: string; turns: number; model_calls: number; reported: Usage; container_seconds?: number; stored_bytes?: number };
type Report = { from: string; to: string; group: string; rows: Row[]; total: Row };

const LOG_MS = 20_000;
/** From when a call has ended to when it is counted, and how often that is looked for: nothing tells of it. */
const COUNTED_MS = 20_000;
const LOOK_MS = 100;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** How an agent that looks for a way around calls the model by itself. */
const CALL = `curl -s -o /dev/null -w '%{http_code} ' -x $http_proxy -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
 -d '{"model":"claude-opus-5-5","max_tokens":10,"messages":[{"role":"user","content":"[[say mine]]"}]}' http://model.internal/v1/messages`;

/** A shell's call of a model, which names itself so that its row is found. */
const ask = (model: string, prompt: string, stream = "true"): string =>
  `curl -sN -x $http_proxy http://model.internal/v1/messages -H 'content-type: application/json' -d '{"model":"${model}","max_tokens":10,"stream":${stream},"messages":[{"role":"user","content":"${prompt}"}]}'`;

async function report(client: Client, parameters = ""): Promise<Report> {
  return json<Report>(await client.request("GET", `/usage${parameters}`), 200);
}

/** What the account has used of a model, when something is counted of it. */
async function rowOf(client: Client, model: string): Promise<Row> {
  for (const end = Date.now() + COUNTED_MS; ; await sleep(LOOK_MS)) {
    const row = (await report(client, "?group=model")).rows.find((found) => found.model === model);
    if (row !== undefined) return row;
    assert.ok(Date.now() < end, `nothing is counted of ${model}`);
  }
}

async function setLimits(client: Client, limits: object): Promise<void> {
  const change = { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ limits }) };
  await json(await fetch(`${client.url}/accounts/${client.accountId}`, change), 200);
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
    await setLimits(client, { tokens_per_day: tokens(spent).reduce((a, b) => a + b) + 1 });
    // The CLI's first call takes the account over its limit, and it is the only one in flight.
    await problem(client.post(bash(`for n in $(seq 30); do ${CALL}; done`), { session_id: "own" }), 402, "budget_exhausted");
    assert.equal((await report(client)).total.model_calls, spent.model_calls + 1);
    await problem(client.post("[[say no]]", { session_id: "own" }), 402, "budget_exhausted");
  });

  test("an answer counts as the model told it, however large it is", async () => {
    const client = service.newClient();
    const { response } = await client.query(bash(`${ask("claude-large", "[[letters 400000]]", "false")} | grep -o '"output_tokens":[0-9]*'`));
    const row = await rowOf(client, "claude-large");
    assert.equal(`"output_tokens":${row.output_tokens}`, response.trim());
    assert.ok(row.output_tokens > 50_000 && row.input_tokens > 0);
  });

  test("an answer that its caller leaves counts as the model told it, if the model is about to end", async () => {
    const client = service.newClient();
    await client.query(bash(`${ask("claude-left", "[[delay 50]] [[words 32]]")} | grep -m1 -o word4`));
    const told = await service.model.control.waitFor((request) => request.model === "claude-left" && request.state === "answered");
    assert.deepEqual(tokens(await rowOf(client, "claude-left")), tokens({ ...told.usage, cost_usd: 0 } as Usage));
  });

  test("an answer that its caller leaves long before its end stops the model, and counts what was said, a token for two bytes", async () => {
    const client = service.newClient();
    await client.query(bash(`${ask("claude-cut", "[[delay 700]] [[words 60]]")} | grep -m1 -o word4`));
    const told = await service.model.control.waitFor((request) => request.model === "claude-cut" && request.aborted);
    const { model_calls, input_tokens, output_tokens } = await rowOf(client, "claude-cut");
    assert.deepEqual([model_calls, input_tokens], [1, told.usage?.input_tokens]);
    // What was sent last may not have been read.
    const least = Math.ceil("word1 word2 word3 word4 ".length / 2);
    assert.ok(least <= output_tokens && output_tokens <= Math.ceil(told.said_bytes / 2), `${output_tokens}`);
    await service.stack.waitForLog((line) => line.includes('"model_usage_estimated"') && line.includes("claude-cut"), LOG_MS);
  });

  test("a caller that leaves before the answer begins pays for the call", async () => {
    const client = service.newClient();
    await client.query(bash(`${ask("claude-early", "[[hang]] [[words 32]]")} -m 1`));
    service.model.control.release();
    const told = await service.model.control.waitFor((request) => request.model === "claude-early" && request.usage !== null);
    const row = await rowOf(client, "claude-early");
    assert.deepEqual([row.model_calls, row.input_tokens], [1, told.usage?.input_tokens]);
  });

  test("an account that stores as much as it may takes no upload and no turn", async () => {
    const client = service.newClient();
    const limits = (refused: object): object[] => Object.entries(refused).filter(([name]) => ["limit_name", "limit"].includes(name));
    const most = 2_097_152;
    const tooLarge = await problem(client.upload("full", "large.bin", new Uint8Array(most)), 507, "storage_full");
    assert.deepEqual(limits(tooLarge), [["limit_name", "storage_bytes"], ["limit", most]]);
    await json(await client.upload("full", "half.bin", new Uint8Array(most / 2)), 200);
    await problem(client.upload("full", "other.bin", new Uint8Array(most / 2)), 507, "storage_full");
    await json(await client.request("GET", "/conversations/full/files"), 200);
    await setLimits(client, { storage_bytes: most / 2 });
    assert.deepEqual(limits(await problem(client.post("[[say no]]"), 507, "storage_full")), [["limit_name", "storage_bytes"], ["limit", most / 2]]);
  });

  test("calls of the model above the rate are refused before the account is asked, and the turn goes on", async () => {
    const client = service.newClient();
    // More than the rate allows in two periods, so that it is exceeded in one of them.
    const { response } = await client.query(bash(`for n in 1 2 3 4 5 6; do (for m in $(seq 20); do ${CALL}; done) & done; wait`));
    const statuses = response.trim().split(" ");
    assert.deepEqual([statuses.length, [...new Set(statuses)].sort()], [120, ["200", "429"]]);
    assert.equal((await report(client)).total.model_calls, 2 + statuses.filter((status) => status === "200").length);
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
