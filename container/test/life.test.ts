/*
 * What goes wrong and what ends: processes that die or hang under a turn, orphans, signals, and what the agent can see of its host.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { startAgent, until } from "./harness.ts";
import type { Agent, OpenTurn } from "./harness.ts";

let model: Model;
before(async () => {
  model = await startModel();
});
after(() => model.close());

/** The object waits 1.5 s for a turn that it cancelled. */
const CANCEL_LIMIT_MS = 1_400;

/** A turn that waits for the model, and the process it waits in. */
async function hanging(agent: Agent, prompt = "[[hang]]"): Promise<{ open: OpenTurn; session: string; pid: number }> {
  model.control.clearRequests();
  const open = await agent.begin({ prompt });
  const { agent_session } = await open.until("started");
  if (prompt.includes("tool")) await open.until("tool");
  else await model.control.waitFor((request) => request.state === "hanging");
  const ready = await agent.processesReady();
  const pid = Number(ready.filter((line) => isAlive(Number(line["pid"]))).at(0)?.["pid"]);
  return { open, session: agent_session, pid };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("a CLI that dies under a turn", () => {
  for (const [when, prompt] of [
    ["while the model is silent", "[[hang]]"],
    ["in the middle of text", "[[hang-midway]] [[words 50]]"],
    ["in the middle of a tool", '[[tool Bash {"command":"setsid sleep 301 & sleep 300"}]]'],
  ] as const) {
    test(`${when} ends it as turn_interrupted at once, and its conversation goes on`, async () => {
      const agent = await startAgent(model);
      try {
        await agent.processesReady();
        const before = await agent.turn({ prompt: "I said this before" });
        const open = await agent.begin({ agent_session: before.session, resume: true, prompt });
        if (prompt.includes("tool")) await open.until("tool");
        await open.until("transcript");
        process.kill(Number(await agent.pidOf(before)), "SIGKILL");
        const begun = performance.now();
        const turn = await open.rest();
        assert.ok(performance.now() - begun < 1_000);
        assert.deepEqual([turn.result.status, turn.result.error?.code, turn.types.at(-1)], ["failed", "turn_interrupted", "end"]);
        assert.ok(turn.transcript.some(({ entry }) => entry.type === "user"), "what was asked is in the transcript");
        const next = await agent.turn({ agent_session: before.session, resume: true, prompt: "repeat everything I said" });
        assert.match(next.result.text, /I said this before/);
      } finally {
        await agent.stop();
      }
    });
  }

  test("leaves none of its tools' processes behind, wherever they moved", async () => {
    const agent = await startAgent(model);
    try {
      await agent.processesReady();
      const { open, pid } = await hanging(agent, '[[tool Bash {"command":"setsid sleep 301 & nohup sleep 302 & sleep 303"}]]');
      await until(async () => ((await agent.processes()).length >= 5 ? true : undefined), "the tools did not start");
      process.kill(pid, "SIGKILL");
      await open.rest();
      const ended = await agent.logged((line) => line.event === "process_ended" && line["pid"] === pid);
      assert.ok(Number(ended["left_behind"]) >= 3, `${String(ended["left_behind"])} were left behind`);
    } finally {
      await agent.stop();
    }
  });
});

test("a CLI that died while it was idle is not noticed by the next turn", async () => {
  const agent = await startAgent(model);
  try {
    await agent.processesReady();
    const before = await agent.turn({ prompt: "I said this before" });
    const pid = Number(await agent.pidOf(before));
    // Stopped first, so that the server does not hear of its death before the turn comes.
    process.kill(agent.child.pid as number, "SIGSTOP");
    process.kill(pid, "SIGKILL");
    const next = agent.turn({ agent_session: before.session, resume: true, prompt: "repeat everything I said" });
    process.kill(agent.child.pid as number, "SIGCONT");
    assert.match((await next).result.text, /I said this before/);
  } finally {
    await agent.stop();
  }
});

test("a CLI that hangs is killed when its turn is cancelled, and the conversation goes on", async () => {
  const agent = await startAgent(model);
  try {
    await agent.processesReady();
    const { open, session, pid } = await hanging(agent);
    process.kill(pid, "SIGSTOP");
    const begun = performance.now();
    await agent.call("POST", `/turns/${open.id}/cancel`);
    const turn = await open.rest();
    const ms = performance.now() - begun;
    assert.ok(ms < CANCEL_LIMIT_MS, `cancelled after ${Math.round(ms)} ms`);
    assert.equal(turn.result.status, "cancelled");
    assert.equal(isAlive(pid), false, "the process that hung is gone");
    const next = await agent.turn({ agent_session: session, resume: true, prompt: "What is 8+1?" });
    assert.equal(next.result.text, "9");
  } finally {
    await agent.stop();
  }
});

describe("a conversation that is stopped", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model);
    await agent.processesReady();
  });
  after(() => agent.stop());

  const stopped = async (session: string): Promise<void> => {
    const response = await agent.call("POST", `/sessions/${session}/stop`);
    assert.deepEqual([response.status, await response.json()], [200, { stopped: true }]);
  };

  test("loses a process that hangs, and its turn, at once, and keeps its files and what was said", async () => {
    const first = await agent.turn({ prompt: '[[tool Bash {"command":"echo pear > pear.txt; echo pear > ~/pear.txt"}]] [[say I wrote it]]' });
    const { session } = first;
    const pid = Number(await agent.pidOf(first));
    const open = await agent.begin({ agent_session: session, resume: true, prompt: "[[hang]]" });
    await model.control.waitFor((request) => request.state === "hanging");
    process.kill(pid, "SIGSTOP");
    const begun = performance.now();
    await stopped(session);
    assert.ok(performance.now() - begun < CANCEL_LIMIT_MS);
    assert.equal(isAlive(pid), false);
    assert.equal((await open.rest()).result.status, "cancelled");
    const next = await agent.turn({ agent_session: session, resume: true, prompt: '[[tool Bash {"command":"cat pear.txt ~/pear.txt"}]]' });
    assert.equal(next.one("started").warm, false);
    assert.equal(next.result.text, "pear\npear");
    const told = await agent.turn({ agent_session: session, resume: true, prompt: "repeat everything I said" });
    assert.match(told.result.text, /I wrote it/);
  });

  test("while its process starts ends the start, and can be had again", async () => {
    const first = await agent.turn({ prompt: "one" });
    const open = await agent.begin({ agent_session: first.session, resume: true, prompt: "two", options: { max_turns: 3 } });
    await stopped(first.session);
    assert.equal((await open.rest()).result.status, "cancelled");
    const next = await agent.turn({ agent_session: first.session, resume: true, prompt: "What is 8+1?" });
    assert.equal(next.result.text, "9");
  });

  test("without a process, or unknown, is stopped already", async () => {
    await stopped("00000000-0000-4000-8000-000000000000");
    assert.equal((await agent.call("POST", "/sessions/nope/stop")).status, 400);
  });
});

describe("SIGTERM", () => {
  test("ends an idle server at once, with status 0", async () => {
    const agent = await startAgent(model);
    await agent.turn({ prompt: "hello" });
    agent.child.kill("SIGTERM");
    assert.equal(await agent.exited(), 0);
    await agent.stop();
  });

  test("lets the running turn finish, takes no new one, then exits with status 0", async () => {
    const agent = await startAgent(model);
    const { open } = await hanging(agent, "[[hang-midway]] [[words 20]]");
    agent.child.kill("SIGTERM");
    await agent.logged((line) => line.event === "draining");
    const health = await agent.call("GET", "/healthz");
    assert.deepEqual([health.status, ((await health.json()) as { status: string }).status], [503, "draining"]);
    assert.equal((await agent.post({ prompt: "too late" })).status, 503);
    model.control.release();
    const turn = await open.rest();
    assert.deepEqual([turn.result.status, turn.types.at(-1)], ["completed", "end"]);
    assert.equal(await agent.exited(), 0);
    await agent.stop();
  });

  test("parks a turn that waits for somebody, then exits with status 0", async () => {
    const agent = await startAgent(model, { DRAIN_MS: "5000" });
    const open = await agent.begin({ prompt: '[[tool Bash {"command":"touch asked"}]]', options: { ask_tools: ["Bash"] }, actions: true });
    const { reference } = await open.until("action");
    agent.child.kill("SIGTERM");
    const { result } = await open.rest();
    assert.deepEqual([result.status, result.continue_by, result.actions], ["requires_action", "message", [reference]]);
    assert.equal(await agent.exited(), 0);
    await agent.stop();
  });

  test("ends a turn that does not finish in time", async () => {
    const agent = await startAgent(model, { DRAIN_MS: "200" });
    const { open } = await hanging(agent);
    agent.child.kill("SIGTERM");
    assert.equal((await open.rest()).result.error?.code, "turn_interrupted");
    assert.equal(await agent.exited(), 0);
    await agent.stop();
  });
});

test("SIGKILL of the server ends its idle processes too", async () => {
  const agent = await startAgent(model);
  await agent.turn({ prompt: "hello" });
  agent.child.kill("SIGKILL");
  await agent.exited();
  await until(async () => ((await agent.processes()).length === 0 ? true : undefined), "a process outlived the server");
  await agent.stop();
});

test("an OAuth placeholder reaches the model as a bearer token, and no key beside it", async () => {
  const agent = await startAgent(model, { ANTHROPIC_API_KEY: "", CLAUDE_CODE_OAUTH_TOKEN: "placeholder" });
  try {
    model.control.clearRequests();
    await agent.turn({ prompt: "hello" });
    const request = model.control.requests().at(-1);
    assert.deepEqual([request?.authorization, request?.x_api_key], ["Bearer placeholder", null]);
  } finally {
    await agent.stop();
  }
});

describe("the agent's shell", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model);
  });
  after(() => agent.stop());

  test("sees no credential and nothing of the server's environment", async () => {
    const turn = await agent.turn({ prompt: '[[tool Bash {"command":"env; tr \'\\\\0\' \'\\\\n\' < /proc/$PPID/environ"}]]' });
    assert.match(turn.result.text, /PATH=/);
    assert.match(turn.result.text, /ANTHROPIC_API_KEY=placeholder/);
    assert.doesNotMatch(turn.result.text, /SECRET_OF_THE_HOST|WORKSPACE_ROOT/);
  });

  test("starts in the conversation's own folder", async () => {
    const turn = await agent.turn({ prompt: '[[tool Bash {"command":"pwd"}]]' });
    assert.match(turn.result.text, new RegExp(`/workspace/${turn.session}`));
  });

  test("does not run what a repository's settings say", async () => {
    const first = await agent.turn({
      prompt: `[[tool Bash {"command":"mkdir -p .claude; printf '{\\"hooks\\":{\\"UserPromptSubmit\\":[{\\"hooks\\":[{\\"type\\":\\"command\\",\\"command\\":\\"touch hooked\\"}]}]}}' > .claude/settings.json; cat .claude/settings.json"}]]`,
    });
    assert.match(first.result.text, /UserPromptSubmit/);
    const options = { max_turns: 5 };
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: '[[tool Bash {"command":"ls"}]]', options });
    assert.doesNotMatch(second.result.text, /hooked/);
  });
});

describe("a bad request", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model);
  });
  after(() => agent.stop());

  for (const [what, body] of [
    ["no JSON", "{"],
    ["no object", "[]"],
    ["nothing", ""],
    ["no turn_id", JSON.stringify({ prompt: "x" })],
    ["a turn_id with a path", JSON.stringify({ turn_id: "../x", prompt: "x" })],
    ["a blank prompt", JSON.stringify({ turn_id: "t", prompt: " " })],
    ["an agent_session that is no UUID", JSON.stringify({ turn_id: "t", prompt: "x", agent_session: "../../etc" })],
    ["resume of nothing", JSON.stringify({ turn_id: "t", prompt: "x", resume: true })],
    ["an option of another type", JSON.stringify({ turn_id: "t", prompt: "x", options: { permission_mode: ["plan"] } })],
  ] as const) {
    test(`with ${what} is refused and starts nothing`, async () => {
      const response = await fetch(`${agent.url}/turns`, { method: "POST", body });
      const error = (await response.json()) as { code: string; message: string };
      assert.deepEqual([response.status, error.code], [400, "invalid_request"]);
      assert.deepEqual((await agent.health()).running, 0);
    });
  }

  test("with options and fields that only a newer Worker knows is no bad one: they are left out, and the log names the options", async () => {
    const long = "x".repeat(100_000);
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`later_${n}`, "the value of it"]));
    const turn_id = "from-a-newer-worker";
    const first = { turn_id, prompt: "What is 2+2?", agent_session: null, effort: "high", options: { [long]: 1, cwd: "/", max_turns: 5, ...many } };
    const answer = await (await fetch(`${agent.url}/turns`, { method: "POST", body: JSON.stringify(first) })).text();
    assert.match(answer, /"text":"4"/);
    const names = agent.logs.filter((line) => line.event === "option_unknown").map((line) => line["name"]);
    assert.deepEqual(names, ["x".repeat(64), "cwd", "later_0", "later_1", "later_2", "later_3", "later_4", "later_5"]);
    assert.ok(!JSON.stringify(agent.logs).includes("the value of it"));
  });

  test("for a turn nobody knows is answered 404", async () => {
    for (const [method, path] of [
      ["GET", "/turns/nope"],
      ["POST", "/turns/nope/cancel"],
      ["DELETE", "/turns/nope"],
      ["GET", "/nope"],
    ] as const) {
      assert.equal((await agent.call(method, path)).status, 404);
    }
  });
});
