/*
 * Actions from end to end, with the real SDK: a call that a rule asks about waits for its answer, held and without a process, and runs once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bash, json, problem } from "./client.ts";
import type { Action, Answer, Client, Waiting } from "./client.ts";
import type { EventStream } from "./event-stream.ts";
import { service } from "./support.ts";

const TIMEOUT_MS = 240_000;

/** The action that a stream tells of next. */
async function asked(stream: EventStream): Promise<Action> {
  const event = await stream.until(({ event }) => event === "action");
  assert.ok(event, `no action: ${stream.names().join(" ")}`);
  return event.data as Action;
}

describe("actions", { timeout: TIMEOUT_MS }, () => {
  const running = service({ vars: { ASK_TOOLS: "Bash(touch:*)", ACCOUNT_CONCURRENCY: "1" } });
  const touch = (name: string, say = "[[say done]]"): string => `${bash(`touch ${name}`)} ${say}`;
  const files = async (client: Client, sessionId: string): Promise<string> => (await client.query(bash("ls"), { session_id: sessionId })).response;

  test("a call is asked about, allowed in the stream of its turn, and runs", async () => {
    const client = running.newClient();
    const stream = await client.stream(touch("allowed"));
    const action = await asked(stream);
    assert.deepEqual([action.kind, action.tool, action.input, action.status], ["permission", "Bash", { command: "touch allowed" }, "pending"]);
    assert.equal((await client.turn(action.turn_id)).status, "requires_action");
    assert.deepEqual((await client.actions({ status: "pending" })).map(({ action_id }) => action_id), [action.action_id]);
    await json(await client.decide(action.action_id, { decision: "allow" }, { prefer: "respond-async" }), 202);
    const last = await stream.toEnd();
    assert.deepEqual([last.event, last.data["response"]], ["done", "done"]);
    const resolved = stream.events.find(({ event }) => event === "action_resolved");
    assert.deepEqual(resolved?.data, { action_id: action.action_id, status: "resolved", decision: "allow" });
    assert.match(await files(client, action.session_id), /allowed/);
  });

  test("the JSON answer says what is to be decided, and the decision's says how the turn ended", async () => {
    const client = running.newClient();
    const waiting = await json<Waiting>(await client.post(touch("denied", "")), 200);
    assert.deepEqual([waiting.status, waiting.actions.length], ["requires_action", 1]);
    const action = waiting.actions[0] as Action;
    await problem(client.post("hello", { session_id: waiting.session_id }), 409, "action_pending");
    const answer = await json<Answer>(await client.decide(action.action_id, { decision: "deny", message: "Not today." }), 200);
    assert.match(answer.response, /Not today\./);
    assert.equal((await json<Answer>(await client.decide(action.action_id, { decision: "deny", message: "Not today." }), 200)).response, answer.response);
    await problem(client.decide(action.action_id, { decision: "allow" }), 409, "action_resolved");
    assert.doesNotMatch(await files(client, action.session_id), /denied/);
  });

  test("a turn that waits takes no place of the account's", async () => {
    const client = running.newClient();
    const waiting = await json<Waiting>(await client.post(touch("later")), 200);
    assert.equal((await client.query("What is 2+2?")).response, "4");
    const answer = await json<Answer>(await client.decide((waiting.actions[0] as Action).action_id, { decision: "allow" }), 200);
    assert.equal(answer.response, "done");
  });
});
