/*
 * A query whose conversation has a turn running: it waits, is taken in, interrupts, or is refused; and is answered once.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Answer, Client } from "../client.ts";
import type { Service } from "../support.ts";

type Steered = Answer & { steered_into?: string };

export function busy(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
    await client.query("[[say warm]]");
  });

  test("a query that steers is taken in by the running turn, whose answer is its own", async () => {
    const session_id = "steered";
    const first = "[[tool Bash {\"command\":\"sleep 2; echo first\"}]] [[say both heard]]";
    const running = await client.start(first, { session_id });
    const events = await client.events(session_id);
    await events.until((event) => event.event === "tool" && event.data["status"] === "started");
    const steering = "[[say both heard]] and this too";
    const answer = await json<Steered>(await client.post(steering, { session_id, when_busy: "steer" }), 200);
    assert.deepEqual([answer.response, answer.steered_into], ["both heard", running.turn_id]);
    assert.equal((await client.turn(running.turn_id)).response, "both heard");
    const heard = service.model.control.requests().filter((request) => request.user_texts.some((text) => text.includes(steering)));
    assert.ok(heard.length >= 1, "the model heard it");
    const { messages } = await client.conversation(session_id);
    assert.deepEqual(messages.map(({ role, content }) => `${role}: ${content}`), [`user: ${first}`, "assistant: both heard", `user: ${steering}`]);
    const said = await client.query("repeat everything I said", { session_id });
    assert.equal(said.response.split(steering).length - 1, 1, "it is in the history once");
  });

  test("a query that steers a turn which only writes text runs next by itself", async () => {
    const session_id = "not-steered";
    const prompt = "[[hang-midway]] [[words 9]] writes";
    const running = await client.start(prompt, { session_id });
    await service.hanging(prompt);
    const answer = client.post("[[say next]]", { session_id, when_busy: "steer" });
    await client.queued(session_id, 2);
    service.model.control.release();
    const steered = await json<Steered>(await answer, 200);
    assert.deepEqual([steered.response, steered.steered_into], ["next", undefined]);
    assert.equal((await client.turn(running.turn_id)).status, "completed");
  });

  test("a query that interrupts ends the running turn and runs before what waits", async () => {
    const session_id = "interrupted";
    const prompt = "[[hang]] to be interrupted";
    const running = await client.start(prompt, { session_id });
    await service.hanging(prompt);
    const waiting = await client.start("[[say waited]]", { session_id });
    const answer = await client.query("repeat everything I said", { session_id, when_busy: "interrupt" });
    assert.equal(answer.response, prompt, "the history has what was interrupted");
    assert.equal((await client.turn(running.turn_id)).error?.code, "turn_cancelled");
    const waited = await client.ended(waiting);
    assert.ok((waited.started_at ?? 0) >= (await client.turn(answer.turn_id)).finished_at!, "it ran behind the interruption");
  });

  test("a query that does not wait is refused while a turn runs, and taken afterwards", async () => {
    const session_id = "rejected";
    const prompt = "[[hang]] [[say done]] keeps it busy";
    const running = await client.start(prompt, { session_id });
    await service.hanging(prompt);
    await problem(client.post("[[say no]]", { session_id, when_busy: "reject" }), 409, "conversation_busy");
    service.model.control.release();
    await client.ended(running);
    assert.equal((await client.query("[[say yes]]", { session_id, when_busy: "reject" })).response, "yes");
    assert.equal((await client.conversation(session_id)).messages.length, 4);
  });

  test("a query that steers twice under one key is answered once", async () => {
    const session_id = "steered-once";
    const first = "[[tool Bash {\"command\":\"sleep 2\"}]] [[say once]]";
    const running = await client.start(first, { session_id });
    const events = await client.events(session_id);
    await events.until((event) => event.event === "tool" && event.data["status"] === "started");
    const send = (): Promise<Response> => client.post("[[say once]] again", { session_id, when_busy: "steer" }, { "idempotency-key": "steer-1" });
    const [one, two] = await Promise.all((await Promise.all([send(), send()])).map((response) => json<Steered>(response, 200)));
    assert.deepEqual([one?.turn_id, one?.steered_into], [two?.turn_id, running.turn_id]);
    assert.equal(two?.steered_into, running.turn_id);
  });
}
