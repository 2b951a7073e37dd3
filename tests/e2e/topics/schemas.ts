/*
 * Structured output: a value that matches the caller's schema, or a plain refusal; and the other options of a turn that come back with it.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Answer, Client, Turn } from "../client.ts";
import type { Service } from "../support.ts";

const SCHEMA = { type: "object", properties: { answer: { type: "number" } }, required: ["answer"], additionalProperties: false };

export function schemas(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
    await client.query("[[say warm]]");
  });

  test("an answer is the value, its JSON and a turn that tells both", async () => {
    const session_id = "structured";
    const answer = await json<Answer & { output: unknown }>(await client.post('[[structured {"answer":42}]]', { session_id, output_schema: SCHEMA }), 200);
    assert.deepEqual([answer.output, answer.response], [{ answer: 42 }, '{"answer":42}']);
    const turn = (await client.turn(answer.turn_id)) as Turn & { output: unknown };
    assert.deepEqual([turn.output, turn.response], [{ answer: 42 }, '{"answer":42}']);
    const events = await client.stream('[[tool Bash {"command":"echo 7"}]] [[structured {"answer":7}]]', { session_id, output_schema: SCHEMA });
    assert.deepEqual((await events.toEnd()).data["output"], { answer: 7 });
    assert.equal((await client.query("[[say plain again]]", { session_id })).response, "plain again");
  });

  test("a value of the wrong shape is asked for again, and is no answer if it stays wrong", async () => {
    const right = await client.query('[[structured {"answer":"four"}]] [[structured {"answer":4}]]', { output_schema: SCHEMA });
    assert.equal(right.response, '{"answer":4}');
    const session_id = "stays-wrong";
    await problem(client.post('[[structured {"answer":"four"}]]', { session_id, output_schema: SCHEMA }), 502, "output_invalid");
    assert.equal((await client.query("[[say goes on]]", { session_id })).response, "goes on");
  });

  test("words instead of a value are no answer", async () => {
    await problem(client.post("[[say just words]]", { output_schema: SCHEMA }), 502, "output_invalid");
  });

  test("a schema that is none is refused, and the conversation goes on", async () => {
    const session_id = "no-schema";
    await client.query("[[say before]]", { session_id });
    const uncompilable = { type: "object", properties: { answer: { type: "string", pattern: "(" } } };
    for (const output_schema of [{ type: "nonsense" }, { $ref: "#/nowhere" }, uncompilable]) {
      await problem(client.post("[[say x]]", { session_id, output_schema }), 400, "invalid_output_schema");
    }
    assert.equal((await client.query("[[say after]]", { session_id })).response, "after");
  });

  test("a turn without thinking asks the model not to think, and the next one may", async () => {
    const session_id = "thinks";
    for (const [thinking, type] of [["off", "disabled"], ["on", "adaptive"], ["off", "disabled"]] as const) {
      const prompt = `[[say ${thinking}]] ${type}`;
      await client.query(prompt, { session_id, thinking, model: "claude-opus-4-8" });
      assert.equal(service.asked(prompt).at(-1)?.thinking, type, prompt);
    }
  });

  test("metadata comes back with the turn", async () => {
    const answer = await json<Answer & { metadata: object }>(await client.post("[[say noted]]", { metadata: { ticket: "7" } }), 200);
    assert.deepEqual(answer.metadata, { ticket: "7" });
    assert.deepEqual(((await client.turn(answer.turn_id)) as Turn & { metadata: object }).metadata, { ticket: "7" });
  });
}
