/*
 * The whole path on the real server, SDK and CLI: a turn's files are saved, fetched, brought to another server, and there for the next turn.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, TurnFrames } from "../harness.ts";
import { Stored } from "./stored.ts";

let model: Model;
let agent: Agent;
before(async () => {
  model = await startModel();
  agent = await startAgent(model);
});
after(async () => {
  await agent.stop();
  await model.close();
});

export function bash(command: string): string {
  return `[[tool Bash ${JSON.stringify({ command })}]]`;
}

test("files of a turn are there on another server, and its next turn saves nothing", async () => {
  const stored = new Stored();
  const first = await agent.turn({ prompt: bash("mkdir -p a/b; echo pear > a/b/pear.txt; ln -s b a/link; chmod 751 a; sleep 0.1"), workspace: { version: 0 } });
  assert.deepEqual(first.types.slice(-3), ["result", "workspace", "end"]);
  const save = await stored.take(agent, first);
  assert.deepEqual(stored.paths, ["a", "a/b", "a/b/pear.txt", "a/link"]);
  assert.deepEqual([save.files, save.bytes, save.skipped, save.changed_total], [1, 5, 0, 2]);
  const other = await startAgent(model);
  try {
    await stored.restore(other, first.session);
    const again: Body = { agent_session: first.session, resume: true, transcript: first.transcript, prompt: bash("cat a/link/pear.txt; stat -c %a a; readlink a/link"), workspace: { version: 1 } };
    const second = await other.turn(again);
    assert.equal(second.result.text, "pear\n751\nb");
    assert.deepEqual({ ...second.one("workspace"), n: 0 }, { n: 0, type: "workspace", unchanged: true });
  } finally {
    await other.stop();
  }
});
