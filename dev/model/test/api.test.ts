/*
 * The API's own behaviour: shapes, streams, errors, usage.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo, eventsOf, post, textOf, userSays, withModel } from "./support.ts";

test("a message has the API's shape", () =>
  withModel(async (model) => {
    const response = await post(model, userSays("What is 2+2?"));
    const message = (await response.json()) as Record<string, unknown>;
    assert.match(response.headers.get("request-id") ?? "", /^req_/);
    assert.match(String(message["id"]), /^msg_/);
    const { id: _id, usage: _usage, ...rest } = message;
    assert.deepEqual(rest, {
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5",
      content: [{ type: "text", text: "4" }],
      stop_reason: "end_turn",
      stop_sequence: null,
    });
  }));

test("a stream has the API's events in order", () =>
  withModel(async (model) => {
    const response = await post(model, { ...userSays("[[words 9]]"), stream: true });
    assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
    const events = await eventsOf(response);
    assert.deepEqual(
      events.map((event) => event.type),
      [
        "message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta", "content_block_delta",
        "content_block_stop", "message_delta", "message_stop",
      ],
    );
    assert.equal(textOf(events), "word1 word2 word3 word4 word5 word6 word7 word8 word9");
  }));

test("no character of a long text is lost or split in its pieces", () =>
  withModel(async (model) => {
    const text = `  two  spaces\n\n${"🙂".repeat(3_000)} end\t.`.trim();
    const events = await eventsOf(await post(model, { ...userSays(`[[say ${text}]]`), stream: true }));
    assert.equal(textOf(events), text);
    assert.ok(events.every((event) => textOf([event]).isWellFormed()));
  }));

test("a streamed tool call's input is whole JSON when its pieces are joined", () =>
  withModel(async (model) => {
    const events = await eventsOf(await post(model, { ...userSays('[[tool Bash {"command":"echo a b c d e f g"}]]'), stream: true }));
    assert.deepEqual(JSON.parse(textOf(events)), { command: "echo a b c d e f g" });
    const [stop] = events.filter((event) => event.type === "message_delta");
    assert.equal((stop?.["delta"] as { stop_reason: string }).stop_reason, "tool_use");
  }));

test("tokens are counted alike by a message's usage and by count_tokens", () =>
  withModel(async (model) => {
    const body = JSON.stringify(userSays("a".repeat(4_000)));
    const response = await fetch(`${model.url}/v1/messages/count_tokens`, { method: "POST", headers: { authorization: "Bearer x" }, body });
    const { input_tokens: counted } = (await response.json()) as { input_tokens: number };
    const { usage } = (await (await post(model, body)).json()) as { usage: { input_tokens: number } };
    assert.ok(Math.abs(usage.input_tokens - counted) <= 1, `${usage.input_tokens} is not about ${counted}`);
    assert.ok(counted > 1_000 && counted < 1_100, `${counted} is not about a quarter of the characters`);
  }));

test("with prompt caching the start is written first and read later", () =>
  withModel(async (model) => {
    const usages = [];
    const system = [{ type: "text", text: "s".repeat(400), cache_control: { type: "ephemeral" } }];
    for (const texts of [["one"], ["one", "two"]]) {
      const message = (await (await post(model, { ...userSays(...texts), system })).json()) as { usage: Record<string, number> };
      usages.push([(message.usage["cache_creation_input_tokens"] ?? 0) > 100, (message.usage["cache_read_input_tokens"] ?? 0) > 100]);
    }
    assert.deepEqual(usages, [[true, false], [false, true]]);
  }));

test("a told failure has the API's error shape, its request id and its retry-after", () =>
  withModel(async (model) => {
    const response = await post(model, userSays("[[fail 429 retry-after=7]]"));
    assert.equal(response.status, 429);
    assert.equal(response.headers.get("retry-after"), "7");
    assert.deepEqual(await response.json(), {
      type: "error",
      error: { type: "rate_limit_error", message: "stand-in: told to fail with 429" },
      request_id: response.headers.get("request-id"),
    });
  }));

test("a failure told for two times goes through the third time", () =>
  withModel(async (model) => {
    const statuses = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      statuses.push((await post(model, userSays("[[fail 529 times=2]] [[say ok]]"))).status);
    }
    assert.deepEqual(statuses, [529, 529, 200]);
  }));

test("a cut stream gives its first piece and then an error", () =>
  withModel(async (model) => {
    const response = await post(model, { ...userSays("[[cut]] [[words 9]]"), stream: true });
    let seen = "";
    await assert.rejects(async () => {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) seen += Buffer.from(chunk).toString();
    });
    assert.match(seen, /word4/);
    assert.doesNotMatch(seen, /word5/);
  }));

test("a malformed stream ends in what is not JSON", () =>
  withModel(async (model) => {
    const response = await post(model, { ...userSays("[[malformed]] [[words 9]]"), stream: true });
    assert.match(await response.text(), /word4[\s\S]*data: \{not json\n\n$/);
  }));

test("the delay is kept before each piece", () =>
  withModel(async (model) => {
    const start = performance.now();
    await eventsOf(await post(model, { ...userSays("[[delay 30]] [[words 9]]"), stream: true }));
    assert.ok(performance.now() - start >= 85);
  }));

const BAD_REQUESTS: [string, string, number][] = [
  ["that is not JSON", "{", 400],
  ["without messages", '{"model":"m"}', 400],
  ["without a model", '{"messages":[]}', 400],
  ["with a message without a role", '{"model":"m","messages":[{"content":"x"}]}', 400],
];
for (const [what, body, status] of BAD_REQUESTS) {
  test(`a request ${what} gets ${status}`, () =>
    withModel(async (model) => assert.equal((await post(model, body)).status, status)));
}

test("a request without a credential gets 401", () =>
  withModel(async (model) => {
    const response = await post(model, userSays("hello"), { headers: {} });
    assert.equal(response.status, 401);
  }));

test("an unknown path gets 404", () =>
  withModel(async (model) => assert.equal((await fetch(`${model.url}/v1/other`)).status, 404)));

test("many requests at once are all answered", () =>
  withModel(async (model) => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => answerTo(model, userSays(`What is ${n}+1?`))));
    assert.deepEqual(answers, Array.from({ length: 50 }, (_, n) => String(n + 1)));
  }));
