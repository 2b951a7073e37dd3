/*
 * What a turn's options do to the requests that the model gets, seen by a recorder between the CLI and the stand-in.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { InvalidOptions, readOptions } from "../src/options.ts";
import { startAgent } from "./harness.ts";
import type { Agent } from "./harness.ts";
import { startRecorder } from "./recorder.ts";
import type { Recorder } from "./recorder.ts";

/** Far below the 40 s that the CLI waits of its own accord. */
const SILENT_SERVER_LIMIT_MS = 15_000;

/** A tool server on stdio, as small as the protocol allows: one tool, which answers "pong". */
const TOOL_SERVER = `
const { createInterface } = require("node:readline");
const answers = {
  initialize: (params) => ({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "probe", version: "1" } }),
  "tools/list": () => ({ tools: [{ name: "ping", description: "answers pong", inputSchema: { type: "object", properties: {} } }] }),
  "tools/call": () => ({ content: [{ type: "text", text: "pong " + process.env.TOOL_TOKEN }] }),
};
createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const result = answers[method]?.(params);
  console.log(JSON.stringify(result ? { jsonrpc: "2.0", id, result } : { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } }));
});`;

describe("options", () => {
  let model: Model;
  let recorder: Recorder;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    recorder = await startRecorder(model);
    agent = await startAgent(recorder.model);
    await agent.processesReady();
  });
  after(async () => {
    await agent.stop();
    await recorder.close();
    await model.close();
  });

  const system = (): string => (recorder.last().system ?? []).map((block) => block.text).join("\n");
  /** The CLI's own placeholder for tools that are loaded later is not one. */
  const tools = (): string[] => (recorder.last().tools ?? []).map((tool) => tool.name).filter((name) => name !== "DeferredToolPlaceholder").sort();

  test("left out give six tools and a short system prompt", async () => {
    await agent.turn({ prompt: "hello" });
    assert.deepEqual(tools(), ["Bash", "Edit", "Glob", "Grep", "Read", "Write"]);
    assert.match(system(), /You are a Claude agent/);
    assert.ok(system().length < 1_000, `${system().length} characters`);
  });

  test("system_prompt is what this turn says, also where the conversation had another", async () => {
    const first = await agent.turn({ prompt: "one", options: { system_prompt: "You speak like a pirate." } });
    assert.match(system(), /like a pirate/);
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: "two", options: { system_prompt: "You speak like a poet." } });
    assert.equal(second.result.status, "completed");
    assert.match(system(), /like a poet/);
    assert.doesNotMatch(system(), /pirate/);
  });

  test("system_prompt.append is added to Claude Code's own", async () => {
    await agent.turn({ prompt: "one", options: { system_prompt: { append: "And you like tea." } } });
    assert.match(system(), /And you like tea\./);
    assert.ok(system().length > 2_000, `${system().length} characters`);
  });

  test("effort is what this turn says, in the same process", async () => {
    const first = await agent.turn({ prompt: "one" });
    const usual = recorder.last().output_config?.effort;
    const asked = async (options: Record<string, unknown>): Promise<string | undefined> => {
      const turn = await agent.turn({ agent_session: first.session, resume: true, prompt: "again", options });
      assert.deepEqual([turn.one("started").warm, turn.result.status], [true, "completed"]);
      return recorder.last().output_config?.effort;
    };
    for (const effort of ["low", "medium", "high", "xhigh", "max"]) assert.equal(await asked({ effort }), effort);
    assert.equal(await asked({}), usual);
    assert.equal((await agent.turn({ prompt: "a new one", options: { effort: "low" } })).result.status, "completed");
    assert.equal(recorder.last().output_config?.effort, "low");
  });

  test("thinking is what this turn says, in the same process", async () => {
    const model = "claude-sonnet-5";
    const first = await agent.turn({ prompt: "one", options: { model } });
    const usual = recorder.last().thinking;
    assert.equal(usual?.type, "adaptive");
    for (const [thinking, type] of [
      ["off", "disabled"],
      ["on", "adaptive"],
      ["off", "disabled"],
      [undefined, "adaptive"],
    ] as const) {
      const turn = await agent.turn({ agent_session: first.session, resume: true, prompt: "again", options: { model, thinking } });
      assert.deepEqual([turn.one("started").warm, turn.result.status, recorder.last().thinking?.type], [true, "completed", type]);
    }
    assert.deepEqual(recorder.last().thinking, usual);
  });

  test("thinking is off from the first turn on where that says so", async () => {
    await agent.turn({ prompt: "one", options: { model: "claude-haiku-4-5", thinking: "off" } });
    assert.equal(recorder.last().thinking?.type, "disabled");
  });

  test("thinking off is nothing to a model that always thinks", async () => {
    const turn = await agent.turn({ prompt: "one", options: { model: "claude-opus-5-5", thinking: "off" } });
    assert.deepEqual([turn.result.status, recorder.last().thinking?.type], ["completed", "adaptive"]);
  });

  test("allowed_tools are the only ones offered, and run", async () => {
    const turn = await agent.turn({ prompt: '[[tool Bash {"command":"echo ran"}]]', options: { allowed_tools: ["Bash"] } });
    assert.deepEqual(tools(), ["Bash"]);
    assert.match(turn.result.text, /ran/);
  });

  test("allowed_tools with a rule deny what is outside of it", async () => {
    const turn = await agent.turn({ prompt: '[[tool Bash {"command":"touch outside"}]] [[say tried]]', options: { allowed_tools: ["Bash(git status:*)"] } });
    assert.equal(turn.of("tool").at(-1)?.status, "denied");
    assert.equal(turn.result.text, "tried");
  });

  test("a tool that shows agents shows none of the container's other conversations", async () => {
    const options = { allowed_tools: ["ListAgents", "Bash"] };
    const other = await agent.turn({ prompt: "[[say here]]", options });
    const turn = await agent.turn({ prompt: "[[tool ListAgents {}]]", options });
    assert.equal(turn.of("tool").at(-1)?.status, "finished");
    assert.ok(!turn.result.text.includes(other.session), turn.result.text);
  });

  test("disallowed_tools are not offered", async () => {
    await agent.turn({ prompt: "hello", options: { disallowed_tools: ["Bash", "Write"] } });
    assert.deepEqual(tools(), ["Edit", "Glob", "Grep", "Read"]);
  });

  test("permission_mode plan runs no tool that writes", async () => {
    const turn = await agent.turn({ prompt: '[[tool Write {"file_path":"a.txt","content":"x"}]] [[say planned]]', options: { permission_mode: "plan" } });
    assert.equal(turn.of("tool").at(-1)?.status, "denied");
  });

  test("mcp_servers give their tools, and their environment stays off the command line", async () => {
    const file = join(agent.root, "tool-server.cjs");
    writeFileSync(file, TOOL_SERVER);
    const probe = { command: process.execPath, args: [file], env: { TOOL_TOKEN: "t0ken-of-the-tool" } };
    const turn = await agent.turn({
      prompt: '[[tool mcp__probe__ping {}]] [[tool Bash {"command":"tr \'\\\\0\' \' \' < /proc/$PPID/cmdline"}]]',
      options: { mcp_servers: { probe } },
    });
    assert.ok(tools().includes("mcp__probe__ping"), tools().join(" "));
    assert.match(turn.result.text, /pong t0ken-of-the-tool/);
    assert.match(turn.result.text, /--strict-mcp-config/);
    assert.equal(turn.result.text.split("t0ken-of-the-tool").length, 2, "the token is in the tool's answer alone");
  });
});

test("an MCP server that never answers is left out, and its turn goes on", async () => {
  const model = await startModel();
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const agent = await startAgent(model, { MCP_TIMEOUT: "500" });
  try {
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/mcp`;
    const begun = performance.now();
    const turn = await agent.turn({ prompt: "[[tool mcp__silent__ping {}]] [[say on]]", options: { mcp_servers: { silent: { type: "http", url } } } });
    assert.deepEqual([turn.result.status, turn.result.text], ["completed", "on"]);
    assert.ok(performance.now() - begun < SILENT_SERVER_LIMIT_MS, `${Math.round(performance.now() - begun)} ms`);
  } finally {
    await agent.stop();
    await model.close();
    silent.closeAllConnections();
    silent.close();
    await once(silent, "close");
  }
});

describe("what a Worker sends", () => {
  test("is taken as it is: its values are the Worker's to check, and those of a newer one too", () => {
    const options = {
      model: "",
      system_prompt: { append: "a", cached: true },
      max_turns: -1,
      allowed_tools: Array.from({ length: 300 }, () => "Bash"),
      disallowed_tools: [],
      permission_mode: "of_tomorrow",
      max_budget_usd: 0,
      mcp_servers: Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`s${n}`, { type: "socket", path: "/s" }])),
    };
    assert.deepEqual(readOptions(options), options);
  });

  test("holds options that this server does not know: they are named and left out, and null is no option", () => {
    const unknown: string[] = [];
    assert.deepEqual(readOptions({ verbosity: "high", constructor: 1, model: "m", max_turns: null }, unknown), { model: "m" });
    assert.deepEqual(unknown, ["verbosity", "constructor"]);
    assert.deepEqual([readOptions(undefined), readOptions(null)], [{}, {}]);
  });

  for (const [name, value] of Object.entries({
    model: 5,
    system_prompt: { prepend: "a" },
    max_turns: "5",
    allowed_tools: "Bash",
    disallowed_tools: [1],
    permission_mode: true,
    max_budget_usd: "0.5",
    mcp_servers: { a: "command" },
    output_schema: "object",
    thinking: true,
    compact: "yes",
  })) {
    test(`is refused where ${name} is of another type`, () => {
      assert.throws(() => readOptions({ [name]: value }), (error) => error instanceof InvalidOptions && error.message.includes(name));
    });
  }

  test("is refused where the options are no object", () => {
    for (const options of [[], "model", 7]) assert.throws(() => readOptions(options), InvalidOptions);
  });
});
