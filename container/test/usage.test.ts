/*
 * How full a conversation is: what a result says, without a request more, is what the CLI itself answers.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { Direct } from "./direct.ts";

let model: Model;
before(async () => {
  model = await startModel();
});
after(() => model.close());

// The last writes no more than 4,096 tokens, and keeps less room for a summary.
for (const name of ["claude-sonnet-5", "claude-haiku-4-5", "claude-3-haiku-20240307"]) {
  test(`${name} has the room and is compacted where the CLI says`, async () => {
    model.control.clearRequests();
    const direct = await Direct.start(model, { model: name });
    const { context } = await direct.turn("[[say one]]");
    assert.equal(model.control.requests().length, 1);
    const told = await direct.query.getContextUsage({ detail: "summary" });
    await direct.stop();
    const tokens = Object.values(told.apiUsage ?? {}).reduce((sum, count) => sum + count, 0);
    assert.deepEqual(context, { tokens, limit: told.maxTokens, auto_compact_at: told.autoCompactThreshold });
  });
}
