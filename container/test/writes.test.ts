/*
 * In what pieces a turn's frames go out, on the real HTTP server with a turn that the test itself drives.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as nextTurnOfTheLoop } from "node:timers/promises";
import type { Frame, ResultFrame } from "../src/frames.ts";
import { createAgentServer } from "../src/server.ts";
import type { Sessions } from "../src/sessions.ts";
import { Turn } from "../src/turns.ts";
import type { Turns } from "../src/turns.ts";

const started: Frame = { type: "started", agent_session: "s", instance: "i", warm: true };
const delta: Frame = { type: "delta", text: "4" };
const message: Frame = { type: "message", text: "4" };
const usage = { input_tokens: 0, output_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
const result: ResultFrame = { type: "result", status: "completed", subtype: "success", text: "4", model: "m", usage, cost_usd: 0, num_turns: 1, model_calls: 1, duration_ms: 1 };

/** A reader of a turn's frames: the types in each piece, as they come. Time stands still but for the test's own ticks. */
async function reading(context: TestContext): Promise<{ turn: Turn; piece: () => Promise<string[]> }> {
  const turn = new Turn("t", null);
  const turns = { get: () => turn } as unknown as Turns;
  const server = createAgentServer({} as Sessions, turns, { instance: "i", sdkVersion: "0", draining: () => false });
  await once(server.listen(0, "127.0.0.1"), "listening");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  context.mock.timers.enable({ apis: ["setTimeout"] });
  turn.emit(started);
  const request = get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/turns/t`, { agent: false });
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  const pieces = answer.setEncoding("utf8").iterator() as AsyncIterator<string>;
  const piece = async (): Promise<string[]> => {
    const text = String((await pieces.next()).value);
    return text.trim().split("\n").map((line) => (JSON.parse(line) as Frame).type);
  };
  return { turn, piece };
}

/** Whatever was to go out at once has gone. */
async function settled(): Promise<void> {
  for (let n = 0; n < 3; n++) await nextTurnOfTheLoop();
}

describe("frames", () => {
  test("go out at once, and a message waits for company", async (context) => {
    const { turn, piece } = await reading(context);
    assert.deepEqual(await piece(), ["started"]);
    turn.emit(delta);
    assert.deepEqual(await piece(), ["delta"]);
    turn.emit(message);
    await settled();
    turn.emit(delta);
    assert.deepEqual(await piece(), ["message", "delta"]);
  });

  test("that wait go out by themselves in the end", async (context) => {
    const { turn, piece } = await reading(context);
    assert.deepEqual(await piece(), ["started"]);
    turn.emit(message);
    await settled();
    context.mock.timers.tick(25);
    assert.deepEqual(await piece(), ["message"]);
  });

  test("of a turn's end take along what waits, at once", async (context) => {
    const { turn, piece } = await reading(context);
    assert.deepEqual(await piece(), ["started"]);
    turn.emit(message);
    await settled();
    turn.emit(result);
    turn.emit({ type: "end" });
    assert.deepEqual(await piece(), ["message", "result", "end"]);
  });
});
