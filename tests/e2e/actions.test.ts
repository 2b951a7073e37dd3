/*
 * Actions from end to end, with the real SDK: a call that a rule asks about waits for its answer, held and without a process, and runs once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decisionMessage } from "../../container/src/actions/continuation.ts";
import type { Continuation } from "../../container/src/actions/terms.ts";
import { bash, json, problem } from "./client.ts";
import type { Action, Answer, Client, Waiting } from "./client.ts";
import type { EventStream } from "./event-stream.ts";
import { serverAndCli } from "./containers.ts";
import { gone } from "./processes.ts";
import { service } from "./support.ts";

const TIMEOUT_MS = 240_000;

type Continued = Continuation["actions"][number];

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

describe("actions of a turn that is parked", { timeout: TIMEOUT_MS }, () => {
  const running = service({ vars: { ASK_TOOLS: "Bash(touch:*)", ACTION_HOLD: "1s" } });
  const EXIT_MS = 10_000;

  const command = (name: string): string => bash(`touch ${name}; echo ${name} >> runs`);

  /** A turn that waits without a process, as its stream tells. */
  async function parked(client: Client, name: string): Promise<Action> {
    const stream = await client.stream(`${command(name)} [[say done]]`, { session_id: name });
    const action = await asked(stream);
    const paused = await stream.until(({ event }) => event === "paused");
    assert.deepEqual((paused?.data["actions"] as Action[]).map(({ action_id }) => action_id), [action.action_id]);
    await stream.until(() => false);
    assert.equal(stream.events.at(-1), paused, "the stream ends with it");
    return action;
  }

  const runs = async (client: Client, name: string): Promise<string> => (await client.query(bash("cat runs"), { session_id: name })).response.trim();

  for (const [what, meanwhile] of [
    ["in the same container", async (): Promise<void> => {}],
    ["in a fresh container", async (client: Client, name: string): Promise<void> => {
      const { server } = await serverAndCli(client, running, `${name}-other`);
      process.kill(server, "SIGKILL");
      await gone(server, EXIT_MS);
    }],
    ["after workerd was restarted", (): Promise<void> => running.stack.restartWorker()],
  ] as const) {
    test(`what was allowed runs once ${what}`, async () => {
      const client = running.newClient();
      const name = what.replaceAll(" ", "-");
      const action = await parked(client, name);
      await meanwhile(client, name);
      // The model is told to make the call again, and does.
      const { reference, kind, tool, input } = { reference: action.action_id, ...action };
      const told = decisionMessage({ run: 1, by: "message", actions: [{ reference, kind, tool, input, decision: { decision: "allow" } } as Continued] }) as string;
      running.model.control.script(told, `${command(name)} [[say done]]`);
      const answer = await json<Answer>(await client.decide(action.action_id, { decision: "allow" }), 200);
      assert.equal(answer.response, "done");
      assert.equal(await runs(client, name), name);
    });
  }

  test("a tool of the caller's gets its result, held and parked", async () => {
    const client = running.newClient();
    const tools = [{ name: "find_order", description: "Finds an order.", input_schema: { type: "object", properties: { id: { type: "number" } } } }];
    const prompt = '[[tool mcp__client__find_order {"id":7}]]';
    for (const wait of [false, true]) {
      const stream = await client.stream(prompt, { session_id: `tools-${wait}`, tools });
      const action = await asked(stream);
      assert.deepEqual([action.kind, action.tool, action.input], ["tool", "find_order", { id: 7 }]);
      if (wait) assert.ok(await stream.until(({ event }) => event === "paused"));
      const answer = await json<Answer>(await client.decide(action.action_id, { decision: "result", content: "shipped" }), 200);
      assert.match(answer.response, /shipped/);
    }
  });
});
