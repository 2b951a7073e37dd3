/*
 * `npm run soak [-- --actions --accounts 8 --turns 50 --seed N --concurrency 1,2,4]`: the soak in its long form, once with each number of turns of an
 * account at once, or the soak of actions, with a line on what happens. Exits non-zero where an invariant did not hold or a process was left.
 */
import { parseArgs } from "node:util";
import { ACTION_VARS, soakActions } from "./soak/actions.ts";
import { soak } from "./soak/soak.ts";
import { Service } from "./support.ts";

const { values } = parseArgs({
  options: {
    actions: { type: "boolean", default: false },
    accounts: { type: "string", default: "8" },
    turns: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    concurrency: { type: "string", default: "1,2,4" },
    "disturb-every-ms": { type: "string", default: "5000" },
  },
});

const started = performance.now();
const say = (line: string): void => console.log(`${((performance.now() - started) / 1_000).toFixed(1).padStart(7)} s  ${line}`);
for (const concurrency of values.concurrency.split(",").map(Number)) {
  const running = new Service();
  say(`seed ${values.seed}, ${concurrency} at once: starting the stack`);
  await running.start({ vars: { ACCOUNT_CONCURRENCY: String(concurrency), ...(values.actions && ACTION_VARS) } });
  try {
    const reckoning = await (values.actions ? soakActions : soak)(running, {
      accounts: Number(values.accounts),
      turns: Number(values.turns),
      seed: Number(values.seed),
      concurrency,
      disturbEveryMs: Number(values["disturb-every-ms"]),
      say,
    });
    say(`held: ${JSON.stringify(reckoning)}`);
  } finally {
    await running.stop();
  }
  say("no process is left");
}
