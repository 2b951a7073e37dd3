/*
 * The whole path on the real server, SDK and CLI: a turn's files are saved, fetched, brought to another server, and there for the next turn.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { Agent as HttpAgent, get, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { nextTurnId, startAgent, until } from "../harness.ts";
import type { Agent, Body, TurnFrames } from "../harness.ts";
import { errorOf, saveOf, Stored } from "./stored.ts";

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

/** Behind it no file is so young that the next save has to look at it again. */
function bash(command: string): string {
  return `[[tool Bash ${JSON.stringify({ command: `${command}; sleep 0.1` })}]]`;
}
function read(file: string): string {
  return `[[tool Read ${JSON.stringify({ file_path: file })}]]`;
}
function onward(session: string, prompt: string, workspace: Body["workspace"]): Body {
  return { agent_session: session, resume: true, prompt, ...(workspace === undefined ? {} : { workspace }) };
}
function fileOf(session: string, name: string): string {
  return join(agent.root, "workspace", session, name);
}
function isUnchanged(turn: TurnFrames): boolean {
  return "unchanged" in turn.one("workspace");
}
/** A server that has stopped listening still answers on the connections it has. */
async function statusOnNewConnection(url: string): Promise<number | undefined> {
  const [response] = (await once(get(url, { agent: false }), "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}
function scans(session: string): number {
  return agent.logs.filter((line) => line.event.startsWith("workspace_") && line["session"] === session).length;
}
/** A conversation with a file in it, and its first version stored. */
async function begun(): Promise<{ session: string; stored: Stored; turn: TurnFrames }> {
  const stored = new Stored();
  const turn = await agent.turn({ prompt: bash("echo pear > pear.txt"), workspace: { version: 0 } });
  await stored.take(agent, turn);
  return { session: turn.session, stored, turn };
}

test("files of a turn are there on another server, and its next turn saves nothing", async () => {
  const stored = new Stored();
  const first = await agent.turn({ prompt: bash("mkdir -p a/b; echo pear > a/b/pear.txt; ln -s b a/link; chmod 751 a"), workspace: { version: 0 } });
  assert.deepEqual(first.types.slice(-3), ["result", "workspace", "end"]);
  const save = await stored.take(agent, first);
  assert.deepEqual(stored.paths, ["a", "a/b", "a/b/pear.txt", "a/link"]);
  assert.deepEqual([save.files, save.bytes, save.skipped, save.changed_total, save.inbox], [1, 5, 0, 2, 0]);
  const other = await startAgent(model);
  try {
    await stored.restore(other, first.session);
    const again = { ...onward(first.session, bash("cat a/link/pear.txt; stat -c %a a; readlink a/link"), { version: 1 }), transcript: first.transcript };
    const second = await other.turn(again);
    assert.equal(second.result.text, "pear\n751\nb");
    assert.ok(isUnchanged(second));
  } finally {
    await other.stop();
  }
});

test("a turn that asks for no workspace has no frame of it and no file is looked at", async () => {
  const turn = await agent.turn({ prompt: bash("echo x > x") });
  assert.deepEqual(turn.types.slice(-2), ["result", "end"]);
  assert.equal(scans(turn.session), 0);
});

describe("a turn that can have changed nothing", () => {
  test("is not scanned, and what another hand changed meanwhile is seen by the next one that may have", async () => {
    const { session, stored } = await begun();
    const before = scans(session);
    writeFileSync(fileOf(session, "unseen"), "x");
    const calm = await agent.turn(onward(session, read(fileOf(session, "pear.txt")), { version: 1 }));
    assert.match(calm.result.text, /pear/);
    assert.ok(isUnchanged(calm));
    assert.equal(scans(session), before);
    await stored.take(agent, await agent.turn(onward(session, bash("true"), { version: 1 })));
    assert.deepEqual(stored.paths, ["pear.txt", "unseen"]);
  });

  test("is scanned while something runs, and once more when it has ended", async () => {
    const stored = new Stored();
    const first = await agent.turn({ prompt: bash("(while [ ! -e go ]; do sleep 0.05; done; echo late > late) > /dev/null 2>&1 & echo on"), workspace: { version: 0 } });
    const { session } = first;
    assert.ok(isUnchanged(first));
    writeFileSync(fileOf(session, "go"), "");
    await until(() => existsSync(fileOf(session, "late")) || undefined, "the process in the background did not go on");
    await stored.take(agent, await agent.turn(onward(session, "[[say hello]]", { version: 0 })));
    assert.deepEqual(stored.paths, ["go", "late"]);
  });

  test("is scanned where the turn before it saw no scan", async () => {
    const { session, stored } = await begun();
    await agent.turn(onward(session, bash("echo x > unwatched"), undefined));
    await stored.take(agent, await agent.turn(onward(session, "[[say hello]]", { version: 1 })));
    assert.deepEqual(stored.paths, ["pear.txt", "unwatched"]);
  });
});

describe("a save", () => {
  test("that was not stored is made again by the next turn, whatever that does", async () => {
    const first = await agent.turn({ prompt: bash("echo pear > pear.txt"), workspace: { version: 0 } });
    const lost = saveOf(first);
    const second = await agent.turn(onward(first.session, "[[say hello]]", { version: 0 }));
    const stored = new Stored();
    const save = await stored.take(agent, second);
    assert.deepEqual([save.base, save.version, save.files, save.changed], [0, 1, 1, lost.changed]);
  });

  test("can be fetched again and again until the next turn begins, and not any more then", async () => {
    const { session, turn } = await begun();
    const at = `/sessions/${session}/workspace/saves/1`;
    const no = saveOf(turn).packs[0]?.no;
    const twice = await Promise.all([1, 2].map(async () => (await agent.call("GET", `${at}/packs/${no}`)).arrayBuffer()));
    assert.deepEqual(twice[0], twice[1]);
    await agent.turn(onward(session, "[[say hello]]", { version: 1 }));
    for (const path of [`${at}/index`, `${at}/packs/${no}`]) assert.deepEqual((await errorOf(await agent.call("GET", path))).code, "save_not_found");
  });

  test("is of the files a turn left, however it ended: cancelled, failed, ended by the server, its process killed", async () => {
    const stored = new Stored();
    const { session } = await agent.turn({ prompt: "[[say hello]]", workspace: { version: 0 } });
    const cancelled = await agent.begin(onward(session, bash("echo x > a-cancelled; sleep 300"), { version: 0 }));
    await until(() => existsSync(fileOf(session, "a-cancelled")) || undefined, "the tool did not run");
    await agent.call("POST", `/turns/${cancelled.id}/cancel`);
    const turns = [await cancelled.rest()];
    await stored.take(agent, turns[0] ?? assert.fail());
    const take = async (prompt: string): Promise<void> => {
      const turn = await agent.turn(onward(session, prompt, { version: stored.version }));
      turns.push(turn);
      await stored.take(agent, turn);
    };
    await take(`${bash("echo x > b-failed")} [[fail 400]]`);
    await take(`${bash("echo x > c-too-long")} [[letters 3000000]]`);
    await take(bash("echo x > d-killed; sleep 0.1; kill -9 $PPID; sleep 300"));
    assert.deepEqual(turns.map(({ result }) => result.status), ["cancelled", "failed", "failed", "failed"]);
    assert.equal(turns.at(-1)?.result.error?.code, "turn_interrupted");
    assert.deepEqual(stored.paths, ["a-cancelled", "b-failed", "c-too-long", "d-killed"]);
  });

  test("of several conversations at once is each one's own", async () => {
    const names = ["one", "two", "three"];
    const all = names.map(() => new Stored());
    const turns = await Promise.all(names.map((name) => agent.turn({ prompt: bash(`head -c 300000 /dev/urandom > ${name}; echo x > small`), workspace: { version: 0 } })));
    for (const [n, turn] of turns.entries()) await all[n]?.take(agent, turn);
    const again = await Promise.all(turns.map((turn) => agent.turn(onward(turn.session, bash("echo y > small"), { version: 1 }))));
    for (const [n, turn] of again.entries()) {
      const save = await all[n]?.take(agent, turn);
      assert.deepEqual([save?.changed.map(({ path }) => path), all[n]?.paths], [["small"], [names[n], "small"].sort()]);
    }
  });

  test("over a bound of the turn is refused, and made when the bound allows it", async () => {
    const first = await agent.turn({ prompt: bash("echo x > a; echo x > b"), workspace: { version: 0, max_files: 1 } });
    const { n: _n, ...frame } = first.one("workspace");
    assert.deepEqual(frame, { type: "workspace", refused: "too_many_files", files: 2, bytes: 4 });
    const stored = new Stored();
    await stored.take(agent, await agent.turn(onward(first.session, "[[say hello]]", { version: 0, exclude: ["a"] })));
    assert.deepEqual(stored.paths, ["b"]);
  });
});

describe("a workspace that is not held as a turn needs it", () => {
  async function refusal(body: Body): Promise<object> {
    const response = await agent.post(body);
    const { message: _message, ...rest } = await errorOf(response);
    return rest;
  }

  test("is asked for, with what is held", async () => {
    const { session, turn } = await begun();
    const unknown = { ...onward("00000000-0000-4000-8000-000000000000", "hello", { version: 5 }) };
    assert.deepEqual(await refusal(unknown), { status: 409, code: "workspace_required", held: null });
    assert.deepEqual(await refusal(onward(session, "hello", { version: 7 })), { status: 409, code: "workspace_required", held: { version: 0, inbox: 0 } });
    // The stored version is the save's: only the inbox is missing.
    assert.deepEqual(await refusal(onward(session, "hello", { version: 1, inbox: 3 })), { status: 409, code: "workspace_required", held: { version: 1, inbox: 0 } });
    assert.equal((await agent.call("GET", `/sessions/${session}/workspace/saves/1/packs/${saveOf(turn).packs[0]?.no}`)).status, 200);
  });

  test("is asked for before the transcript is", async () => {
    const session = "00000000-0000-4000-8000-000000000001";
    assert.deepEqual(await refusal(onward(session, "hello", { version: 5 })), { status: 409, code: "workspace_required", held: null });
    assert.deepEqual(await refusal(onward(session, "hello", { version: 0 })), { status: 409, code: "transcript_required" });
  });

  test("is asked for without holding up the connection, however long the transcript is that came with the turn", { timeout: 30_000 }, async () => {
    const connection = new HttpAgent({ keepAlive: true, maxSockets: 1 });
    const answered = (method: string, path: string, body = ""): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const sending = request(agent.url + path, { method, agent: connection }, (message) => message.resume().once("end", () => resolve(message.statusCode)));
        sending.once("error", reject).end(body);
      });
    const body = { turn_id: nextTurnId(), ...onward("00000000-0000-4000-8000-000000000002", "hello", { version: 5 }), transcript: true };
    const line = JSON.stringify({ subpath: null, entry: { type: "user", filler: "x".repeat(100_000) } });
    try {
      assert.equal(await answered("POST", "/turns", [JSON.stringify(body), ...Array<string>(40).fill(line)].join("\n")), 409);
      assert.equal(await answered("GET", "/healthz"), 200);
    } finally {
      connection.destroy();
    }
  });

  test("is no matter of a new conversation", async () => {
    assert.deepEqual(await refusal({ prompt: "hello", workspace: { version: 1 } }), { status: 400, code: "invalid_request" });
    for (const workspace of [{ version: -1 }, { version: 1.5 }, { inbox: "1" }, { exclude: "x" }, { exclude: [1] }, { max_files: "1" }, { max_bytes: -1 }]) {
      const wrong = { prompt: "hello", workspace } as unknown as Body;
      assert.deepEqual(await refusal(wrong), { status: 400, code: "invalid_request" }, JSON.stringify(workspace));
    }
  });
});

test("a deleted conversation leaves nothing of its saves", async () => {
  const { session } = await begun();
  const state = join(agent.root, "state", session);
  assert.ok(existsSync(join(state, "workspace/next.table")));
  assert.equal((await agent.call("DELETE", `/sessions/${session}`)).status, 200);
  assert.deepEqual([existsSync(state), existsSync(fileOf(session, ""))], [false, false]);
  assert.deepEqual((await errorOf(await agent.call("GET", `/sessions/${session}/workspace/saves/1/index`))).code, "save_not_found");
});

test("a server that ends waits for its running turns' saves to be fetched", async () => {
  const server = await startAgent(model);
  try {
    const open = await server.begin({ prompt: `${bash("echo pear > pear.txt")} [[hang]]`, workspace: { version: 0 } });
    await model.control.waitFor((request) => request.state === "hanging");
    server.child.kill("SIGTERM");
    await server.logged((line) => line.event === "draining");
    model.control.release();
    const turn = await open.rest();
    assert.equal(turn.result.status, "completed");
    await server.logged((line) => line.event === "process_ended" && line["session"] === turn.session);
    for (let n = 0; n < 20; n++) assert.equal(await statusOnNewConnection(`${server.url}/healthz`), 503);
    const stored = new Stored();
    await stored.take(server, turn);
    assert.deepEqual(stored.paths, ["pear.txt"]);
    assert.equal(await server.exited(), 0);
  } finally {
    await server.stop();
  }
});
