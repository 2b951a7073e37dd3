/*
 * A panic while turns run: every waiting request is answered at once, and no turn is lost.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { problem } from "./client.ts";
import { service } from "./support.ts";

const WORKER = fileURLToPath(new URL("panic/worker.mjs", import.meta.url));
/** The turn's id is the first that a query which names its session asks for: the requests' ids are made of what was drawn ahead. */
const AT_THE_TURN = { "x-randomness-fails-at": "1" };
/** An answer at once, on a busy machine; a request that hangs would wait until its client gives up. */
const AT_ONCE_MS = 5_000;

// wrangler.json is the stack's. Without the argument, wrangler takes the configuration nearest to the script.
const running = service({ wranglerArgs: ["--config", "wrangler.json", WORKER] });

describe("a panic", { timeout: 120_000 }, () => {
  let gate: string;
  before(async () => {
    gate = join(await mkdtemp(join(tmpdir(), "e2e-panic-")), "gate");
  });
  after(() => rm(join(gate, ".."), { recursive: true }));

  test("answers every request in flight with 500 internal at once, and takes no turn down with it", async () => {
    const [waiting, breaking] = [running.newClient(), running.newClient()];
    const prompt = `[[tool Bash {"command":"until [ -e ${gate} ]; do sleep 0.05; done; echo survived"}]]`;
    const key = { "idempotency-key": "once" };
    const turn = await waiting.start(prompt, { session_id: "s" }, key);
    const events = await waiting.events("s");
    await events.until((event) => event.event === "tool");
    const answer = waiting.post(prompt, { session_id: "s" }, key);
    await waiting.turn(turn.turn_id);

    const start = performance.now();
    await problem(breaking.post("hello", { session_id: "s" }, AT_THE_TURN), 500, "internal");
    await problem(answer, 500, "internal");
    assert.equal(await events.until((event) => event.event === "done" || event.event === "error"), null, "the stream is cut");
    assert.ok(performance.now() - start < AT_ONCE_MS, "nobody hangs");

    await writeFile(gate, "");
    assert.equal((await waiting.ended(turn)).response, "survived");
    assert.deepEqual(await waiting.said("s"), [`user: ${prompt}`, "assistant: survived"]);
    assert.equal((await breaking.query("What is 2+2?", { session_id: "s" })).response, "4");
  });
});
