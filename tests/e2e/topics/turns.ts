/*
 * Turns as things of their own: asked for asynchronously, asked for twice, left by their client, timed.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, link, problem } from "../client.ts";
import type { Client, Turn } from "../client.ts";
import type { Service } from "../support.ts";

/** A row written costs a thousand that are read. */
const MAX_ROWS_A_TURN = 11;

export function turns(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
    await client.query("[[say warm]]", { session_id: "warm" });
  });

  test("an asynchronous turn is answered at once with where to look", async () => {
    const prompt = "[[hang]] async [[say done]]";
    const response = await client.post(prompt, {}, { prefer: "respond-async" });
    const turn = await json<{ turn_id: string; session_id: string; status: string }>(response, 202);
    assert.equal(response.headers.get("preference-applied"), "respond-async");
    assert.equal(new URL(response.headers.get("location") ?? "", service.url).pathname, `/turns/${turn.turn_id}`);
    assert.match(turn.status, /^(queued|running)$/);
    await service.hanging(prompt);
    service.model.control.release();
    await client.ended(turn);
  });

  test("a turn can be read while it runs and after its end", async () => {
    const prompt = "[[hang]] read [[say the answer]]";
    const turn = await client.start(prompt);
    await service.hanging(prompt);
    const running = await client.turn(turn.turn_id);
    assert.equal(running.status, "running");
    assert.ok(running.started_at !== null && running.started_at >= running.created_at);
    assert.equal(running.response, undefined);
    service.model.control.release();
    const ended = await client.ended(turn);
    assert.deepEqual([ended.status, ended.response, ended.session_id], ["completed", "the answer", turn.session_id]);
    assert.ok(ended.finished_at !== null && ended.finished_at >= (ended.started_at ?? Infinity));
    assert.ok((ended.usage?.output_tokens ?? 0) > 0);
  });

  test("a failed turn says why when it is read", async () => {
    const ended = await client.ended(await client.start("[[fail 400]] read later"));
    assert.deepEqual([ended.status, ended.error?.code], ["failed", "model_failed"]);
  });

  test("another account's turn is not found", async () => {
    const { turn_id } = await client.query("[[say private]]");
    await problem(service.newClient().request("GET", `/turns/${turn_id}`), 404, "not_found");
  });

  test("a query sent again with its idempotency key is the same turn", async () => {
    const prompt = "[[say once]] twice";
    const headers = { "idempotency-key": "twice" };
    const first = await client.query(prompt, {}, headers);
    const response = await client.post(prompt, {}, headers);
    assert.equal(response.headers.get("idempotent-replayed"), "true");
    assert.deepEqual(await json(response, 200), first);
    assert.equal(service.asked(prompt).length, 1);
    assert.equal((await client.conversation(first.session_id)).messages.length, 2);
  });

  test("a query sent again while it still runs waits for the same turn", async () => {
    const prompt = "[[hang]] [[say both]] at once";
    const headers = { "idempotency-key": "at-once" };
    const both = [client.post(prompt, {}, headers), client.post(prompt, {}, headers)];
    await service.hanging(prompt);
    service.model.control.release();
    const answers = await Promise.all(both.map(async (response) => json<{ turn_id: string }>(await response, 200)));
    assert.equal(answers[0]?.turn_id, answers[1]?.turn_id);
    assert.equal(service.asked(prompt).length, 1);
  });

  test("an idempotency key with another request is refused", async () => {
    const headers = { "idempotency-key": "reused" };
    await client.query("[[say a]]", {}, headers);
    await problem(client.post("[[say b]]", {}, headers), 422, "idempotency_key_reused");
  });

  test("an idempotency key belongs to its account alone", async () => {
    const other = service.newClient();
    const prompt = "[[say mine]] key";
    const headers = { "idempotency-key": "common" };
    const [mine, others] = [await client.query(prompt, {}, headers), await other.query(prompt, {}, headers)];
    assert.notEqual(mine.turn_id, others.turn_id);
  });

  test("an idempotency key that is too long is a bad parameter", async () => {
    await problem(client.post("hello", {}, { "idempotency-key": "k".repeat(129) }), 400, "invalid_parameter");
  });

  test("an answer says where its time went", async () => {
    const response = await client.post("What is 2+2?", { session_id: "warm" });
    const timing = Object.fromEntries(
      [...(response.headers.get("server-timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]),
    );
    assert.deepEqual(Object.keys(timing).sort(), ["agent", "queue", "total"]);
    assert.ok((timing["total"] ?? 0) >= (timing["agent"] ?? Infinity) && (timing["agent"] ?? 0) > 0);
    await response.body?.cancel();
  });

  for (const [how, stream] of [["a JSON answer", false], ["a stream", true]] as const) {
    test(`a turn outlives the client that waits for ${how}`, async () => {
      const prompt = `[[hang-midway]] [[words 9]] left with ${how}`;
      const sessionId = `left-${stream}`;
      const leave = new AbortController();
      const left = client.post(prompt, { session_id: sessionId, stream }, {}, leave.signal).catch(() => undefined);
      await service.hanging(prompt);
      leave.abort();
      await left;
      service.model.control.release();
      await (await client.events(sessionId)).toEnd();
      assert.deepEqual(await client.said(sessionId), [
        `user: ${prompt}`,
        "assistant: word1 word2 word3 word4 word5 word6 word7 word8 word9",
      ]);
    });
  }

  test("the end of a turn is one line of JSON in the log, with ids and times and no content", async () => {
    const response = await client.post("[[say secret-mark]]", { session_id: "warm" });
    const { turn_id, session_id } = await json<{ turn_id: string; session_id: string }>(response, 200);
    const isTurn = (line: string): boolean => line.includes(turn_id) && line.includes('"turn_ended"');
    const line = await service.stack.waitForLog(isTurn, 5_000);
    assert.equal(service.stack.logs.filter(isTurn).length, 1);
    const fields = JSON.parse(line.slice(line.indexOf("{"))) as Record<string, unknown>;
    assert.deepEqual(
      [fields["session_id"], fields["request_id"], fields["status"], fields["code"] ?? null, fields["warm"]],
      [session_id, response.headers.get("x-request-id"), "completed", null, true],
    );
    for (const name of ["queue_ms", "agent_ms", "total_ms", "input_tokens", "output_tokens"]) assert.equal(typeof fields[name], "number", name);
    assert.ok(!line.includes("secret-mark") && !line.includes(client.accountId), line);
  });

  test("a conversation's turns are listed newest first, a page at a time", async () => {
    const reader = service.newClient();
    const asked: string[] = [];
    for (const answer of ["one", "two", "three"]) asked.unshift((await reader.query(`[[say ${answer}]]`, { session_id: "listed" })).turn_id);
    const first = await reader.request("GET", "/conversations/listed/turns?limit=2");
    const page = await json<Turn[]>(first, 200);
    assert.deepEqual(page.map((turn) => [turn.turn_id, turn.status, turn.response]), [
      [asked[0], "completed", "three"],
      [asked[1], "completed", "two"],
    ]);
    const next = link(first, "next");
    assert.ok(next);
    const last = await reader.request("GET", next);
    assert.deepEqual((await json<Turn[]>(last, 200)).map((turn) => turn.turn_id), [asked[2]]);
    assert.equal(link(last, "next"), undefined);
    await problem(reader.request("GET", "/conversations/listed/turns?limit=0"), 400, "invalid_parameter");
    await problem(reader.request("GET", "/conversations/listed/turns?before=turn_1"), 400, "invalid_parameter");
    await problem(reader.request("GET", `/conversations/listed/turns?before=turn_${"0".repeat(32)}`), 404, "not_found");
    await problem(reader.request("GET", "/conversations/nowhere/turns"), 404, "not_found");
  });

  test("a turn writes at most eleven rows, those of indexes included", async () => {
    const session_id = "rows-counted";
    const writer = service.newClient();
    const written: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const { turn_id } = await writer.query("[[say ok]]", { session_id });
      const line = await service.stack.waitForLog((line) => line.includes(turn_id) && line.includes('"turn_ended"'), 5_000);
      written.push((JSON.parse(line.slice(line.indexOf("{"))) as { rows_written: number }).rows_written);
    }
    // The first turn makes the account and the conversation as well.
    for (const [n, now] of written.entries()) {
      if (n >= 2) assert.ok(now - (written[n - 1] ?? 0) <= MAX_ROWS_A_TURN, written.join(", "));
    }
    assert.ok((written[3] ?? 0) > (written[2] ?? 0), "rows are counted");
  });
}
