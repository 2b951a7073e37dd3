/*
 * What an MCP server asks of the user, on the real CLI: held, the server gets the answer; parked, it is told that nobody answers, and the model by a message.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { decisionMessage } from "../../src/actions/continuation.ts";
import type { Continuation } from "../../src/actions/terms.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body } from "../harness.ts";
import { decide } from "./deciding.ts";

const SCHEMA = { type: "object", properties: { seat: { type: "string" } }, required: ["seat"] };
/** A server whose one tool asks for a seat and answers what it was told. */
const SERVER = `
let calls = 0;
const pending = new Map();
const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n");
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params, result } = JSON.parse(line);
  if (method === "initialize") send({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "seats", version: "1" } } });
  else if (method === "tools/list") send({ id, result: { tools: [{ name: "book", description: "books a seat", inputSchema: { type: "object", properties: {} } }] } });
  else if (method === "tools/call") {
    pending.set("e" + ++calls, id);
    send({ id: "e" + calls, method: "elicitation/create", params: { message: "Which seat?", requestedSchema: ${JSON.stringify(SCHEMA)} } });
  } else if (pending.has(id)) {
    send({ id: pending.get(id), result: { content: [{ type: "text", text: "told " + JSON.stringify(result) }] } });
  }
});
`;

describe("elicitation", () => {
  let model: Model;
  let agent: Agent;
  let options: object;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
    const file = join(agent.root, "seats.cjs");
    writeFileSync(file, SERVER);
    options = { mcp_servers: { seats: { command: process.execPath, args: [file] } } };
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const asked = (): Body => ({ prompt: "[[tool mcp__seats__book {}]]", options: { ...options }, actions: true });

  for (const [decision, told] of [
    [{ decision: "answer", answers: { seat: "7A" } }, /told .*"action":"accept".*"seat":"7A"/],
    [{ decision: "deny" }, /told .*"action":"decline"/],
    [{ decision: "expired" }, /told .*"action":"cancel"/],
  ] as const) {
    test(`held: ${decision.decision}`, async () => {
      const open = await agent.begin(asked());
      const action = await open.until("action");
      assert.deepEqual([action.kind, action.tool, action.message, action.schema], ["elicitation", "seats", "Which seat?", SCHEMA]);
      await decide(agent, open.id, action.reference, decision);
      const turn = await open.rest();
      assert.equal(turn.result.status, "completed");
      assert.match(turn.result.text, told);
    });
  }

  test("parked: the server is told that nobody answers, and the model what was answered later", async () => {
    const open = await agent.begin(asked());
    const { reference, kind, tool } = await open.until("action");
    const requests = model.control.requests().length;
    assert.equal((await agent.call("POST", `/turns/${open.id}/park`)).status, 202);
    const first = await open.rest();
    assert.deepEqual([first.result.status, first.result.continue_by], ["requires_action", "message"]);
    assert.equal(model.control.requests().length, requests, "the turn does not go on without the answer");
    const continuation: Continuation = { run: 1, by: "message", actions: [{ reference, kind, ...(tool !== undefined && { tool }), decision: { decision: "answer", answers: { seat: "7A" } } }] };
    model.control.script(decisionMessage(continuation) as string, "[[say booked]]");
    const turn = await agent.turn({ agent_session: first.session, resume: true, prompt: "", options: { ...options }, actions: true, continuation });
    assert.deepEqual([turn.result.status, turn.result.text], ["completed", "booked"]);
  });

  test("nobody is asked where nobody takes actions", async () => {
    const { actions: _actions, ...body } = asked();
    const turn = await agent.turn(body);
    assert.deepEqual([turn.result.status, turn.of("action").length], ["completed", 0]);
    assert.match(turn.result.text, /told .*"action":"(cancel|decline)"/);
  });
});
