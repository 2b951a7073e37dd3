/*
 * The effect of the operator's vars on the agent, as the model sees it: which model, prompt and tools it gets, what a request may change,
 * what ends a turn, and whose tools run. A wrong var is reported in the response.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { LoggedRequest } from "../../dev/model/control.ts";
import { bash, json, problem } from "./client.ts";
import type { Action, Answer, Client, Waiting } from "./client.ts";
import { service } from "./support.ts";
import type { Service } from "./support.ts";
import { answerOf, startToolServer } from "./tool-server.ts";
import { Outbound } from "./upstream.ts";

const TIMEOUT_MS = 180_000;
const LOG_TIMEOUT_MS = 10_000;
const HTTP_TOKEN = "Bearer t0ken-of-the-http-server";
const STDIO_TOKEN = "t0ken-of-the-stdio-server";
const STDIO_SERVER = fileURLToPath(new URL("tool-server.ts", import.meta.url));

const toolServer = await startToolServer();
after(() => toolServer.close());

/** A tool call whose words cost more than the budget, at 4 characters a token and 15 dollars a million; then an answer. */
const BUDGET_USD = 0.05;
const DEAR = `[[tool Bash {"command":": ${"x".repeat((BUDGET_USD / 15) * 1_000_000 * 4)}"}]] [[say done]]`;

/** Asks this, and returns the model's only request for it. */
async function asked(running: Service, client: Client, prompt: string, fields = {}): Promise<LoggedRequest> {
  await client.query(prompt, fields);
  const requests = running.asked(prompt);
  assert.equal(requests.length, 1);
  return requests[0] as LoggedRequest;
}

describe("a service that says what its agent is", { timeout: TIMEOUT_MS }, () => {
  const running = service({
    vars: {
      ALLOWED_MODELS: "claude-sonnet-4-5, claude-haiku-4-5",
      SYSTEM_PROMPT: "You speak like a pirate.",
      ALLOWED_TOOLS: "Read, Bash(echo a, b), mcp__web__ping, mcp__local__ping",
    },
    // Numbers and tables, which wrangler passes to the Worker as they are.
    configuration: {
      vars: {
        MAX_TURNS: 3,
        MCP_SERVERS: {
          web: { type: "http", url: toolServer.url, headers: { authorization: HTTP_TOKEN } },
          local: { command: process.execPath, args: [STDIO_SERVER], env: { TOOL_TOKEN: STDIO_TOKEN } },
        },
      },
    },
  });
  let client: Client;
  before(() => {
    client = running.newClient();
  });

  test("asks the first model of the list", async () => {
    assert.equal((await asked(running, client, "[[say ok]] which model")).model, "claude-sonnet-4-5");
  });

  test("lets a request name another of the list", async () => {
    assert.equal((await asked(running, client, "[[say ok]] another model", { model: "claude-haiku-4-5" })).model, "claude-haiku-4-5");
  });

  test("lets a request's rules ask about what its tools may do, and lets nothing else run", async () => {
    for (const [command, read] of [["echo a, b", /a, b/], ["mkfifo evil", /denied/]] as const) {
      const { actions } = await json<Waiting>(await client.post(bash(command), { permissions: { ask: ["Bash"] } }), 200);
      const { action_id, input } = actions[0] as Action;
      assert.deepEqual([actions.length, input], [1, { command }]);
      await problem(client.decide(action_id, { decision: "allow", input: { command: "id" } }), 400, "invalid_parameter");
      const { response } = await json<Answer>(await client.decide(action_id, { decision: "allow" }), 200);
      assert.match(response, read);
    }
  });

  test("refuses a model outside the list", async () => {
    const { detail } = await problem(client.post("hello", { model: "claude-opus-5-5" }), 400, "invalid_parameter");
    assert.equal(detail, "model: one of claude-sonnet-4-5, claude-haiku-4-5");
  });

  test("holds to the list whatever its container calls, beside the SDK too", async () => {
    const [open, prompt] = [running.newClient(), "[[hang]] while others ask"];
    await open.stream(prompt, { session_id: "open" });
    await running.hanging(prompt);
    const outbound = new Outbound(running.stack.engine?.containers().at(-1)?.pid ?? 0);
    const status = async (model: string): Promise<number> => {
      const body = JSON.stringify({ max_tokens: 1, messages: [{ role: "user", content: "[[say beside]]" }], model });
      return (await outbound.ask("POST", "http://model.internal/v1/messages", { "content-type": "application/json" }, body)).status;
    };
    assert.deepEqual(
      [await status("claude-sonnet-4-5"), await status("claude-sonnet-4-5-20250929"), await status("claude-haiku-5-5"), await status("claude-opus-5-5")],
      [200, 200, 200, 403],
    );
    await running.stack.waitForLog((line) => line.includes('"model_call"') && line.includes('"http_status":403'), LOG_TIMEOUT_MS);
    await open.cancel("open");
    assert.ok(running.model.control.requests().every((request) => request.model !== "claude-opus-5-5"));
  });

  test("gives the model its own system prompt and no other", async () => {
    const { system } = await asked(running, client, "[[say ok]] which prompt");
    assert.match(system, /\nYou speak like a pirate\.$/);
    // Before it are the SDK's own lines: what it bills by and what it is.
    assert.equal(system.split("\n").length, 3, system);
  });

  test("refuses a request's system prompt", async () => {
    const { detail } = await problem(client.post("hello", { system_prompt: "Speak like a poet." }), 400, "invalid_parameter");
    assert.match(detail, /^system_prompt: /);
  });

  test("ends a turn that calls tools for ever", async () => {
    const prompt = '[[tool Bash {"command":"echo a, b"}]] '.repeat(9);
    const { detail } = await problem(client.post(prompt), 502, "agent_failed");
    assert.match(detail, /^error_max_turns: .*3/);
    assert.equal(running.asked(prompt.trim()).length, 3);
  });

  test("lets a request have fewer turns", async () => {
    const prompt = '[[tool Bash {"command":"echo a, b"}]] [[say once]]';
    await problem(client.post(prompt, { max_turns: 1 }), 502, "agent_failed");
    assert.equal(running.asked(prompt).length, 1);
  });

  test("knows in the next turn what one that was ended was asked", async () => {
    const [prompt, session_id] = ['[[tool Bash {"command":"echo a, b"}]] [[say never]]', "ended"];
    await problem(client.post(prompt, { session_id, max_turns: 1 }), 502, "agent_failed");
    assert.equal((await client.query("repeat everything I said", { session_id })).response, prompt);
  });

  test("refuses a request for more turns", async () => {
    const { detail } = await problem(client.post("hello", { max_turns: 4 }), 400, "invalid_parameter");
    assert.equal(detail, "max_turns: a whole number from 1 to 3");
  });

  test("offers the allowed tools and no others of the SDK's", async () => {
    const { tool_names } = await asked(running, running.newClient(), "[[say ok]] which tools");
    const own = tool_names.filter((name) => !name.startsWith("mcp__") && name !== "DeferredToolPlaceholder");
    assert.deepEqual(own.sort(), ["Bash", "Read"]);
  });

  test("runs what a rule with a comma allows", async () => {
    const { response } = await client.query('[[tool Bash {"command":"echo a, b"}]]');
    assert.equal(response, "a, b");
  });

  test("denies a call that no rule allows", async () => {
    const events = await client.stream('[[tool Bash {"command":"touch outside; echo done"}]] [[say tried]]');
    await events.toEnd();
    const calls = events.events.filter((event) => event.event === "tool").map((event) => event.data["status"]);
    assert.deepEqual(calls, ["started", "denied"]);
  });

  test("offers the tools of its MCP servers from the first request on", async () => {
    const { tool_names } = await asked(running, running.newClient(), "[[say ok]] which tools of servers");
    for (const name of ["mcp__web__ping", "mcp__local__ping"]) assert.ok(tool_names.includes(name), tool_names.join(" "));
  });

  for (const [server, secret] of [["web", HTTP_TOKEN], ["local", STDIO_TOKEN]] as const) {
    test(`gives the model the answer of the server ${server}, which got its secret`, async () => {
      const { response } = await client.query(`[[tool mcp__${server}__ping {}]]`);
      assert.equal(response, answerOf("ping", secret));
    });
  }

  test("denies a server's tool that it does not allow", async () => {
    const { response } = await client.query("[[tool mcp__web__hide {}]]");
    assert.ok(!response.includes(answerOf("hide", HTTP_TOKEN)), response);
    assert.ok(!toolServer.calls.includes("hide"));
  });

  test("keeps its servers' secrets out of the databases and the log", async () => {
    const said = "[[say ok]] said to be stored";
    await client.query(said);
    const stored = await filesBelow(String(running.stack.state));
    assert.ok(stored.some((content) => content.includes(said)), "the databases are read");
    for (const token of [HTTP_TOKEN, STDIO_TOKEN]) {
      assert.ok(!stored.some((content) => content.includes(token)), "it is stored");
      assert.ok(!running.stack.logs.join("\n").includes(token), "it is logged");
    }
  });
});

describe("a service that leaves more to its callers", { timeout: TIMEOUT_MS }, () => {
  const running = service({
    vars: {
      MODEL: "claude-sonnet-4-5",
      SYSTEM_PROMPT_APPEND: "And you like tea.",
      ALLOW_SYSTEM_PROMPT: "on",
      DISALLOWED_TOOLS: "Edit, Bash(touch:*)",
      PERMISSION_MODE: "acceptEdits",
      MAX_BUDGET_USD: String(BUDGET_USD),
    },
  });
  let client: Client;
  before(() => {
    client = running.newClient();
  });

  test("asks its model where the request names none", async () => {
    assert.equal((await asked(running, client, "[[say ok]] which model")).model, "claude-sonnet-4-5");
  });

  test("lets a request name any other", async () => {
    assert.equal((await asked(running, client, "[[say ok]] another model", { model: "claude-haiku-4-5" })).model, "claude-haiku-4-5");
  });

  test("adds its words to Claude Code's own prompt", async () => {
    const { system } = await asked(running, client, "[[say ok]] which prompt");
    assert.match(system, /And you like tea\./);
    assert.ok(system.length > 2_000, `${system.length} characters`);
  });

  test("lets a request's system prompt take the place of its own", async () => {
    const { system } = await asked(running, client, "[[say ok]] another prompt", { system_prompt: "Speak like a poet." });
    assert.match(system, /Speak like a poet\.$/);
    assert.doesNotMatch(system, /like tea/);
  });

  test("does not offer a disallowed tool", async () => {
    const { tool_names } = await asked(running, client, "[[say ok]] which tools");
    assert.deepEqual(tool_names.filter((name) => name !== "DeferredToolPlaceholder").sort(), ["Bash", "Glob", "Grep", "Read", "Write"]);
  });

  for (const [what, call, status] of [
    ["runs what its mode accepts", 'Write {"file_path":"note.txt","content":"x"}', "finished"],
    ["denies what its mode does not accept", 'Bash {"command":"curl --version"}', "denied"],
    ["denies what its mode accepts and a rule does not", 'Bash {"command":"touch note.txt"}', "denied"],
  ] as const) {
    test(what, async () => {
      const events = await client.stream(`[[tool ${call}]] [[say tried]]`);
      await events.toEnd();
      assert.equal(events.events.filter((event) => event.event === "tool").at(-1)?.data["status"], status);
    });
  }

  test("ends a turn that has spent its budget, and says so", async () => {
    const { detail } = await problem(client.post(DEAR, { session_id: "dear" }), 402, "budget_exhausted");
    assert.match(detail, /budget of the turn or of its account is used up/);
    const requests = running.model.control.requests().filter((request) => DEAR.startsWith(String(request.user_texts.at(-1))));
    assert.equal(requests.length, 1, "the model is not asked on");
  });

  test("gives the next turn of the conversation a budget of its own", async () => {
    await client.post(DEAR, { session_id: "dear-twice" });
    assert.equal((await client.query("[[say still here]]", { session_id: "dear-twice" })).response, "still here");
  });
});

describe("a service with a wrong var", { timeout: TIMEOUT_MS }, () => {
  const running = service({ vars: { PERMISSION_MODE: "ask-my-mother" } });

  for (const [method, path] of [["GET", "/health"], ["POST", "/query"], ["GET", "/conversations"], ["GET", "/nowhere"]] as const) {
    test(`answers ${method} ${path} with 500, the var's name and its rule`, async () => {
      const { detail } = await problem(fetch(running.url + path, { method }), 500, "internal");
      assert.equal(detail, "the var PERMISSION_MODE is wrong: default, acceptEdits, bypassPermissions, dontAsk or plan");
    });
  }

  test("logs it under the request's id, and the value nowhere", async () => {
    const { request_id } = await problem(fetch(running.url), 500, "internal");
    const line = await running.stack.waitForLog((line) => line.includes(request_id), LOG_TIMEOUT_MS);
    assert.match(line, /"event":"bad_config".*the var PERMISSION_MODE is wrong/);
    assert.ok(!running.stack.logs.some((line) => line.includes("bad_config") && line.includes("ask-my-mother")));
  });
});

/** What every file below a directory holds. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), "latin1")));
}
