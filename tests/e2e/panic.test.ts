/*
 * A panic in the middle of everything: whoever waits is answered at once, and no turn is lost.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { service } from "./support.ts";

const WORKER = fileURLToPath(new URL("panic/worker.mjs", import.meta.url));
const BUILT = fileURLToPath(new URL("../../build", import.meta.url));
/** The turn's id is the second random value of a query: the first is the request's. */
const AT_THE_TURN = "2";
/** An answer at once, on a busy machine; a request that hangs would wait for its client to give up. */
const AT_ONCE_MS = 5_000;
const RECOVERY_MS = 30_000;

const running = service({ wranglerArgs: [WORKER, "--alias", `@built/index.js:${BUILT}/index.js`] });

describe("a panic", { timeout: 120_000 }, () => {
  test("answers every request in flight with 500 internal at once, and takes no turn down with it", async () => {
    const [waiting, panicking] = [running.newClient(), running.newClient()];
    await waiting.query("[[say warm]]", { session_id: "s" });
    const prompt = "[[hang]] [[say survived]]";
    const answer = waiting.post("/query", { query: prompt, session_id: "s" });
    await running.hanging(prompt);

    const start = performance.now();
    const broken = await panicking.post("/query", { query: "hello", session_id: "p" }, { "x-randomness-fails-at": AT_THE_TURN });
    for (const response of [broken, await answer]) {
      assert.equal(response.status, 500);
      const problem = (await response.json()) as { code: string; request_id: string };
      assert.equal(problem.code, "internal");
      assert.equal(problem.request_id, response.headers.get("x-request-id"));
    }
    assert.ok(performance.now() - start < AT_ONCE_MS, "nobody hangs");

    const ended = running.stack.waitForLog((line) => line.includes('"turn_ended"') && line.includes("completed") && line.includes(`"session_id":"s"`) && !line.includes("warm-up"), RECOVERY_MS);
    running.model.control.release();
    await ended;
    await waiting.untilSaid("s", "assistant: survived", RECOVERY_MS);
    assert.deepEqual(await waiting.said("s"), ["user: [[say warm]]", "assistant: warm", `user: ${prompt}`, "assistant: survived"]);
    assert.equal((await panicking.query("What is 2+2?")).response, "4");
  });
});
