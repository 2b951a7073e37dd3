/*
 * Conversations and their processes: kept, spare, evicted, resumed from a transcript, removed.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { startAgent, until } from "./harness.ts";
import type { Agent } from "./harness.ts";

const REPEAT = "repeat everything I said";
let model: Model;

before(async () => {
  model = await startModel();
});
beforeEach(() => {
  model.control.clearRequests();
});
after(() => model.close());

/** What the model was last told of the conversation's earlier turns. */
function told(): string {
  return model.control.requests().at(-1)?.user_texts.join("\n") ?? "";
}

describe("a conversation's process", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model, { WARM_SESSIONS: "2" });
    await agent.processesReady();
  });
  after(() => agent.stop());

  test("is the spare for a new conversation, and is kept for the next turn", async () => {
    const first = await agent.turn({ prompt: "my name is Ada" });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: REPEAT });
    assert.deepEqual([first.one("started").warm, second.one("started").warm], [true, true]);
    assert.match(second.result.text, /my name is Ada/);
    assert.equal(await agent.pidOf(first), await agent.pidOf(second));
  });

  test("takes another model without a new process", async () => {
    const first = await agent.turn({ prompt: "one", options: { model: "claude-sonnet-5" } });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: "two", options: { model: "claude-opus-4-8" } });
    assert.equal(second.one("started").warm, true);
    assert.equal(second.result.model, "claude-opus-4-8");
    assert.equal(model.control.requests().at(-1)?.model, "claude-opus-4-8");
  });

  test("gives way to a new one that resumes, where the options differ", async () => {
    const first = await agent.turn({ prompt: "remember 42" });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: REPEAT, options: { max_turns: 3 } });
    assert.equal(second.one("started").warm, false);
    assert.match(second.result.text, /remember 42/);
    assert.notEqual(await agent.pidOf(first), await agent.pidOf(second));
  });

  test("serves one turn where that has a budget", async () => {
    const options = { max_budget_usd: 1 };
    const first = await agent.turn({ prompt: "one", options });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: REPEAT, options });
    assert.deepEqual([second.one("started").warm, second.result.status], [false, "completed"]);
    assert.match(second.result.text, /one/);
  });

  test("is given up by the least recently used when there are too many, and resumed when it is asked for", async () => {
    const turns = [];
    for (const name of ["first", "second", "third"]) turns.push(await agent.turn({ prompt: `I am the ${name}` }));
    const [first, second] = turns.map((turn) => turn.session);
    const given = (session?: string): Promise<unknown> => agent.logged((line) => line.event === "process_ended" && line["session"] === session);
    await given(first);
    assert.equal((await agent.health()).warm, 2);
    const back = await agent.turn({ agent_session: first ?? null, resume: true, prompt: REPEAT });
    assert.equal(back.one("started").warm, false);
    assert.match(back.result.text, /I am the first/);
    await given(second);
    assert.equal((await agent.health()).warm, 2);
  });
});

describe("a conversation's transcript", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model);
    await agent.processesReady();
  });
  after(() => agent.stop());

  test("is asked for where the conversation is not held", async () => {
    const response = await agent.post({ agent_session: randomUUID(), resume: true, prompt: "hello" });
    assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [409, "transcript_required"]);
  });

  test("makes a fresh server know everything that was said", async () => {
    const first = await agent.turn({ prompt: "the word is heron" });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: '[[tool Bash {"command":"echo from-a-tool"}]] [[say fine]]' });
    const fresh = await startAgent(model);
    try {
      const transcript = [...first.transcript, ...second.transcript];
      const third = await fresh.turn({ agent_session: first.session, resume: true, prompt: REPEAT, transcript });
      assert.equal(third.session, first.session);
      assert.match(told(), /the word is heron/);
      assert.match(third.result.text, /the word is heron/);
      const fourth = await fresh.turn({ agent_session: first.session, resume: true, prompt: REPEAT });
      assert.deepEqual([fourth.one("started").warm, /the word is heron/.test(fourth.result.text)], [true, true]);
    } finally {
      await fresh.stop();
    }
  });

  test("of what came between turns goes with the next turn's frames", async () => {
    const first = await agent.turn({ prompt: "one" });
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: "two" });
    const uuids = [...first.transcript, ...second.transcript].map(({ entry }) => entry["uuid"]).filter((uuid) => uuid !== undefined);
    for (const { entry } of second.transcript) {
      const parent = entry["parentUuid"];
      if (typeof parent === "string") assert.ok(uuids.includes(parent), "an entry's parent is in the transcript");
    }
    assert.equal(new Set(uuids).size, uuids.length);
  });

  test("that is sent but empty begins the conversation under its id", async () => {
    const agent_session = randomUUID();
    const turn = await agent.turn({ agent_session, resume: true, prompt: "What is 5+5?", transcript: [] });
    assert.deepEqual([turn.session, turn.result.text], [agent_session, "10"]);
  });

  test("that is malformed fails the turn and is not kept", async () => {
    const agent_session = randomUUID();
    const transcript = [{ subpath: null, entry: { kind: "no type" } as never }];
    const turn = await agent.turn({ agent_session, resume: true, prompt: "hello", transcript });
    assert.equal(turn.result.error?.code, "agent_failed");
    assert.equal((await agent.post({ agent_session, resume: true, prompt: "hello" })).status, 409);
  });

  test("is begun anew by a turn that names a conversation and does not resume it", async () => {
    const agent_session = randomUUID();
    await agent.turn({ agent_session, prompt: "forget me" });
    const again = await agent.turn({ agent_session, prompt: REPEAT });
    assert.equal(again.session, agent_session);
    assert.doesNotMatch(told(), /forget me/);
  });

  test("of a subagent comes with its subpath and resumes with it", async () => {
    const options = { allowed_tools: ["Agent", "Bash"] };
    const call = '[[tool Agent {"description":"look","prompt":"[[say seen]]","subagent_type":"general-purpose"}]]';
    const first = await agent.turn({ prompt: `${call} [[say over]]`, options });
    assert.equal(first.result.text, "over");
    assert.ok(first.transcript.some(({ subpath }) => subpath?.startsWith("subagents/")));
    const fresh = await startAgent(model);
    try {
      const turn = await fresh.turn({ agent_session: first.session, resume: true, prompt: REPEAT, options, transcript: first.transcript });
      assert.equal(turn.result.status, "completed");
      assert.match(told(), /say over/);
    } finally {
      await fresh.stop();
    }
  });
});

describe("a removed conversation", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model);
    await agent.processesReady();
  });
  after(() => agent.stop());

  test("leaves no process, no file and no frames", async () => {
    const open = await agent.begin({ prompt: '[[tool Bash {"command":"echo kept > file; nohup sleep 300 >/dev/null 2>&1 & setsid sleep 300 & true"}]]' });
    const turn = await open.rest();
    assert.ok(existsSync(join(agent.root, "workspace", turn.session, "file")));
    await agent.call("DELETE", `/sessions/${turn.session}`);
    const files = await readdir(agent.root, { recursive: true });
    assert.deepEqual(
      files.filter((file) => file.includes(turn.session) || file.includes("claude-resume")),
      [],
    );
    assert.equal((await agent.call("GET", `/turns/${open.id}`)).status, 404);
    assert.equal((await agent.post({ agent_session: turn.session, resume: true, prompt: "there?" })).status, 409);
    const ended = await agent.logged((line) => line.event === "process_ended" && line["left_behind"] !== 0);
    assert.equal(ended["left_behind"], 2);
  });

  test("has its running turn cancelled first", async () => {
    const open = await agent.begin({ prompt: "[[hang]]" });
    const { agent_session } = await open.until("started");
    await model.control.waitFor((request) => request.state === "hanging");
    const [turn, deleted] = await Promise.all([open.rest(), agent.call("DELETE", `/sessions/${agent_session}`)]);
    assert.deepEqual([turn.result.status, deleted.status], ["cancelled", 200]);
  });

  test("is removed without complaint where there is none", async () => {
    assert.equal((await agent.call("DELETE", `/sessions/${randomUUID()}`)).status, 200);
  });

  test("leaves nothing of a resume either", async () => {
    const first = await agent.turn({ prompt: "one" });
    await agent.turn({ agent_session: first.session, resume: true, prompt: "two", options: { max_turns: 2 } });
    await agent.call("DELETE", `/sessions/${first.session}`);
    const files = await readdir(agent.root, { recursive: true });
    assert.deepEqual(
      files.filter((file) => file.includes(first.session) || file.includes("claude-resume")),
      [],
    );
  });
});

test("more running turns than processes are refused as at_capacity", async () => {
  const agent = await startAgent(model, { WARM_SESSIONS: "1" });
  try {
    const open = await agent.begin({ prompt: "[[hang]]" });
    await open.until("started");
    const response = await agent.post({ prompt: "me too" });
    assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [503, "at_capacity"]);
    await agent.call("POST", `/turns/${open.id}/cancel`);
    await open.rest();
    assert.equal((await agent.turn({ prompt: "What is 1+1?" })).result.text, "2");
  } finally {
    await agent.stop();
  }
});

describe("the spare", () => {
  test("follows the options of the last new conversation", async () => {
    const agent = await startAgent(model);
    try {
      const options = { max_turns: 7 };
      await agent.processesReady();
      const first = await agent.turn({ prompt: "one", options });
      assert.equal(first.one("started").warm, false);
      await agent.processesReady(3);
      const second = await agent.turn({ prompt: "two", options });
      assert.notEqual(second.session, first.session);
      assert.equal(second.one("started").warm, true);
    } finally {
      await agent.stop();
    }
  });

  test("that cannot start keeps nobody waiting", async () => {
    const agent = await startAgent(model);
    try {
      const [ready] = await agent.processesReady();
      process.kill(Number(ready?.["pid"]), "SIGKILL");
      await agent.logged((entry) => entry.event === "process_died");
      const turn = await agent.turn({ prompt: "What is 6+6?" });
      assert.equal(turn.result.text, "12");
    } finally {
      await agent.stop();
    }
  });
});

test("an idle process is closed after its time, and its conversation resumes", async () => {
  const agent = await startAgent(model, { WARM_IDLE_MS: "300" });
  try {
    const first = await agent.turn({ prompt: "I was here" });
    await until(async () => ((await agent.health()).warm === 0 ? true : undefined), "the process is kept");
    const second = await agent.turn({ agent_session: first.session, resume: true, prompt: REPEAT });
    assert.match(second.result.text, /I was here/);
  } finally {
    await agent.stop();
  }
});
