/*
 * The soak in its short form, for every run of the tests, with one number of turns at once. `npm run soak` is the long one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { service } from "../support.ts";
import { soak } from "./soak.ts";

const SEED = 1;
const ACCOUNTS = 3;
const TURNS = 7;
/** The short form's bound, for a machine that is busy; it takes about a minute. */
const TIME_LIMIT_MS = 400_000;

export function shortSoak(concurrency: number): void {
  const running = service({ vars: { ACCOUNT_CONCURRENCY: String(concurrency) } });

  test("the product starts", () => assert.match(running.url, /^http:/));

  test(`whatever dies, with ${concurrency} at once every turn ends once and every answer given is stored once`, { timeout: TIME_LIMIT_MS }, async (context) => {
    const say = (line: string): void => context.diagnostic(line);
    const reckoning = await soak(running, { accounts: ACCOUNTS, turns: TURNS * concurrency, seed: SEED, concurrency, disturbEveryMs: 3_000, say });
    context.diagnostic(JSON.stringify(reckoning));
    assert.ok(reckoning.answered > 0 && reckoning.restarts + reckoning.kills > 0, "something was answered and something died");
    assert.ok(concurrency === 1 || reckoning.atOnce > 1, "turns of one account ran at once");
  });
}
