/*
 * Which rules ask before the SDK decides, and which calls a rule may be about.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mayBeAbout, narrowsInputs, operatorsAskRules, rulesAskedBySdk, rulesAskedFirst } from "../../src/actions/rules.ts";

test("a request's rules are asked about first where the operator's mode restricts, and are else the SDK's", () => {
  const rules = { ask_tools: ["Write", "Bash"], operator_ask_tools: ["Write"] };
  for (const options of [{ allowed_tools: ["Read"] }, { permission_mode: "acceptEdits" }, { permission_mode: "plan" }, { permission_mode: "plan", after_plan: "dontAsk" }]) {
    assert.deepEqual([rulesAskedFirst({ ...options, ...rules }), rulesAskedBySdk({ ...options, ...rules })], [["Bash"], ["Write"]]);
  }
  for (const options of [{}, { permission_mode: "default" }, { permission_mode: "plan", after_plan: "bypassPermissions" }]) {
    assert.deepEqual([rulesAskedFirst({ ...options, ...rules }), rulesAskedBySdk({ ...options, ...rules })], [[], ["Write", "Bash"]]);
  }
  // A Worker from before rules were told apart.
  assert.deepEqual(operatorsAskRules({ ask_tools: ["Bash"] }), ["Bash"]);
});

test("a rule may be about every call that it is about to the SDK", () => {
  const command = (text: string): object => ({ command: text });
  for (const [rule, tool, input] of [
    ["Bash", "Bash", command("ls")],
    ["Bash(git push:*)", "Bash", command("git push origin")],
    ["Bash(git push:*)", "Bash", command("cd a && git   push")],
    ["Bash(git push:*)", "Bash", command("gi\"t\" pu\\sh")],
    ["Bash(git * main)", "Bash", command("git push main")],
    ["Bash(*)", "Bash", command("anything")],
    ["Bash(git push:*)", "Bash", {}],
    ["Edit(a/**)", "Write", { file_path: "link/x" }],
    ["Read(a/**)", "Grep", { pattern: "x" }],
    ["WebFetch(domain:a.test)", "WebFetch", { url: "https://b.test" }],
    ["mcp__crm", "mcp__crm__find", {}],
    ["mcp__crm__*", "mcp__crm__find", {}],
    ["mcp__*__find", "mcp__crm__find", {}],
    ["Task", "Agent", {}],
  ] as const) {
    assert.equal(mayBeAbout(rule, tool, input), true, `${rule}: ${tool} ${JSON.stringify(input)}`);
  }
  for (const [rule, tool, input] of [
    ["Bash(git push:*)", "Bash", command("git log")],
    ["Edit", "Write", {}],
    ["Bash", "Read", {}],
    ["mcp__crm", "mcp__crmx__find", {}],
  ] as const) {
    assert.equal(mayBeAbout(rule, tool, input), false, `${rule}: ${tool} ${JSON.stringify(input)}`);
  }
});

test("inputs are narrowed by a mode that restricts and by rules about what a tool may do", () => {
  for (const options of [{}, { permission_mode: "default" }, { disallowed_tools: ["Write"] }, { permission_mode: "bypassPermissions", allowed_tools: ["Bash"] }]) assert.equal(narrowsInputs(options), false);
  for (const options of [{ allowed_tools: ["Bash"] }, { permission_mode: "plan" }, { deny_tools: ["Bash(rm:*)"] }, { disallowed_tools: ["Bash(rm:*)"] }]) assert.equal(narrowsInputs(options), true);
});
