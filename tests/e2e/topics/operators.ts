/*
 * Operators run accounts: they list, look at, limit, suspend and erase them.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { bash, json, link, problem } from "../client.ts";
import type { Client } from "../client.ts";
import { assertDescribed } from "../contract.ts";
import type { Service } from "../support.ts";

type Listed = { account_id: string; status: string; created_at: number | null; last_active_at: number | null };
type Account = { account_id: string; status: string; conversations: number; turns_open: number; container: string; limits: Record<string, number | null>; usage: { today: { cost_usd: number } } };
type Erasure = { status: string; erased_at: number | null; counts: { conversations: number; turns: number } | null };

/** What nobody says by chance. */
const CANARY = "canary-4be17c02d9";
const LOOK_MS = 250;
const ERASED_MS = 60_000;

async function patch(client: Client, change: unknown): Promise<Response> {
  const response = await fetch(`${client.url}/accounts/${client.accountId}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(change) });
  await assertDescribed("PATCH", response);
  return response;
}

/** Every page of the list. */
async function all(client: Client, parameters = "limit=1"): Promise<Listed[]> {
  const accounts: Listed[] = [];
  let path: string | undefined = `/accounts?${parameters}`;
  while (path !== undefined) {
    const response: Response = await client.request("GET", path);
    accounts.push(...(await json<Listed[]>(response, 200)));
    path = link(response, "next");
  }
  return accounts;
}

/** The receipt of an erasure that has ended. */
async function erased(client: Client, path: string): Promise<Erasure> {
  const { erasure_id } = await json<{ erasure_id: string }>(await client.request("DELETE", path), 202);
  for (const end = Date.now() + ERASED_MS; Date.now() < end; await setTimeout(LOOK_MS)) {
    const erasure = await json<Erasure>(await client.request("GET", `/erasures/${erasure_id}`), 200);
    if (erasure.status === "done") return erasure;
  }
  return assert.fail(`${erasure_id} has not ended`);
}

/** The files of the product below a directory that hold a text; what wrangler keeps of traces is its own. What is deleted meanwhile holds nothing. */
async function holding(directory: string, text: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = entries.map(async (entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name === "observability" ? [] : holding(path, text);
    return entry.isFile() && (await readFile(path, "latin1").catch(() => "")).includes(text) ? [path] : [];
  });
  return (await Promise.all(found)).flat();
}

export function operators(service: Service): void {
  test("accounts are listed once each, page by page, and filtered", async () => {
    const [first, second] = [service.newClient(), service.newClient()];
    for (const client of [first, second]) await client.query("[[say here]]");
    const seen = await all(first);
    const ids = seen.map(({ account_id }) => account_id);
    assert.equal(new Set(ids).size, ids.length);
    for (const { accountId } of [first, second]) {
      const one = seen.find(({ account_id }) => account_id === accountId);
      assert.ok(one?.last_active_at != null && one.created_at != null && one.status === "active", JSON.stringify(one));
    }
    await json(await patch(second, { status: "suspended" }), 200);
    assert.deepEqual((await all(first, "status=suspended")).map(({ account_id }) => account_id), [second.accountId]);
    assert.deepEqual(await all(first, `active_since=${Date.now() + 86_400_000}`), []);
  });

  test("an account is told as a whole, and limits that are set for it hold", async () => {
    const client = service.newClient();
    await client.query("[[say seen]]", { session_id: "s" });
    const before = await json<Account>(await client.request("GET", `/accounts/${client.accountId}`), 200);
    assert.deepEqual([before.conversations, before.turns_open, before.container, before.status], [1, 0, "running", "active"]);
    assert.ok(before.usage.today.cost_usd > 0);
    const after = await json<Account>(await patch(client, { limits: { usd_per_day: 0.000001 } }), 200);
    assert.equal(after.limits["usd_per_day"], 0.000001);
    const response = await client.post("[[say no]]");
    const refused = await problem(response, 402, "budget_exhausted");
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    const fields = Object.entries(refused).filter(([name]) => ["limit_name", "limit"].includes(name));
    assert.deepEqual(fields, [["limit_name", "usd_per_day"], ["limit", 0.000001]]);
    const back = await json<Account & { set_limits: object }>(await patch(client, { limits: { usd_per_day: "default", turns_per_day: 40 } }), 200);
    assert.deepEqual([back.limits["usd_per_day"], back.set_limits], [null, { turns_per_day: 40 }]);
    assert.equal((await client.query("[[say again]]")).response, "again");
  });

  test("a suspended account may be read and nothing else, until it is active again", async () => {
    const client = service.newClient();
    await client.query("[[say kept]]", { session_id: "s" });
    await json(await patch(client, { status: "suspended", reason: "The invoice is open." }), 200);
    const { detail } = await problem(client.post("[[say no]]"), 403, "account_suspended");
    assert.equal(detail, "The invoice is open.");
    await problem(client.request("DELETE", "/conversations/s"), 403, "account_suspended");
    assert.deepEqual(await client.said("s"), ["user: [[say kept]]", "assistant: kept"]);
    await json(await patch(client, { status: "active" }), 200);
    assert.equal((await client.query("[[say back]]", { session_id: "s" })).response, "back");
  });

  test("an erased account is nowhere any more, on no disk and in no log", async () => {
    const client = service.newClient();
    // The name of a file that is asked for is in the URL, which wrangler logs: this one's is not the canary.
    await client.uploaded("secret", "plain.txt", CANARY);
    await client.query(bash(`echo ${CANARY} > ${CANARY}.txt; echo ${CANARY}`), { session_id: "secret" });
    const { state } = service.stack;
    assert.ok(state !== undefined);
    // Beside the databases and the bucket, the containers are there.
    const disk = dirname(state);
    const before = await holding(disk, CANARY);
    for (const part of [/\/do\//, /\/r2\//, /\/containers-/]) assert.ok(before.some((path) => part.test(path)), `${part}: ${before.join(" ")}`);
    const receipt = await erased(client, `/accounts/${client.accountId}`);
    assert.deepEqual([receipt.status, receipt.counts?.conversations, receipt.counts?.turns], ["done", 1, 1]);
    // The container's disk goes when its processes have ended.
    for (const end = Date.now() + ERASED_MS; Date.now() < end && (await holding(disk, CANARY)).length > 0; ) await setTimeout(LOOK_MS);
    assert.deepEqual(await holding(disk, CANARY), []);
    assert.ok(!service.stack.logs.some((line) => line.includes(CANARY)));
    assert.ok(!(await all(client, "limit=100")).some(({ account_id }) => account_id === client.accountId));
    assert.deepEqual(await json(await client.request("GET", "/conversations"), 200), []);
    assert.equal((await client.query("[[say new]]")).response, "new");
  });

  test("an account moves: its export is imported into another, which reads the same and goes on", async () => {
    const [from, to] = [service.newClient(), service.newClient()];
    await from.query("[[say one]]", { session_id: "moved" });
    await from.query(bash("seq 100000"), { session_id: "moved" });
    await from.query(bash("seq 1000 > out.txt"), { session_id: "moved" });
    const data = new Uint8Array(300_000).map((_, n) => (n * 7) % 251);
    await from.uploaded("moved", "in/data é.bin", data);
    await from.query("[[say other]]", { session_id: "other" });
    const response = await from.request("GET", "/export?files=inline");
    assert.deepEqual([response.status, response.headers.get("content-type")], [200, "application/x-ndjson"]);
    const lines = await response.text();
    assert.ok(lines.endsWith('{"type":"done"}\n'));
    const send = (body: string): Promise<Response> => fetch(`${to.url}/import?accountId=${to.accountId}`, { method: "POST", body });
    await problem(send(lines.replace('"type":"turn"', '"type":"message"')), 400, "invalid_parameter");
    assert.deepEqual(await json(await to.request("GET", "/conversations"), 200), []);
    assert.deepEqual(await json(await send(lines), 200), { conversations: 2 });
    const { detail } = await problem(send(lines), 409, "conversation_exists");
    assert.ok(detail.endsWith(": moved other"), detail);
    const reads = ["/conversations/moved?include=items", "/conversations/moved/turns", "/conversations/other", "/conversations/moved/context", "/usage?group=model"];
    for (const path of [...reads, "/conversations/moved/files", "/conversations/moved/files/out.txt", "/conversations/moved/files/in/data%20%C3%A9.bin"]) {
      const [before, after] = await Promise.all([from, to].map(async (client) => (await client.request("GET", path)).text()));
      // The container of the original runs on.
      const told = [before, after].map((text) => text?.replaceAll(to.accountId, from.accountId).replace(/"container_seconds":\d+/, ""));
      assert.equal(told[1], told[0], path);
    }
    const { response: files } = await to.query(bash("wc -c out.txt in/*"), { session_id: "moved" });
    assert.match(files, /3893 out\.txt\n *300000 in\/data é\.bin/);
    const { response: history } = await to.query("repeat everything I said", { session_id: "moved" });
    assert.ok(["[[say one]]", "seq 100000"].every((words) => history.includes(words)), `the model has the history: ${history}`);
  });

  test("an export that is split as the documents say is imported in parts", async () => {
    const [from, to] = [service.newClient(), service.newClient()];
    for (const session_id of ["one", "two", "three"]) await from.query(bash("head -c 60000 /dev/urandom | base64 > data.txt"), { session_id });
    const lines = await (await from.request("GET", "/export?files=inline")).text();
    const document = await readFile(new URL("../../../docs/api.md", import.meta.url), "utf8");
    const command = document.split("\n").find((line) => line.startsWith("LC_ALL=C awk ")) ?? assert.fail("docs/api.md splits no export");
    const folder = await mkdtemp(join(tmpdir(), "parts-"));
    try {
      await writeFile(join(folder, "acme.ndjson"), lines);
      await promisify(execFile)("sh", ["-c", command.replace("most=70000000", "most=30000")], { cwd: folder });
      const parts = (await readdir(folder)).filter((name) => name.startsWith("part-")).sort();
      assert.ok(parts.length >= 3, `${parts.length} parts`);
      for (const part of parts) {
        const body = await readFile(join(folder, part), "utf8");
        assert.equal((await fetch(`${to.url}/import?accountId=${to.accountId}&resume=true`, { method: "POST", body })).status, 200, part);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
    for (const session_id of ["one", "two", "three"]) assert.deepEqual(await to.bytes(session_id, "data.txt"), await from.bytes(session_id, "data.txt"), session_id);
  });

  test("a trace is given to what the agent runs, told in the log and returned, turn by turn in one process", async () => {
    const client = service.newClient();
    const trace = (digit: string): string => `00-${digit.repeat(32)}-00f067aa0ba902b7-01`;
    const ask = async (headers: Record<string, string>): Promise<{ said: string; returned: string | null }> => {
      const body = JSON.stringify({ query: bash("echo trace=$TRACEPARENT."), session_id: "traced", accountId: client.accountId });
      const response = await fetch(`${client.url}/query`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
      const { response: said } = await json<{ response: string }>(response, 200);
      return { said, returned: response.headers.get("traceparent") };
    };
    for (const traceparent of [trace("a"), trace("b")]) {
      const { said, returned } = await ask({ traceparent });
      assert.ok(said.includes(`trace=${traceparent}.`), said);
      assert.equal(returned, traceparent);
    }
    for (const headers of [{}, { traceparent: trace("A") }] as Record<string, string>[]) {
      const { said, returned } = await ask(headers);
      assert.ok(said.includes("trace=."), said);
      assert.equal(returned, null);
    }
    const ids = service.stack.logs.flatMap((line) => /"event":"turn_ended".*"trace_id":"([0-9a-f]+)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(ids, ["a".repeat(32), "b".repeat(32)]);
  });

  test("operators see what all accounts are at", async () => {
    const client = service.newClient();
    await client.query("[[say seen]]");
    const fleet = async () => json<{ accounts: { reporting: number }; last_hour: { turns: number }; versions: object }>(await client.request("GET", "/fleet"), 200);
    for (const end = Date.now() + ERASED_MS; Date.now() < end && (await fleet()).accounts.reporting === 0; ) await setTimeout(LOOK_MS);
    const { accounts, last_hour, versions } = await fleet();
    assert.ok(accounts.reporting >= 1 && last_hour.turns >= 1, JSON.stringify({ accounts, last_hour }));
    assert.deepEqual(Object.keys(versions), ["0.1.0"]);
    const known = (await all(client, "limit=100")).find(({ account_id }) => account_id === client.accountId) as { container?: string } | undefined;
    assert.equal(known?.container, "running");
  });

  test("an account erases itself, and keeps what it has used", async () => {
    const client = service.newClient();
    await client.query("[[say mine]]");
    await erased(client, "/account");
    assert.deepEqual(await json(await client.request("GET", "/conversations"), 200), []);
    const { total } = await json<{ total: { model_calls: number } }>(await client.request("GET", "/usage"), 200);
    assert.equal(total.model_calls, 1);
    await problem(fetch(`${client.url}/account`, { method: "DELETE" }), 400, "invalid_account");
  });
}
