/*
 * Accounts as a whole, on a stack of their own: what they use, what they may use, and who runs them.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { service } from "./support.ts";
import { operators } from "./topics/operators.ts";
import { usage } from "./topics/usage.ts";

const running = service({
  vars: { ACCOUNT_STORAGE_BYTES: "2MiB", ACCOUNT_TURNS_PER_DAY: "40" },
  configuration: { added: { analytics_engine_datasets: [{ binding: "METRICS", dataset: "turns" }], ratelimits: [{ name: "QUERY_RATE", namespace_id: "1001", simple: { limit: 12, period: 10 } }, { name: "MODEL_RATE", namespace_id: "1002", simple: { limit: 40, period: 10 } }] } },
});

test("the product starts", () => assert.match(running.url, /^http:/));

for (const [name, topic] of Object.entries({ usage, operators })) describe(name, { timeout: 180_000 }, () => topic(running));
