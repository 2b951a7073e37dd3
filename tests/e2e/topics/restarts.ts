/*
 * The object loses its memory in the middle (workerd is killed and started again; containers go on).
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Client } from "../client.ts";
import type { EventStream } from "../event-stream.ts";
import type { Service } from "../support.ts";

/** Start of workerd, its first alarm, and the rest of the turn, on a busy machine. */
const RECOVERY_MS = 30_000;

export function restarts(service: Service): void {
  let client: Client;
  let directory: string;
  before(async () => {
    client = service.newClient();
    directory = await mkdtemp(join(tmpdir(), "e2e-gate-"));
    await client.query("[[say warm]]");
  });
  after(() => rm(directory, { recursive: true }));

  /** A prompt whose tool call runs until its gate is opened, and then says so. */
  function gated(name: string): { prompt: string; open(): Promise<void> } {
    const gate = join(directory, name);
    return {
      prompt: `[[tool Bash {"command":"until [ -e ${gate} ]; do sleep 0.05; done; echo ${name} opened"}]]`,
      open: () => writeFile(gate, ""),
    };
  }

  async function streamToTool(prompt: string, session_id: string): Promise<EventStream> {
    const events = await client.stream(prompt, { session_id });
    await events.until((event) => event.event === "tool");
    return events;
  }

  test("a turn goes on over a restart, and its listener misses nothing and gets nothing twice", async () => {
    const session_id = "over-restart";
    const { prompt, open } = gated("listener");
    const before = await streamToTool(prompt, session_id);
    await service.stack.restartWorker();
    assert.equal(await before.until((event) => event.event === "done" || event.event === "error"), null, "the stream was cut");
    await open();
    const after = await client.events(session_id, before.lastEventId());
    assert.equal((await after.toEnd()).data["response"], "listener opened");
    assert.equal(after.text(), "listener opened");
    const told = [...before.events, ...after.events].filter((event) => event.event === "tool").map((event) => event.data["status"]);
    assert.deepEqual(told, ["started", "finished"]);
    assert.deepEqual(await client.said(session_id), [`user: ${prompt}`, "assistant: listener opened"]);
  });

  test("a turn ends by itself after a restart, with no client coming back", async () => {
    const { prompt, open } = gated("alone");
    const events = await streamToTool(prompt, "alone");
    const turnId = String(events.events[0]?.data["turn_id"]);
    const ended = service.stack.waitForLog((line) => line.includes(turnId) && line.includes('"turn_ended"'), RECOVERY_MS);
    await service.stack.restartWorker();
    await open();
    await ended;
    assert.deepEqual(await client.said("alone"), [`user: ${prompt}`, "assistant: alone opened"]);
  });

  test("turns that wait are run after a restart, in their order", async () => {
    const { prompt, open } = gated("queue");
    await streamToTool(prompt, "front");
    const queued = [await client.start("[[say 1]]", { session_id: "behind" }), await client.start("[[say 2]]", { session_id: "behind" })];
    await service.stack.restartWorker();
    await open();
    for (const turn of queued) assert.equal((await client.ended(turn)).status, "completed");
    assert.deepEqual(await client.said("behind"), ["user: [[say 1]]", "assistant: 1", "user: [[say 2]]", "assistant: 2"]);
  });

  test("a turn whose model call is cut by the restart still ends once, with its whole text", async () => {
    const session_id = "cut-call";
    const prompt = "[[delay 50]] [[words 60]] cut by a restart";
    const events = await client.stream(prompt, { session_id });
    await events.untilDeltas(2);
    await service.stack.restartWorker();
    await (await client.events(session_id)).toEnd();
    const said = await client.said(session_id);
    assert.equal(said.length, 2);
    assert.match(said[1] ?? "", /^assistant: word1 word2 .* word60$/);
  });

  test("a restart between turns leaves the live process alive", async () => {
    const first = await client.query('[[tool Bash {"command":"echo $PPID"}]]', { session_id: "warm" });
    await service.stack.restartWorker();
    const second = await client.query('[[tool Bash {"command":"echo $PPID"}]]', { session_id: "warm" });
    assert.equal(second.response, first.response);
  });
}
