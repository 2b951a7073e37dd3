/*
 * One account's turns run one after the other, first come first served; accounts run side by side; reads never wait.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { problem } from "../client.ts";
import type { Client, Turn } from "../client.ts";
import type { Service } from "../support.ts";

const MAX_QUEUED_TURNS = 32;

export function queue(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  test("an account's turns run one at a time in the order in which they came", async () => {
    const prompts = ["[[hang]] one", "[[say 2]] two", "[[say 3]] three"];
    const started: Turn[] = [];
    for (const prompt of prompts) started.push(await client.start(prompt));
    await service.hanging("[[hang]] one");
    assert.deepEqual(prompts.map((prompt) => service.asked(prompt).length), [1, 0, 0]);
    service.model.control.release();
    const ended = [];
    for (const turn of started) ended.push(await client.ended(turn));
    assert.deepEqual(ended.map((turn) => turn.status), ["completed", "completed", "completed"]);
    for (const [index, turn] of ended.entries()) {
      assert.ok((turn.started_at ?? 0) >= (ended[index - 1]?.finished_at ?? 0), `turn ${index} started before the one before it ended`);
    }
  });

  test("turns of one conversation are answered in order, each knowing those before", async () => {
    const session_id = "in-order";
    await client.start("[[hang]] first", { session_id });
    await service.hanging("[[hang]] first");
    await client.start("[[say b]] second", { session_id });
    const third = client.query("repeat everything I said", { session_id });
    service.model.control.release();
    assert.equal((await third).response, "[[hang]] first\n[[say b]] second");
  });

  test("accounts run side by side", async () => {
    const clients = [client, service.newClient()];
    const prompts = ["[[hang]] left", "[[hang]] right"];
    const turns = await Promise.all(clients.map((each, index) => each.start(prompts[index] ?? "")));
    await Promise.all(prompts.map((prompt) => service.hanging(prompt)));
    service.model.control.release();
    for (const [index, turn] of turns.entries()) assert.equal((await clients[index]?.ended(turn))?.status, "completed");
  });

  test("reads do not wait for a turn", async () => {
    const prompt = "[[hang]] while reading";
    const turn = await client.start(prompt, { session_id: "read-me" });
    await service.hanging(prompt);
    assert.deepEqual(await client.said("read-me"), [`user: ${prompt}`]);
    assert.equal((await client.request("GET", "/conversations")).status, 200);
    assert.equal((await client.turn(turn.turn_id)).status, "running");
    service.model.control.release();
    await client.ended(turn);
  });

  test("a streamed turn says that it waits, and how long the queue is, and then that it runs", async () => {
    const prompt = "[[hang]] in front";
    const front = await client.start(prompt);
    await service.hanging(prompt);
    const events = await client.stream("[[say behind]]");
    const waiting = await events.until((event) => event.event === "turn");
    assert.deepEqual([waiting?.data["status"], waiting?.data["position"]], ["queued", 1]);
    service.model.control.release();
    await events.toEnd();
    const told = events.events.filter((event) => event.event === "turn").map((event) => event.data["status"]);
    assert.deepEqual(told, ["queued", "running"]);
    await client.ended(front);
  });

  test("a full queue refuses one more turn, and takes turns again when it is empty", async () => {
    const session_id = "crowd";
    const prompt = "[[hang]] crowd";
    const first = await client.start(prompt, { session_id });
    await service.hanging(prompt);
    for (let n = 0; n < MAX_QUEUED_TURNS; n += 1) await client.start("[[say waited]]", { session_id });
    const refused = await client.post("[[say one too many]]", { session_id });
    assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
    await problem(refused, 429, "queue_full");
    assert.equal(await client.cancel(session_id), MAX_QUEUED_TURNS + 1);
    assert.equal((await client.ended(first)).status, "cancelled");
    assert.equal((await client.query("[[say free]]", { session_id })).response, "free");
    const said = (await client.said(session_id)).filter((line) => line.includes("one too many"));
    assert.deepEqual(said, [], "a refused prompt is not stored");
  });
}
