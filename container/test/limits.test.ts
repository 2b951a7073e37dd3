/*
 * Loads that a container must live through: each has a bound, and the server answers behind it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { startAgent } from "./harness.ts";
import type { Agent } from "./harness.ts";

const WARM_SESSIONS = 2;
const FLOOD = 12;
const PRINTED_BYTES = 100_000_000;
/** Of a tool's output the SDK keeps a file and gives the model a few KB. */
const MAX_FRAME_BYTES = 1_000_000;
const SAMPLE_MS = 50;
/** Until every turn that was taken has asked the model, on a busy machine. */
const MODEL_MS = 30_000;

let model: Model;
let agent: Agent;
before(async () => {
  model = await startModel();
  agent = await startAgent(model, { WARM_SESSIONS: String(WARM_SESSIONS) });
  await agent.processesReady();
});
after(async () => {
  await agent.stop();
  await model.close();
});

/** The most processes that there were at a time while `work` ran. */
async function mostProcesses(work: () => Promise<unknown>): Promise<number> {
  let most = 0;
  let over = false;
  const looking = (async () => {
    for (; !over; await sleep(SAMPLE_MS)) most = Math.max(most, (await agent.processes()).length);
  })();
  try {
    await work();
  } finally {
    over = true;
    await looking;
  }
  return most;
}

describe("a flood of new conversations", () => {
  let statuses: number[];
  let most: number;
  before(async () => {
    most = await mostProcesses(async () => {
      const answers = await Promise.all(Array.from({ length: FLOOD }, () => agent.post({ prompt: "[[hang]]" })));
      statuses = answers.map((answer) => answer.status);
      const hanging = (): number => model.control.requests().filter((request) => request.state === "hanging").length;
      await model.control.waitFor(() => hanging() === WARM_SESSIONS, MODEL_MS);
      model.control.release();
      await Promise.all(answers.map((answer) => answer.text()));
    });
  });

  test("is served as far as there are processes, and refused beyond", () => {
    assert.equal(statuses.filter((status) => status === 200).length, WARM_SESSIONS);
    assert.equal(statuses.filter((status) => status === 503).length, FLOOD - WARM_SESSIONS);
  });

  test("takes no more processes than WARM_SESSIONS and the spare", () => {
    assert.ok(most <= WARM_SESSIONS + 1, `${most} processes`);
  });
});

test("conversations that follow each other take no more processes than WARM_SESSIONS, the spare and one that is leaving", async () => {
  const most = await mostProcesses(async () => {
    for (let n = 0; n < FLOOD / 2; n++) await agent.turn({ prompt: "[[say next]]" });
  });
  assert.ok(most <= WARM_SESSIONS + 2, `${most} processes`);
});

test("a tool that prints 100 MB ends its turn well, and little of it is held", async () => {
  const turn = await agent.turn({ prompt: `[[tool Bash {"command":"yes | head -c ${PRINTED_BYTES}"}]] [[say printed]]` });
  assert.equal(turn.result.text, "printed");
  const finished = await agent.logged((line) => line.event === "turn_finished" && line["turn"] === turn.id);
  assert.ok(Number(finished["frame_bytes"]) < MAX_FRAME_BYTES, `${String(finished["frame_bytes"])} bytes of frames`);
});
