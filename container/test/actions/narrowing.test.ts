/*
 * What somebody allows, on the real CLI: a request's rules ask within what the operator lets run, and a changed input is a call like any other.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import type { Continuation } from "../../src/actions/terms.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, Numbered, TurnFrames } from "../harness.ts";
import { decide } from "./deciding.ts";

type ActionFrame = Extract<Numbered, { type: "action" }>;

describe("what may be allowed", () => {
  let model: Model;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const GIT = { allowed_tools: ["Read", "Write", "Bash(git --version:*)"] };
  const request = (...rules: string[]): object => ({ ask_tools: rules, operator_ask_tools: [] });
  const operator = (...rules: string[]): object => ({ ask_tools: rules });
  const bash = (command: string): string => `[[tool Bash ${JSON.stringify({ command })}]]`;
  const asking = (prompt: string, options: object): Body => ({ prompt, options: { ...options }, actions: true });
  const made = ({ session }: { session: string }, name: string): boolean => existsSync(join(agent.root, "workspace", session, name));

  /** Whoever is asked allows everything, the first call with `input`. */
  async function allowing(prompt: string, options: object, input?: object): Promise<{ turn: TurnFrames; asked: unknown[] }> {
    const open = await agent.begin(asking(prompt, options));
    const asked: unknown[] = [];
    while (await open.untilAny(["action"])) {
      const action = open.seen.at(-1) as ActionFrame;
      const changed = asked.push((action.input as { command?: string }).command ?? action.tool) === 1 ? input : undefined;
      await decide(agent, open.id, action.reference, { decision: "allow", ...(changed && { input: changed }) });
    }
    return { turn: await open.rest(), asked };
  }

  const EVIL = "mkfifo evil";
  const DENIED = [
    ["dontAsk", "the whole tool", GIT, ["Bash"], EVIL],
    ["dontAsk", "the command", GIT, ["Bash(mkfifo:*)"], EVIL],
    ["dontAsk", "another part of the command", GIT, ["Bash(git push:*)"], `${EVIL}; git push`],
    ["acceptEdits", "the whole tool", { permission_mode: "acceptEdits" }, ["Bash"], EVIL],
    ["plan", "the command", { permission_mode: "plan" }, ["Bash(touch:*)"], "touch evil"],
  ] as const;
  for (const [mode, what, options, rules, command] of DENIED) {
    test(`in ${mode} a request's rule about ${what} lets nothing run that the operator does not`, async () => {
      const { turn } = await allowing(bash(command), { ...options, ...request(...rules) });
      assert.deepEqual([turn.result.status, made(turn, "evil")], ["completed", false]);
    });
  }

  test("in bypassPermissions a request's rule does not make an unsafe call one that may be allowed", async () => {
    const command = "git push; rm -rf ~";
    const { turn, asked } = await allowing(bash(command), request("Bash(git push:*)"));
    assert.deepEqual([turn.result.status, asked], ["completed", []]);
  });

  test("a request's rule asks about what the operator lets run, and about nothing else", async () => {
    const rules = { ...GIT, ...request("Bash(git --version:*)", "Write") };
    const one = await allowing(`${bash("git --version")} [[tool Write {"file_path":"a","content":"a"}]]`, rules);
    assert.deepEqual([one.asked, one.turn.result.status, made(one.turn, "a")], [["git --version", "Write"], "completed", true]);
    const open = await agent.begin(asking(bash("git --version"), rules));
    await decide(agent, open.id, (await open.until("action")).reference, { decision: "deny", message: "Not today." });
    assert.match((await open.rest()).result.text, /Not today\./);
    const other = await allowing(bash("git --version"), { ...GIT, ...request("Bash(git push:*)") });
    assert.deepEqual(other.asked, []);
    assert.match(other.turn.result.text, /git version/);
    const edits = await allowing('[[tool Write {"file_path":"secret","content":"a"}]]', { permission_mode: "acceptEdits", ...request("Edit(secret)") });
    assert.deepEqual([edits.asked, made(edits.turn, "secret")], [["Write"], true]);
  });

  test("an operator's rule asks about what else would be denied, beside a request's", async () => {
    const rules = { ...GIT, ask_tools: ["Bash(touch:*)", "Bash(mkfifo:*)"], operator_ask_tools: ["Bash(touch:*)"] };
    const { turn, asked } = await allowing(`${bash("touch good")} ${bash(EVIL)}`, rules);
    assert.deepEqual([asked, made(turn, "good"), made(turn, "evil")], [["touch good", EVIL], true, false]);
    const alone = await allowing(bash("touch good"), { ...GIT, ...operator("Bash(touch:*)") });
    assert.deepEqual([alone.asked, made(alone.turn, "good")], [["touch good"], true]);
    const both = await allowing(bash("touch good; git --version"), { ...GIT, ask_tools: ["Bash(touch:*)", "Bash(git:*)"], operator_ask_tools: ["Bash(touch:*)"] });
    assert.deepEqual([both.asked, made(both.turn, "good")], [["touch good; git --version"], true], "it is asked about once");
  });

  for (const by of ["live", "cold"] as const) {
    test(`a call that a request's rule asks about and that is parked runs once when it is made again (${by})`, async () => {
      const rules = { allowed_tools: ["Bash(touch:*)"], ...request("Bash") };
      const again = `${bash("touch parked")} ${bash("touch parked")}`;
      const open = await agent.begin(asking(`${bash("touch parked")} ${again}`, rules));
      const action = await open.until("action");
      assert.equal((await agent.call("POST", `/turns/${open.id}/park`)).status, 202);
      const first = await open.rest();
      assert.deepEqual([first.result.status, first.result.continue_by, made(first, "parked")], ["requires_action", "results", false]);
      if (by === "cold") await agent.call("POST", `/sessions/${first.session}/stop`);
      const { reference, kind, tool_call_id, tool, input } = action;
      const continuation: Continuation = { run: 1, by: "results", actions: [{ reference, kind, tool_call_id, tool, input, decision: { decision: "allow" } } as Continuation["actions"][number]] };
      // A process that is alive reads the decision as the call's result.
      if (by === "cold") model.control.script("Continue from where you left off.", again);
      const rest = await agent.begin({ agent_session: first.session, resume: true, prompt: "", options: rules, actions: true, continuation });
      const second = await rest.until("action");
      assert.deepEqual([second.input, made(first, "parked")], [{ command: "touch parked" }, true]);
      await decide(agent, rest.id, second.reference, { decision: "deny" });
      assert.equal((await rest.rest()).result.status, "completed");
    });
  }

  const NARROWED = [
    ["the operator's denials", { disallowed_tools: ["Bash(mkfifo:*)"], ...operator("Bash(touch:*)") }],
    ["the request's denials", { deny_tools: ["Bash(mkfifo:*)"], ...operator("Bash(touch:*)") }],
    ["the operator's list", { allowed_tools: ["Bash(git --version:*)"], ...operator("Bash(touch:*)") }],
    ["the operator's mode", { permission_mode: "acceptEdits", ...operator("Bash(touch:*)") }],
    ["the operator's denials, asked by the mode", { permission_mode: "default", disallowed_tools: ["Bash(mkfifo:*)"] }],
    ["the operator's list, asked by a request", { allowed_tools: ["Bash(touch:*)"], ...request("Bash(touch:*)") }],
  ] as const;
  for (const [what, options] of NARROWED) {
    test(`a changed input does not run against ${what}, nor if the model makes the call again`, async () => {
      const { turn } = await allowing(`${bash("touch good")} ${bash(EVIL)}`, options, { command: EVIL });
      assert.deepEqual([turn.result.status, made(turn, "good"), made(turn, "evil")], ["completed", false, false]);
    });
  }

  test("a changed input within the rules runs: at once if a request's rule asked, else when the model makes that call, unasked", async () => {
    const first = await allowing(bash("touch a"), { allowed_tools: ["Bash(touch:*)"], ...request("Bash(touch:*)") }, { command: "touch b" });
    assert.deepEqual([first.asked, made(first.turn, "a"), made(first.turn, "b")], [["touch a"], false, true]);
    const rules = { disallowed_tools: ["Bash(mkfifo:*)"], ...operator("Bash(touch:*)") };
    const second = await allowing(`${bash("touch a")} ${bash("touch b")}`, rules, { command: "touch b" });
    assert.deepEqual([second.asked, made(second.turn, "a"), made(second.turn, "b")], [["touch a"], false, true]);
    assert.match(JSON.stringify(second.turn.transcript), /Make the call again, with exactly this input: \{\\"command\\":\\"touch b\\"\}/);
  });

  test("the input that was shown is no changed one", async () => {
    const { turn, asked } = await allowing(bash("touch a"), { disallowed_tools: ["Bash(mkfifo:*)"], ...operator("Bash(touch:*)") }, { command: "touch a" });
    assert.deepEqual([asked, made(turn, "a")], [["touch a"], true]);
  });

  test("a changed input runs at once if nothing narrows it", async () => {
    for (const options of [operator("Bash(touch:*)"), { permission_mode: "default" }, request("Bash(touch:*)")]) {
      const { turn, asked } = await allowing(bash("touch a"), options, { command: "touch b" });
      assert.deepEqual([asked, made(turn, "a"), made(turn, "b")], [["touch a"], false, true], JSON.stringify(options));
    }
  });
});
