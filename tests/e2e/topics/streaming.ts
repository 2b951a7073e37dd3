/*
 * Answers as server-sent events, and coming back to them with Last-Event-ID.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { problem } from "../client.ts";
import type { Client } from "../client.ts";
import type { Service } from "../support.ts";

const SLOW = "[[delay 60]] [[words 60]]";
const WORDS_OF_SLOW = Array.from({ length: 60 }, (_, index) => `word${index + 1}`).join(" ");

export function streaming(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
    await client.query("[[say warm]]");
  });

  test("a stream tells of the turn, its pieces, its text blocks and its end, in this order", async () => {
    const events = await client.stream("[[words 12]]");
    await events.toEnd();
    const names = events.names();
    assert.equal(names[0], "turn");
    assert.deepEqual(names.filter((name) => name !== "turn" && name !== "delta"), ["message", "done"]);
    assert.ok(names.lastIndexOf("turn") < names.indexOf("delta"));
    assert.ok(names.lastIndexOf("delta") < names.indexOf("message"));
    assert.equal(events.events.findLast((event) => event.event === "turn")?.data["status"], "running");
  });

  test("the deltas joined, the message and the end's response are the same text", async () => {
    const events = await client.stream("[[words 200]]");
    const done = await events.toEnd();
    const message = events.events.find((event) => event.event === "message");
    assert.equal(events.text(), done.data["response"]);
    assert.deepEqual(message?.data, { role: "assistant", content: done.data["response"] });
  });

  test("the end carries the same fields as a JSON answer", async () => {
    const answer = await client.query("What is 2+2?");
    const done = await (await client.stream("What is 2+2?")).toEnd();
    assert.deepEqual(Object.keys(done.data).sort(), Object.keys(answer).sort());
    assert.equal(done.data["response"], answer.response);
  });

  test("event ids are the turn's id with a number, which grows with every event that tells something new", async () => {
    const events = await client.stream("[[words 40]]");
    const done = await events.toEnd();
    for (const { id } of events.events) assert.ok(id.startsWith(`${String(done.data["turn_id"])}:`), id);
    const numbers = events.events.filter((event) => event.event !== "turn").map(({ id }) => Number(id.split(":").at(-1)));
    assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
  });

  test("the Accept header asks for a stream as stream: true does", async () => {
    const response = await client.post("What is 2+2?", {}, { accept: "text/event-stream" });
    assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
    assert.match(await response.text(), /^event: done$/m);
  });

  test("a tool call is told when it starts and when it ends", async () => {
    const events = await client.stream('[[tool Bash {"command":"echo hi"}]]');
    await events.toEnd();
    const tools = events.events.filter((event) => event.event === "tool").map(({ data }) => data);
    assert.deepEqual(tools.map((tool) => [tool["name"], tool["status"]]), [["Bash", "started"], ["Bash", "finished"]]);
    assert.equal(tools[0]?.["id"], tools[1]?.["id"]);
    assert.ok(tools.some((tool) => JSON.stringify(tool["input"] ?? "").includes("echo hi")));
  });

  test("a tool call that fails is told as failed", async () => {
    const events = await client.stream('[[tool Read {"file_path":"/nowhere/at/all"}]]');
    await events.toEnd();
    assert.deepEqual(events.events.filter((event) => event.event === "tool").at(-1)?.data["status"], "failed");
  });

  test("a turn that fails ends its stream with the problem document", async () => {
    const events = await client.stream("[[fail 400]] streamed");
    const last = await events.toEnd();
    assert.equal(last.event, "error");
    assert.deepEqual(Object.keys(last.data).sort(), ["code", "detail", "error", "request_id", "status", "title", "type"]);
    assert.deepEqual([last.data["code"], last.data["status"]], ["model_failed", 502]);
  });

  test("a refusal before the turn is a problem document, not a stream", async () => {
    await problem(client.post(" ", { stream: true }), 400, "no_prompt");
  });

  test("the first piece arrives while the model still speaks", async () => {
    const prompt = "[[hang-midway]] [[words 9]] early";
    const events = await client.stream(prompt);
    await events.untilDeltas(1);
    assert.equal((await service.hanging(prompt)).state, "hanging");
    assert.equal(events.text().trim(), "word1 word2 word3 word4");
    service.model.control.release();
    assert.equal((await events.toEnd()).event, "done");
  });

  test("a client that comes back with Last-Event-ID misses nothing and gets nothing twice", async () => {
    const first = await client.stream(SLOW);
    await first.untilDeltas(3);
    first.kill();
    const sessionId = String(first.events[0]?.data["session_id"]);
    const second = await client.events(sessionId, first.lastEventId());
    await second.untilDeltas(2);
    second.kill();
    const third = await client.events(sessionId, second.lastEventId());
    assert.equal((await third.toEnd()).data["response"], WORDS_OF_SLOW);
    assert.equal(first.text() + second.text() + third.text(), WORDS_OF_SLOW);
  });

  test("a client that is cut again before anything new came still gets nothing twice", async () => {
    const first = await client.stream(SLOW);
    await first.untilDeltas(3);
    first.kill();
    const sessionId = String(first.events[0]?.data["session_id"]);
    const second = await client.events(sessionId, first.lastEventId());
    await second.until((event) => event.event === "turn");
    second.kill();
    // What an EventSource sends: the id of the last event that it saw.
    const third = await client.events(sessionId, second.lastEventId());
    await third.toEnd();
    assert.equal(first.text() + second.text() + third.text(), WORDS_OF_SLOW);
  });

  test("a client that comes without Last-Event-ID while the turn runs gets it from its start", async () => {
    const first = await client.stream(SLOW);
    await first.untilDeltas(3);
    const second = await client.events(String(first.events[0]?.data["session_id"]));
    await Promise.all([first.toEnd(), second.toEnd()]);
    assert.equal(second.text(), WORDS_OF_SLOW);
  });

  test("a client that comes back after the end gets the stored message and the end", async () => {
    const first = await client.stream("[[words 20]]");
    await first.untilDeltas(1);
    const id = first.events.find((event) => event.event === "delta")?.id ?? "";
    const done = await first.toEnd();
    const again = await client.events(String(done.data["session_id"]), id);
    assert.deepEqual((await again.toEnd()).data, done.data);
    assert.deepEqual(again.names(), ["turn", "message", "done"]);
  });

  test("an event has the same id live and when it is told again after the end", async () => {
    const first = await client.stream("[[words 20]]");
    const done = await first.toEnd();
    const again = await client.events(String(done.data["session_id"]));
    await again.toEnd();
    const ids = (events: typeof first): string[] => ["message", "done"].map((name) => events.events.find(({ event }) => event === name)?.id ?? name);
    assert.deepEqual(ids(again), ids(first));
  });

  test("a client that has heard the message hears only the end, and one that has heard the end nothing: 204, which an EventSource leaves at", async () => {
    const first = await client.stream("[[words 20]]");
    const done = await first.toEnd();
    const sessionId = String(done.data["session_id"]);
    const again = await client.events(sessionId, first.events.find(({ event }) => event === "message")?.id);
    await again.toEnd();
    assert.deepEqual(again.names(), ["turn", "done"]);
    for (const id of [done.id, again.lastEventId()]) {
      const response = await client.request("GET", `/conversations/${sessionId}/events`, { "last-event-id": id ?? "" });
      assert.deepEqual([response.status, response.headers.get("content-type"), await response.text()], [204, null, ""]);
      assert.match(response.headers.get("x-request-id") ?? "", /^req_/);
    }
  });

  test("several listeners of one turn hear the same", async () => {
    const first = await client.stream(SLOW);
    await first.untilDeltas(1);
    const sessionId = String(first.events[0]?.data["session_id"]);
    const others = await Promise.all([1, 2, 3].map(() => client.events(sessionId)));
    const ends = await Promise.all([first, ...others].map((stream) => stream.toEnd()));
    assert.deepEqual(new Set(ends.map((end) => end.data["response"])), new Set([WORDS_OF_SLOW]));
  });

  test("a listener that does not read does not hold the turn up", async () => {
    const deaf = await client.stream("[[words 60000]] deaf");
    await deaf.until((event) => event.event === "turn");
    const turn = { turn_id: String(deaf.events[0]?.data["turn_id"]), session_id: String(deaf.events[0]?.data["session_id"]) };
    assert.equal((await client.ended(turn)).status, "completed");
    deaf.kill();
  });

  test("the events of a conversation that is not there are not found", async () => {
    await problem(client.request("GET", "/conversations/nowhere/events"), 404, "not_found");
  });

  test("another account's events are not found", async () => {
    const { session_id, turn_id } = await client.query("[[say private]]");
    const other = service.newClient();
    await problem(other.request("GET", `/conversations/${session_id}/events`), 404, "not_found");
    await problem(other.request("GET", `/conversations/${session_id}/events`, { "last-event-id": `${turn_id}:1` }), 404, "not_found");
  });
}
