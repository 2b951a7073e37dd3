/*
 * The soak in its short form, for every run of the tests. `npm run soak` is the long one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "./soak/soak.ts";
import { service } from "./support.ts";

const running = service();
const SEED = 1;
/** The short form's bound, for a machine that is busy; it takes about half a minute. */
const TIME_LIMIT_MS = 120_000;

test("the product starts", () => assert.match(running.url, /^http:/));

test("whatever dies, every turn ends once and every answer given is stored once", { timeout: TIME_LIMIT_MS }, async (context) => {
  const options = { accounts: 3, turns: 7, seed: SEED, disturbEveryMs: 3_000, say: (line: string) => context.diagnostic(line) };
  const reckoning = await soak(running, options);
  context.diagnostic(JSON.stringify(reckoning));
  assert.ok(reckoning.answered > 0 && reckoning.restarts + reckoning.kills > 0, "something was answered and something died");
});
