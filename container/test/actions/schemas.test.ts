/*
 * Schemas of the caller's tools: one that cannot be used ends its turn before anything has begun.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { checkSchema, checkToolSchemas, InvalidSchema } from "../../src/turn/schema.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body } from "../harness.ts";

const tool = (input_schema: object, name = "look_up"): object => ({ name, description: "Looks something up.", input_schema });
const asked = (schema: object, more: Partial<Body> = {}): Body => ({ prompt: "[[say here]]", options: { client_tools: [tool({ type: "object" }, "good"), tool(schema)] }, actions: true, ...more });

const BAD: object[] = [
  { type: "object", properties: { a: { type: "nummer" } } },
  { type: "object", properties: { a: { $ref: "#/definitions/nowhere" } } },
  { type: "object", properties: { a: { pattern: "(" } } },
  { type: "object", required: "a" },
  { type: "array" },
  {},
  { type: "object", $async: true },
];

describe("schemas of tools", () => {
  let model: Model;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model);
  });
  beforeEach(() => model.control.clearRequests());
  after(async () => {
    await agent.stop();
    await model.close();
  });

  test("one that is not valid ends its turn before anything runs, and the conversation goes on in its process", async () => {
    const first = await agent.turn({ prompt: "I said this before" });
    const started = (await agent.processesReady(2)).length;
    model.control.clearRequests();
    for (const schema of BAD) {
      const turn = await agent.turn(asked(schema, { agent_session: first.session, resume: true }));
      assert.deepEqual([turn.types, turn.result.status, turn.result.error?.code], [["result", "end"], "failed", "invalid_tool_schema"], JSON.stringify(schema));
      assert.match(turn.result.error?.message ?? "", /^tools\[1\]\.input_schema: ./);
    }
    assert.deepEqual(model.control.requests(), []);
    const next = await agent.turn({ agent_session: first.session, resume: true, prompt: "repeat everything I said" });
    assert.deepEqual([next.one("started").warm, next.result.text], [true, "I said this before"]);
    assert.equal((await agent.processesReady()).length, started);
  });

  test("one that is not valid ends a new conversation's turn, and the next one has the spare", async () => {
    const fresh = await startAgent(model);
    try {
      await fresh.processesReady();
      for (const schema of BAD) assert.equal((await fresh.turn(asked(schema))).result.error?.code, "invalid_tool_schema");
      const next = await fresh.turn(asked({ type: "object" }));
      assert.deepEqual([next.one("started").warm, next.result.text], [true, "here"]);
      assert.equal((await fresh.health()).running, 0);
    } finally {
      await fresh.stop();
    }
  });

  test("may be of either draft, and have words of the caller's own", async () => {
    for (const schema of [
      { $schema: "http://json-schema.org/draft-07/schema#", type: "object", properties: { a: { type: "array", items: [{ type: "string" }], additionalItems: false } } },
      { $schema: "https://json-schema.org/draft/2020-12/schema", type: "object", properties: { a: { type: "array", prefixItems: [{ type: "string" }] } }, unevaluatedProperties: false },
      { type: "object", properties: { a: { type: "string", "x-order": 1, format: "no-such-format" } } },
    ]) {
      await checkToolSchemas([{ input_schema: schema }]);
      const turn = await agent.turn(asked(schema));
      assert.deepEqual([turn.result.status, turn.result.text], ["completed", "here"]);
    }
    // What the CLI does not take as an answer's is known as such, whatever a tool may have.
    await assert.rejects(checkSchema({ type: "object", "x-order": 1 }), { code: "invalid_output_schema" });
    await checkToolSchemas([{ input_schema: { type: "object", "x-order": 1 } }]);
  });

  test("all together have the time that one has", async () => {
    const slow = { type: "object", properties: Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`p${n}`, { oneOf: Array.from({ length: 4 }, () => ({ type: "string" })) }])) };
    const tools = Array.from({ length: 64 }, (_, n) => ({ input_schema: { ...slow, title: String(n) } }));
    await assert.rejects(checkToolSchemas(tools, 50), (error) => error instanceof InvalidSchema && /takes too long/.test(error.message));
  });
});
