/*
 * Cancelling: by request and by deleting the conversation; running, queued and in a tool.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { problem } from "../client.ts";
import type { Client } from "../client.ts";
import type { Service } from "../support.ts";

/** The contract: a cancelled turn has ended within two seconds. */
const CANCEL_MS = 2_000;

export function cancelling(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
    await client.query("[[say warm]]");
  });

  async function within<T>(ms: number, work: Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work;
    const took = performance.now() - start;
    assert.ok(took <= ms, `took ${Math.round(took)} ms`);
    return result;
  }

  for (const [when, directive] of [["before its first word", "hang"], ["midway", "hang-midway"]] as const) {
    test(`cancelling a turn ${when} ends it as cancelled`, async () => {
      const session_id = `cancel-${directive}`;
      const prompt = `[[${directive}]] [[words 9]] to cancel`;
      const answer = client.post(prompt, { session_id });
      await service.hanging(prompt);
      await within(CANCEL_MS, (async () => {
        assert.equal(await client.cancel(session_id), 1);
        await problem(answer, 409, "turn_cancelled");
      })());
    });

    test(`a conversation whose turn was cancelled ${when} stays usable`, async () => {
      const answer = await client.query("[[say still here]]", { session_id: `cancel-${directive}` });
      assert.equal(answer.response, "still here");
    });
  }

  test("cancelling a turn stops the model that is speaking", async () => {
    const prompt = "[[delay 100]] [[words 400]] to be stopped";
    const events = await client.stream(prompt, { session_id: "stopped" });
    await events.untilDeltas(2);
    await client.cancel("stopped");
    await service.model.control.waitFor((request) => request.user_texts.at(-1) === prompt && request.aborted, CANCEL_MS);
  });

  test("cancelling a turn in a tool ends the tool's process too", async () => {
    const session_id = "cancel-tool";
    const mark = `e2e-cancel-${process.pid}`;
    const events = await client.stream(`[[tool Bash {"command":"exec -a ${mark} tail -f /dev/null"}]]`, { session_id });
    await events.until((event) => event.event === "tool" && event.data["status"] === "started");
    await within(CANCEL_MS, client.cancel(session_id));
    assert.equal((await events.toEnd()).data["code"], "turn_cancelled");
    const { response } = await client.query(`[[tool Bash {"command":"ps -eo args | grep -c '^${mark}' || true"}]]`);
    assert.equal(response, "0");
  });

  test("a queued turn is cancelled without ever having run, and the running one of another conversation goes on", async () => {
    const prompt = "[[hang]] goes on";
    const running = await client.start(prompt);
    await service.hanging(prompt);
    const queued = await client.start("[[say never]] queued", { session_id: "queued" });
    assert.equal(await client.cancel("queued"), 1);
    const cancelled = await client.turn(queued.turn_id);
    assert.deepEqual([cancelled.status, cancelled.started_at], ["cancelled", null]);
    service.model.control.release();
    assert.equal((await client.ended(running)).status, "completed");
    assert.equal(service.asked("[[say never]] queued").length, 0);
  });

  test("after a cancelled turn the queue moves on", async () => {
    const prompt = "[[hang]] in the way";
    await client.start(prompt, { session_id: "in-the-way" });
    await service.hanging(prompt);
    const next = client.query("[[say my turn]]");
    await client.cancel("in-the-way");
    assert.equal((await next).response, "my turn");
  });

  test("cancelling where nothing runs cancels nothing", async () => {
    const { session_id } = await client.query("[[say finished]]");
    assert.equal(await client.cancel(session_id), 0);
  });

  test("deleting a conversation cancels its turn and leaves nothing", async () => {
    const prompt = "[[hang]] to delete";
    const answer = client.post(prompt, { session_id: "delete-me" });
    await service.hanging(prompt);
    await within(CANCEL_MS, (async () => {
      assert.equal((await client.request("DELETE", "/conversations/delete-me")).status, 200);
      await problem(answer, 409, "turn_cancelled");
    })());
    await problem(client.request("GET", "/conversations/delete-me"), 404, "not_found");
    assert.equal((await client.query("repeat everything I said", { session_id: "delete-me" })).response, "You said nothing before this.");
  });

  test("another account cannot cancel", async () => {
    const prompt = "[[hang]] not yours";
    const turn = await client.start(prompt, { session_id: "mine" });
    await service.hanging(prompt);
    const response = await service.newClient().request("POST", "/conversations/mine/cancel");
    await response.body?.cancel();
    assert.equal((await client.turn(turn.turn_id)).status, "running");
    service.model.control.release();
    assert.equal((await client.ended(turn)).status, "completed");
  });
}
