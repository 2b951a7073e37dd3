/*
 * The kinds of actions from end to end, with the real SDK: questions, plans and many calls of the caller's tools at once, held and parked.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bash, json, problem } from "./client.ts";
import type { Action, Answer, Client, Waiting } from "./client.ts";
import { service } from "./support.ts";

const TIMEOUT_MS = 240_000;
/** What the CLI says to the model when it goes on by itself. */
const GO_ON = "Continue from where you left off.";
const QUESTION = { question: "Which colour?", header: "Colour", multiSelect: false, options: [{ label: "Blue", description: "b" }, { label: "Red", description: "r" }] };
const ASK = `[[tool AskUserQuestion ${JSON.stringify({ questions: [QUESTION] })}]]`;
const CALLS = 20;

describe("kinds of actions", { timeout: TIMEOUT_MS }, () => {
  const running = service({ vars: { ACTION_HOLD: "2s", ACCOUNT_CONCURRENCY: "2" } });

  const files = async (client: Client, sessionId: string): Promise<string> => (await client.query(bash("ls"), { session_id: sessionId })).response;

  /** The actions of a turn that waits: with its process, or without one. */
  async function waiting(client: Client, prompt: string, fields: object, isParked: boolean): Promise<Action[]> {
    if (!isParked) return (await json<Waiting>(await client.post(prompt, fields), 200)).actions;
    const stream = await client.stream(prompt, fields);
    const paused = await stream.until(({ event }) => event === "paused");
    assert.ok(paused, stream.names().join(" "));
    return paused.data["actions"] as Action[];
  }

  async function only(client: Client, prompt: string, fields: object, isParked: boolean): Promise<Action> {
    const actions = await waiting(client, prompt, fields, isParked);
    assert.equal(actions.length, 1);
    return actions[0] as Action;
  }

  for (const isParked of [false, true]) {
    const how = isParked ? "parked" : "held";

    test(`a question is asked if the query says so, and answered, ${how}`, async () => {
      const client = running.newClient();
      const action = await only(client, ASK, { questions: true, session_id: "questions" }, isParked);
      assert.deepEqual([action.kind, action.tool, action.input], ["question", "AskUserQuestion", { questions: [QUESTION] }]);
      await problem(client.decide(action.action_id, { decision: "allow" }), 400, "invalid_parameter");
      const answer = await json<Answer>(await client.decide(action.action_id, { decision: "answer", answers: { "Which colour?": "Blue" } }), 200);
      assert.match(answer.response, /Blue/);
      const silent = await client.query(ASK, { session_id: "questions" });
      assert.match(silent.response, /No such tool available: AskUserQuestion/);
    });

    test(`a plan is carried out when it is approved and not before, ${how}`, async () => {
      const client = running.newClient();
      const session_id = "plans";
      const plan = `${bash("touch early")} [[plan # Touch late]]`;
      const action = await only(client, `${plan} ${bash("touch late")} [[say done]]`, { permission_mode: "plan", session_id }, isParked);
      assert.deepEqual([action.kind, (action.input as { plan: string }).plan], ["plan", "# Touch late"]);
      const answer = await json<Answer>(await client.decide(action.action_id, { decision: "allow" }), 200);
      assert.equal(answer.response, "done");
      assert.match(await files(client, session_id), /^late\n?$/m);
      assert.doesNotMatch(await files(client, session_id), /early/);
    });

    test(`a plan that is denied is not carried out, ${how}`, async () => {
      const client = running.newClient();
      const action = await only(client, `[[plan # Touch late]] ${bash("touch late")}`, { permission_mode: "plan", session_id: "plans" }, isParked);
      const answer = await json<Answer>(await client.decide(action.action_id, { decision: "deny", message: "Not like this." }), 200);
      assert.match(answer.response, /Not like this\./);
      assert.doesNotMatch(await files(client, "plans"), /late/);
    });
  }

  test("a plan that was approved after its container was gone is carried out in the operator's mode", async () => {
    const client = running.newClient();
    const action = await only(client, "[[plan # Touch late]]", { permission_mode: "plan", session_id: "plans" }, true);
    await running.stack.restartWorker();
    for (const { pid } of (running.stack.engine?.containers() ?? []).filter(({ running: runs }) => runs)) process.kill(pid, "SIGKILL");
    running.model.control.script(GO_ON, `${bash("touch late")} [[say done]]`);
    const answer = await json<Answer>(await client.decide(action.action_id, { decision: "allow" }), 200);
    assert.equal(answer.response, "done");
    assert.match(await files(client, "plans"), /late/);
  });

  const tools = [{ name: "find_order", description: "Finds an order.", input_schema: { type: "object", properties: { id: { type: "number" } } } }];

  test("calls of one message are actions of one turn, and each gets its own result", async () => {
    const client = running.newClient();
    const call = (id: number): string => `mcp__client__find_order {"id":${id}}`;
    const prompt = Array.from({ length: CALLS }, (_, id) => `[[${id === 0 ? "tool" : "also"} ${call(id)}]]`).join(" ");
    const stream = await client.stream(prompt, { tools, session_id: "many" });
    const seen: Action[] = [];
    while (seen.length < CALLS) {
      const known = seen.map(({ action_id }) => action_id);
      const event = await stream.until(({ event, data }) => event === "action" && !known.includes(String(data["action_id"])));
      assert.ok(event, `no ${seen.length + 1}th action`);
      seen.push(event.data as Action);
    }
    const decisions = seen.map(({ action_id, input }) => client.decide(action_id, { decision: "result", content: `order ${(input as { id: number }).id}.` }, { prefer: "respond-async" }));
    for (const response of await Promise.all(decisions)) await json(response, 202);
    const turn = await client.ended(seen[0] as Action);
    assert.equal(turn.status, "completed");
    const { messages } = await client.conversation("many");
    for (let id = 0; id < CALLS; id += 1) assert.equal(messages.at(-1)?.content.split(`order ${id}.`).length, 2, `order ${id}`);
  });

  test("of two decisions at once one counts", async () => {
    const client = running.newClient();
    const action = await only(client, "[[tool mcp__client__find_order {}]]", { tools, session_id: "race" }, false);
    const contents = ["one", "two"];
    const responses = await Promise.all(contents.map((content) => client.decide(action.action_id, { decision: "result", content }, { prefer: "respond-async" })));
    assert.deepEqual(responses.map(({ status }) => status).sort(), [202, 409]);
    const winner = contents[responses.findIndex(({ status }) => status === 202)] as string;
    await problem(responses.find(({ status }) => status === 409) as Response, 409, "action_resolved");
    const again = await json<Answer>(await client.decide(action.action_id, { decision: "result", content: winner }), 200);
    assert.equal(again.response, winner);
  });

  test("a schema of a tool that is not valid is refused, and nothing runs", async () => {
    const client = running.newClient();
    // The Worker does not compile it, and the agent server does.
    const input_schema = { type: "object", properties: { id: { type: "string", pattern: "(" } } };
    const refused = await problem(client.post("[[say never]]", { tools: [{ name: "a", description: "", input_schema }], session_id: "schemas" }), 400, "invalid_tool_schema");
    assert.match(refused.detail, /^tools\[0\]\.input_schema: /);
    assert.deepEqual(running.asked("[[say never]]"), []);
  });
});
