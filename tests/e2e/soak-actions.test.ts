/*
 * The soak of actions in its short form, for every run of the tests. `npm run soak -- --actions` is the long one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACTION_VARS, soakActions } from "./soak/actions.ts";
import { service } from "./support.ts";

const SEED = 3;
const ACCOUNTS = 2;
const TURNS = 6;
const CONCURRENCY = 2;
/** The short form's bound, for a machine that is busy; it takes about half a minute. */
const TIME_LIMIT_MS = 400_000;

const running = service({ vars: { ...ACTION_VARS, ACCOUNT_CONCURRENCY: String(CONCURRENCY) } });

test("whatever dies, nothing runs that was not allowed or runs twice, every action is resolved once and every turn ends once", { timeout: TIME_LIMIT_MS }, async (context) => {
  const say = (line: string): void => context.diagnostic(line);
  const reckoning = await soakActions(running, { accounts: ACCOUNTS, turns: TURNS, seed: SEED, concurrency: CONCURRENCY, disturbEveryMs: 3_000, say });
  context.diagnostic(JSON.stringify(reckoning));
  assert.ok(reckoning.executions > 0 && reckoning.denied > 0 && reckoning.restarts + reckoning.kills + reckoning.cliKills > 0, "something ran, something was denied and something died");
});
