/*
 * Turns whose answer is a value of a schema: what is refused before anything starts, what comes out, and when a process is kept.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { checkSchema, InvalidSchema, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH } from "../src/turn/schema.ts";
import { Direct } from "./direct.ts";
import { startAgent } from "./harness.ts";
import type { Agent, TurnFrames } from "./harness.ts";

const ANSWER = { type: "object", properties: { answer: { type: "number" } }, required: ["answer"], additionalProperties: false };
const GOOD = '[[structured {"answer":4}]]';
const BAD = '[[structured {"answer":"four"}]]';

function nested(depth: number): object {
  let inner: object = { type: "string" };
  for (let n = 0; n < depth; n++) inner = { type: "object", properties: { a: inner } };
  return inner;
}

describe("an output schema", () => {
  let model: Model;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model);
    await agent.processesReady();
  });
  beforeEach(() => model.control.clearRequests());
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const asked = (session: string, prompt: string, options: Record<string, unknown> = {}): Promise<TurnFrames> =>
    agent.turn({ agent_session: session, resume: true, prompt, options });

  test("makes the answer a value, and its text the JSON of that", async () => {
    const turn = await agent.turn({ prompt: GOOD, options: { output_schema: ANSWER } });
    assert.deepEqual([turn.result.status, turn.result.output, turn.result.text], ["completed", { answer: 4 }, '{"answer":4}']);
    assert.equal(model.control.requests().length, 1);
  });

  test("is one of the process: it is kept for the same schema, and another or none resumes in a new one", async () => {
    const first = await agent.turn({ prompt: `I said this before ${GOOD}`, options: { output_schema: ANSWER } });
    const again = await asked(first.session, GOOD, { output_schema: ANSWER });
    assert.deepEqual([again.one("started").warm, again.result.output], [true, { answer: 4 }]);
    const other = await asked(first.session, '[[structured {"word":"four"}]]', { output_schema: { type: "object", properties: { word: { type: "string" } } } });
    assert.deepEqual([other.one("started").warm, other.result.output], [false, { word: "four" }]);
    const none = await asked(first.session, "repeat everything I said");
    assert.deepEqual([none.one("started").warm, "output" in none.result], [false, false]);
    assert.match(none.result.text, /I said this before/);
  });

  test("that a value does not fit has the model try again", async () => {
    const turn = await agent.turn({ prompt: `${BAD} ${GOOD}`, options: { output_schema: ANSWER } });
    assert.deepEqual([turn.result.status, turn.result.output], ["completed", { answer: 4 }]);
  });

  test("that no value fits ends the turn as output_invalid with the CLI's last word, and the next turn works", async () => {
    const turn = await agent.turn({ prompt: BAD, options: { output_schema: ANSWER } });
    assert.deepEqual([turn.result.status, turn.result.error?.code, turn.result.subtype], ["failed", "output_invalid", "error_max_structured_output_retries"]);
    assert.match(turn.result.error?.message ?? "", /Output does not match required schema: \/answer: must be number/);
    assert.ok(!("output" in turn.result));
    const next = await asked(turn.session, GOOD, { output_schema: ANSWER });
    assert.deepEqual([next.one("started").warm, next.result.output], [true, { answer: 4 }]);
  });

  test("that the model ignores ends the turn as output_invalid, never as a success", async () => {
    const turn = await agent.turn({ prompt: "[[say four]]", options: { output_schema: ANSWER } });
    assert.deepEqual([turn.result.status, turn.result.error?.code, turn.result.error?.message], ["failed", "output_invalid", "the model gave no value"]);
  });

  for (const [name, options] of Object.entries({
    "allowed_tools, which means dontAsk": { allowed_tools: ["Bash"] },
    "disallowed_tools": { disallowed_tools: ["Write"] },
    "permission_mode dontAsk": { permission_mode: "dontAsk" },
    "permission_mode plan": { permission_mode: "plan" },
    "max_turns 1": { max_turns: 1 },
    "max_budget_usd": { max_budget_usd: 1 },
  })) {
    test(`holds with ${name}`, async () => {
      const turn = await agent.turn({ prompt: GOOD, options: { ...options, output_schema: ANSWER } });
      assert.deepEqual([turn.result.status, turn.result.output], ["completed", { answer: 4 }]);
    });
  }

  test("holds after tools", async () => {
    const turn = await agent.turn({ prompt: `[[tool Bash {"command":"echo 4"}]] ${GOOD}`, options: { output_schema: ANSWER, allowed_tools: ["Bash"] } });
    assert.deepEqual(turn.of("tool").filter((frame) => frame.name === "Bash").map((frame) => frame.status), ["started", "finished"]);
    assert.deepEqual(turn.result.output, { answer: 4 });
  });

  test("leaves a turn that fails or is cancelled as it is", async () => {
    const failed = await agent.turn({ prompt: "[[fail 403]]", options: { output_schema: ANSWER } });
    assert.equal(failed.result.error?.code, "model_auth_failed");
    const open = await agent.begin({ agent_session: failed.session, resume: true, prompt: "[[hang]]", options: { output_schema: ANSWER } });
    await model.control.waitFor((request) => request.state === "hanging");
    await agent.call("POST", `/turns/${open.id}/cancel`);
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.result.error], ["cancelled", undefined]);
  });

  test("that is not valid ends the turn and leaves the conversation's process alone", async () => {
    const first = await agent.turn({ prompt: "I said this before" });
    const started = (await agent.processesReady()).length;
    for (const output_schema of [{ type: "object", properties: { a: { type: "nummer" } } }, { type: "object", odd: 1 }, { type: "array" }, nested(MAX_SCHEMA_DEPTH / 2)]) {
      const turn = await asked(first.session, "hello", { output_schema });
      assert.deepEqual(turn.types, ["result", "end"]);
      assert.deepEqual([turn.result.status, turn.result.error?.code], ["failed", "invalid_output_schema"]);
      assert.match(turn.result.error?.message ?? "", /^output_schema: ./);
    }
    const next = await asked(first.session, "repeat everything I said");
    assert.deepEqual([next.one("started").warm, next.result.text], [true, "I said this before"]);
    assert.equal((await agent.processesReady()).length, started);
  });

  test("that is not valid ends a new conversation's turn, and the next one has the spare", async () => {
    const fresh = await startAgent(model);
    try {
      await fresh.processesReady();
      for (const output_schema of [{ type: "objekt" }, { type: "object", odd: 1 }]) {
        assert.equal((await fresh.turn({ prompt: "hello", options: { output_schema } })).result.error?.code, "invalid_output_schema");
      }
      const next = await fresh.turn({ prompt: "[[say here]]" });
      assert.deepEqual([next.one("started").warm, next.result.text], [true, "here"]);
    } finally {
      await fresh.stop();
    }
  });

  test("that is not valid reads the transcript that comes with it, and the connection goes on", async () => {
    const before = await agent.turn({ prompt: "hello" });
    const transcript = before.transcript;
    const turn = await agent.turn({ agent_session: crypto.randomUUID(), resume: true, prompt: "hello", transcript, options: { output_schema: { type: "array" } } });
    assert.equal(turn.result.error?.code, "invalid_output_schema");
    assert.equal((await agent.health()).status, "ok");
  });
});

describe("a schema", () => {
  let model: Model;
  before(async () => {
    model = await startModel();
  });
  after(() => model.close());

  const fault = async (schema: object, limitMs?: number): Promise<string> =>
    checkSchema(schema, limitMs).then(
      () => "",
      (error: unknown) => (error instanceof InvalidSchema ? error.message : assert.fail(String(error))),
    );

  /** Whether the CLI itself starts with it. */
  async function starts(schema: object): Promise<boolean> {
    const direct = await Direct.start(model, { output_schema: schema });
    try {
      await direct.query.initializationResult();
      return true;
    } catch {
      return false;
    } finally {
      await direct.stop();
    }
  }

  test("may have all that draft-07 has, as with the CLI", async () => {
    const schema = {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      definitions: { word: { type: "string", pattern: "^\\w+$", format: "no-such-format" } },
      properties: { words: { type: "array", items: { $ref: "#/definitions/word" }, minItems: 1 }, kind: { enum: ["a", "b"] }, share: { type: "number", multipleOf: 0.01 } },
      oneOf: [{ required: ["words"] }, { required: ["kind"] }],
    };
    assert.deepEqual([await fault(schema), await starts(schema)], ["", true]);
  });

  for (const [name, schema, why] of [
    ["another draft", { $schema: "https://json-schema.org/draft/2020-12/schema", type: "object" }, /no schema with key or ref/],
    ["an unknown keyword", { type: "object", properties: { a: { type: "string", example: "b" } } }, /unknown keyword: "example"/],
    ["an unknown type", { type: "object", properties: { a: { type: "nummer" } } }, /schema\/properties\/a\/type must be equal to one of the allowed values/],
    ["a reference to nothing", { type: "object", properties: { a: { $ref: "#/definitions/b" } } }, /can't resolve reference/],
    ["a reference to elsewhere", { type: "object", properties: { a: { $ref: "http://elsewhere.example/b" } } }, /can't resolve reference/],
    ["a broken pattern", { type: "object", properties: { a: { type: "string", pattern: "(" } } }, /Invalid regular expression/],
    ["$async", { $async: true, type: "object" }, /\$async is not supported/],
  ] as const) {
    test(`with ${name} is refused, as by the CLI`, async () => {
      assert.match(await fault(schema), why);
      assert.equal(await starts(schema), false);
    });
  }

  for (const [name, schema, why] of [
    ["no type", { properties: {} }, /its type must be "object"/],
    ["a list at its root", { type: "array" }, /its type must be "object"/],
    ["more bytes than there may be", { type: "object", description: "é".repeat(MAX_SCHEMA_BYTES / 2) }, /it is over 32 KiB/],
    ["more levels than there may be", nested(MAX_SCHEMA_DEPTH / 2), /it is nested deeper than 64 levels/],
  ] as const) {
    test(`with ${name} is refused`, async () => assert.match(await fault(schema), why));
  }

  test("as deep as it may be is taken", async () => assert.equal(await fault(nested(MAX_SCHEMA_DEPTH / 2 - 1)), ""));

  test("that takes too long to compile is refused, holds up nobody, and the next one is looked at", async () => {
    const slow = { type: "object", oneOf: Array.from({ length: 1_600 }, () => ({ required: ["a"] })) };
    const limitMs = 500;
    let ticks = 0;
    const clock = setInterval(() => (ticks += 1), 10);
    assert.match(await fault(slow, limitMs), /it takes too long to compile/);
    clearInterval(clock);
    assert.ok(ticks > 10, `${ticks} ticks of 10 ms in ${limitMs} ms`);
    assert.equal(await fault({ type: "object", description: "after the slow one" }), "");
  });
});
