/*
 * The Worker refuses some schemas before any turn: what it refuses is what the agent server refuses, too. tests/schemas.json says of each case who does,
 * and the Worker's own test holds it to the same cases.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { checkSchema, checkToolSchemas, InvalidSchema } from "../src/turn/schema.ts";

type Refuser = "worker" | "agent" | "nobody";
type Case = { schema: object; answer: Refuser; tool: Refuser };

const cases = JSON.parse(await readFile(new URL("../../tests/schemas.json", import.meta.url), "utf8")) as Case[];

async function refused(check: () => Promise<void>): Promise<boolean> {
  try {
    await check();
    return false;
  } catch (error) {
    assert.ok(error instanceof InvalidSchema, String(error));
    return true;
  }
}

test("what the Worker refuses of schemas, the agent server refuses, too", async () => {
  for (const { schema, answer, tool } of cases) {
    const [ofAnswer, ofTool] = [await refused(() => checkSchema(schema)), await refused(() => checkToolSchemas([{ input_schema: schema }]))];
    assert.deepEqual({ ofAnswer, ofTool }, { ofAnswer: answer !== "nobody", ofTool: tool !== "nobody" }, JSON.stringify(schema));
  }
});
