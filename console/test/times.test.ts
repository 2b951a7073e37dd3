/** Times as people say them, and as cron says them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cronOf, timesOf, wordsOf } from "../src/automation/times.ts";

test("what people have words for goes to cron and back", () => {
  for (const [cron, words] of [
    ["5 * * * *", "Every hour at :05"],
    ["0 9 * * *", "Every day at 09:00"],
    ["30 17 * * mon-fri", "From Monday to Friday at 17:30"],
    ["0 0 * * 0", "Every Sunday at 00:00"],
    ["45 23 28 * *", "Every month on day 28 at 23:45"],
  ] as const) {
    assert.equal(wordsOf(cron), words);
    assert.equal(cronOf(timesOf(cron)), cron);
  }
  assert.equal(wordsOf("0 9 * * Fri"), "Every Friday at 09:00");
  assert.equal(wordsOf("0 9 * * 7"), "Every Sunday at 09:00");
  assert.equal(cronOf(timesOf("0 9 * * 1-5")), "0 9 * * mon-fri");
});

test("everything else stays as it is", () => {
  for (const cron of ["*/5 * * * *", "0 9 29 * *", "0 9 1 * mon", "0 9 1 1 *", "0 9,17 * * *", "0 9 * * mon-sat", "61 9 * * *", "0 24 * * *", "5 * 1 * *", "", "@daily", "0 9 * * * *"]) {
    assert.equal(wordsOf(cron), cron);
    assert.equal(cronOf(timesOf(cron)), cron);
  }
});
