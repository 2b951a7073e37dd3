/*
 * The calls about a workspace on the real server: a restore, users' uploads and deletions, and what is refused.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { startAgent } from "../harness.ts";
import type { Agent, Body, TurnFrames } from "../harness.ts";
import { errorOf, put, sendPack, Stored } from "./stored.ts";

const MIB = 1024 * 1024;
/** No two runs on a machine share users. */
const UID_BASE = 1_500_000 + process.pid * 100;
const separate = process.platform === "linux" && process.getuid?.() === 0 && isOpen(import.meta.dirname);

function isOpen(folder: string): boolean {
  return (statSync(folder).mode & 1) !== 0 && (folder === "/" || isOpen(dirname(folder)));
}

let model: Model;
let agent: Agent;
before(async () => {
  model = await startModel();
  agent = await startAgent(model, separate ? { AGENT_UID_BASE: String(UID_BASE) } : {});
});
after(async () => {
  await agent.stop();
  await model.close();
});

const bash = (command: string): string => `[[tool Bash ${JSON.stringify({ command: `${command}; sleep 0.1` })}]]`;
const workspaceOf = (session: string): string => join(agent.root, "workspace", session);
const fileOf = (session: string, name: string): string => join(workspaceOf(session), name);
const files = (session: string, path: string, seq: number): string => `/sessions/${session}/workspace/files?path=${encodeURIComponent(path)}&seq=${seq}`;

async function begun(command: string): Promise<{ session: string; stored: Stored; turn: TurnFrames }> {
  const stored = new Stored();
  const turn = await agent.turn({ prompt: bash(command), workspace: { version: 0 } });
  await stored.take(agent, turn);
  return { session: turn.session, stored, turn };
}

function onward(session: string, prompt: string, workspace: Body["workspace"]): Body {
  return { agent_session: session, resume: true, prompt, workspace: workspace ?? {} };
}

async function upload(session: string, path: string, seq: number, contents: string): Promise<void> {
  const response = await put(agent, files(session, path, seq), Buffer.from(contents));
  assert.deepEqual([response.status, await response.json()], [200, {}]);
}

describe("uploads and deletions", () => {
  test("are there at the next turn, belong to the conversation, and are saved with it", async () => {
    const { session, stored } = await begun("mkdir -p old/inner; echo x > old/inner/x; echo x > gone");
    await upload(session, "in/data.txt", 1, "uploaded");
    assert.equal((await agent.call("DELETE", files(session, "gone", 2))).status, 200);
    assert.equal((await agent.call("DELETE", files(session, "old/", 3))).status, 200);
    const turn = await agent.turn(onward(session, bash("cat in/data.txt && echo more >> in/data.txt && touch in/new"), { version: 1, inbox: 3 }));
    assert.equal(turn.result.text, "uploaded");
    const save = await stored.take(agent, turn);
    assert.deepEqual([save.inbox, stored.paths], [3, ["in", "in/data.txt", "in/new"]]);
  });

  test("are saved even by a turn that does nothing", async () => {
    const { session, stored } = await begun("echo x > x");
    await upload(session, "y", 1, "y");
    await stored.take(agent, await agent.turn(onward(session, "[[say hello]]", { version: 1, inbox: 1 })));
    assert.deepEqual(stored.paths, ["x", "y"]);
  });

  test("are applied once, however often they are sent", async () => {
    const { session } = await begun("echo x > x");
    await upload(session, "y", 4, "first");
    await upload(session, "y", 4, "again");
    await upload(session, "y", 3, "late");
    assert.equal(readFileSync(fileOf(session, "y"), "utf8"), "first");
  });

  test("may be all that a conversation begins with", async () => {
    const session = randomUUID();
    await upload(session, "in/data.txt", 1, "uploaded");
    await upload(session, "other.txt", 2, "other");
    const body: Body = { agent_session: session, resume: false, prompt: bash("cat in/data.txt; rm other.txt"), workspace: { version: 0, inbox: 2 } };
    const turn = await agent.turn(body);
    assert.equal(turn.result.text, "uploaded");
    const stored = new Stored();
    await stored.take(agent, turn);
    assert.deepEqual(stored.paths, ["in", "in/data.txt"]);
    // Begun anew without anything stored, it has an empty folder.
    const anew = await agent.turn({ ...body, prompt: bash("ls -A | wc -l"), workspace: { version: 0 } });
    assert.equal(anew.result.text.trim(), "0");
  });

  test("replace a link of the agent's in their way, and nothing that it leads to", async () => {
    const { session } = await begun("mkdir real; echo kept > real/data.txt; ln -s real link");
    await upload(session, "link/data.txt", 1, "uploaded");
    assert.equal(readFileSync(fileOf(session, "real/data.txt"), "utf8"), "kept\n");
    assert.ok(lstatSync(fileOf(session, "link")).isDirectory());
  });

  test("are refused while a turn runs, without a length, too large, or under a path that is none", async () => {
    const { session } = await begun("echo x > x");
    const open = await agent.begin(onward(session, "[[hang]]", { version: 1 }));
    await model.control.waitFor((each) => each.state === "hanging");
    const busy = await Promise.all([put(agent, files(session, "y", 1), Buffer.from("y")), agent.call("DELETE", files(session, "x", 1)), put(agent, `/sessions/${session}/workspace`, Buffer.from("{}"))]);
    for (const response of busy) assert.deepEqual([response.status, (await errorOf(response)).code], [409, "session_busy"]);
    model.control.release();
    await open.rest();
    for (const path of ["", "/etc/passwd", "a//b", "../x", "a/..", "./a", "a\nb", "x".repeat(256), "a/", `${"d/".repeat(600)}f`]) {
      assert.deepEqual((await errorOf(await put(agent, files(session, path, 1), Buffer.from("y")))).code, "invalid_request", path);
    }
    assert.equal((await put(agent, `/sessions/${session}/workspace/files?path=y&seq=x`, Buffer.from("y"))).status, 400);
    assert.equal(await statusOf(files(session, "y", 1), {}), 411);
    assert.equal(await statusOf(files(session, "y", 1), { "content-length": String(501 * MIB) }), 413);
    assert.equal(existsSync(fileOf(session, "y")), false);
  });

  test("that break off leave what was there", async () => {
    const { session } = await begun("echo kept > x");
    const call = request(`${agent.url}${files(session, "x", 1)}`, { method: "PUT", headers: { "content-length": "1000" } });
    call.on("error", () => {});
    await new Promise<void>((resolve) => call.write("half", () => resolve()));
    call.destroy();
    await upload(session, "y", 1, "y");
    assert.equal(readFileSync(fileOf(session, "x"), "utf8"), "kept\n");
  });
});

/** Of a call whose body is never sent. */
function statusOf(path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(`${agent.url}${path}`, { method: "PUT", headers }, (response) => {
      resolve(response.statusCode);
      call.destroy();
    });
    call.on("error", reject);
    call.flushHeaders();
  });
}

describe("a restore", () => {
  test("takes the place of what is there, under the conversation's process and all, and the folder stays the same", async () => {
    const { session, stored, turn } = await begun("echo pear > pear.txt; mkdir d");
    writeFileSync(fileOf(session, "stale"), "x");
    const { ino, uid } = lstatSync(workspaceOf(session));
    await stored.restore(agent, session);
    await agent.logged((line) => line.event === "process_ended" && line["session"] === session);
    assert.deepEqual([lstatSync(workspaceOf(session)).ino, existsSync(fileOf(session, "stale"))], [ino, false]);
    for (const path of ["pear.txt", "d"]) assert.equal(lstatSync(fileOf(session, path)).uid, uid);
    const again = { ...onward(session, bash("cat pear.txt; echo x >> pear.txt; touch d/e"), { version: 1 }), transcript: turn.transcript };
    const second = await agent.turn(again);
    assert.equal(second.result.text, "pear");
    const save = await stored.take(agent, second);
    assert.deepEqual(save.changed.map(({ path, change }) => [path, change]), [["d/e", "added"], ["pear.txt", "modified"]]);
  });

  test("that lacks a pack holds nothing: a turn is asked for it, and so is an upload", async () => {
    const { session, stored } = await begun("head -c 17000000 /dev/urandom > large");
    const { need } = await stored.begin(agent, session);
    assert.equal(need.length, 2);
    assert.deepEqual(await (await sendPack(agent, session, need[0] ?? 0, stored.packs.get(need[0] ?? 0) ?? Buffer.alloc(0))).json(), { left: 1 });
    for (const version of [0, 1]) {
      const refused = await errorOf(await agent.post(onward(session, "hello", { version })));
      assert.deepEqual([refused.code, refused["held"]], ["workspace_required", null]);
    }
    assert.equal((await errorOf(await put(agent, files(session, "y", 1), Buffer.from("y")))).code, "workspace_required");
    // Sent twice, it counts once.
    assert.deepEqual(await (await sendPack(agent, session, need[0] ?? 0, stored.packs.get(need[0] ?? 0) ?? Buffer.alloc(0))).json(), { left: 1 });
    assert.deepEqual(await (await sendPack(agent, session, need[1] ?? 0, stored.packs.get(need[1] ?? 0) ?? Buffer.alloc(0))).json(), { left: 0 });
    assert.equal((await agent.turn(onward(session, bash("stat -c %s large"), { version: 1 }))).result.text, "17000000");
  });

  test("refuses a damaged pack, and goes on with the right one", async () => {
    const { session, stored, turn } = await begun("echo pear > pear.txt; head -c 400000 /dev/urandom > noise");
    const [no = 0] = (await stored.begin(agent, session)).need;
    const pack = stored.packs.get(no) ?? Buffer.alloc(0);
    for (const damage of [(bytes: Buffer) => bytes.writeUInt8((bytes[200_000] ?? 0) ^ 1, 200_000), (bytes: Buffer) => bytes.fill(0, 10, 20)]) {
      const damaged = Buffer.from(pack);
      damage(damaged);
      assert.deepEqual(Object.values(await errorOf(await sendPack(agent, session, no, damaged))).slice(0, 2), [422, "pack_damaged"]);
    }
    assert.equal((await errorOf(await sendPack(agent, session, no, pack.subarray(0, 100_000)))).code, "pack_damaged");
    assert.equal((await errorOf(await agent.post(onward(session, "hello", { version: 1 })))).code, "workspace_required");
    assert.deepEqual(await (await sendPack(agent, session, no, pack)).json(), { left: 0 });
    const next = await agent.turn({ ...onward(session, bash("cat pear.txt"), { version: 1 }), transcript: turn.transcript });
    assert.equal(next.result.text, "pear");
  });

  test("refuses an index that is none, and packs without a restore", async () => {
    const { session } = await begun("echo x > x");
    const header = '{"version":1,"codec":"zstd","packs":[{"no":1,"bytes":100}]}';
    const file = (path: string, segments = "[[1,0,10,0]]", size = 5): string => `["${path}",420,${size},0,"${"A".repeat(22)}",0,${segments}]`;
    const wrong = [
      "",
      "no JSON",
      '{"version":1,"codec":"gzip","packs":[]}',
      '{"version":-1,"codec":"zstd","packs":[]}',
      `{"version":1,"codec":"zstd","packs":[{"no":1,"bytes":${17 * MIB}}]}`,
      `${header}\n{}`,
      `${header}\n[["../x",493]]`,
      `${header}\n[["a",493],["a/b/c",493]]`,
      `${header}\n[["b",493],["a",493]]`,
      `${header}\n[["a",-1,"x"],${file("a/b")}]`,
      `${header}\n[["a",1000]]`,
      `${header}\n[${file("a", "[[2,0,10,0]]")}]`,
      `${header}\n[${file("a", "[[1,95,10,0]]")}]`,
      `${header}\n[${file("a", "[]")}]`,
      `${header}\n[${file("a", "[[1,0,10,262140]]")}]`,
      `${header}\n[${file("a", "[[1,0,10,0]]", 3_000_000)}]`,
    ];
    for (const body of wrong) {
      const { status, code } = await errorOf(await put(agent, `/sessions/${session}/workspace`, Buffer.from(body)));
      assert.deepEqual([status, code], [400, "invalid_request"], body.slice(0, 100));
    }
    // What it has left is no workspace, not even an empty one.
    for (const version of [0, 1]) assert.equal((await agent.post(onward(session, "hello", { version }))).status, 409);
    assert.equal((await errorOf(await sendPack(agent, randomUUID(), 1, Buffer.from("x")))).code, "restore_required");
    assert.equal((await errorOf(await put(agent, `/sessions/${session}/workspace`, randomBytes(18 * MIB)))).code, "too_large");
    for (const path of ["x", "packs/1/2", "saves/1", "saves/1/packs", "saves/x/index"]) assert.ok([400, 404].includes((await agent.call("GET", `/sessions/${session}/workspace/${path}`)).status), path);
  });

  test("of an empty workspace empties the folder", async () => {
    const { session } = await begun("echo x > x");
    const response = await put(agent, `/sessions/${session}/workspace`, Buffer.from('{"version":3,"codec":"zstd","packs":[]}'));
    assert.deepEqual(await response.json(), { need: [] });
    assert.equal(existsSync(fileOf(session, "x")), false);
    const held = await errorOf(await agent.post(onward(session, "hello", { version: 9 })));
    assert.deepEqual(held["held"], { version: 3, inbox: 0 });
  });
});

test("the agent can neither read nor write what the server keeps of its workspace", async () => {
  const { session } = await begun("echo pear > pear.txt");
  const kept = join(agent.root, "state", session, "workspace");
  assert.ok(existsSync(join(kept, "save/index")));
  assert.equal(statSync(kept).mode & 0o777, 0o700);
  if (!separate) return;
  for (const look of [`ls ${kept}`, `cat ${kept}/save/index`, `touch ${kept}/x`, `rm -r ${kept}`]) {
    assert.match((await agent.turn(onward(session, bash(look), { version: 1 }))).result.text, /Permission denied/);
  }
});

test("an upload may be as large as any that the object lets through", async () => {
  const { session } = await begun("echo x > x");
  const bytes = 100 * MIB;
  const response = await put(agent, files(session, "large.bin", 1), Buffer.alloc(bytes, 7));
  assert.deepEqual([response.status, statSync(fileOf(session, "large.bin")).size], [200, bytes]);
});

test("a disk that is full refuses the save and the upload, and the next ones are made", async () => {
  const command = ["-c", `trap '' XFSZ; exec "$0" "$@"`, process.execPath];
  const server = await startAgent(model, {}, { program: "/bin/bash", leading: command });
  try {
    const limit = (bytes: string): Buffer => execFileSync("prlimit", ["--pid", String(server.child.pid), `--fsize=${bytes}`]);
    const first = await server.turn({ prompt: bash("echo pear > pear.txt; head -c 3000000 /dev/urandom > noise"), workspace: { version: 0, exclude: ["*"] } });
    const { session } = first;
    limit("1000000:unlimited");
    const refused = await server.turn(onward(session, bash("true"), { version: 0 }));
    assert.deepEqual([refused.result.status, Object.values(refused.one("workspace")).includes("scan_failed")], ["completed", true]);
    const full = await errorOf(await put(server, files(session, "large", 1), randomBytes(2 * MIB)));
    assert.deepEqual([full.status, full.code], [507, "disk_full"]);
    limit("unlimited:unlimited");
    const stored = new Stored();
    await stored.take(server, await server.turn(onward(session, "[[say hello]]", { version: 0 })));
    assert.deepEqual(stored.paths, ["noise", "pear.txt"]);
  } finally {
    await server.stop();
  }
});

test("a link in the place of the whole folder is not followed", async () => {
  const { session } = await begun("echo x > x");
  const outside = join(agent.root, `outside-${session}`);
  mkdirSync(outside);
  writeFileSync(join(outside, "key"), "SECRET");
  execFileSync("rm", ["-rf", workspaceOf(session)]);
  symlinkSync(outside, workspaceOf(session));
  const turn = await agent.turn(onward(session, "[[tool Bash {\"command\":\"true\"}]]", { version: 1 }));
  assert.deepEqual(Object.values(turn.one("workspace")).includes("scan_failed"), true);
  assert.equal(readFileSync(join(outside, "key"), "utf8"), "SECRET");
});
