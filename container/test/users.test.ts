/*
 * What the agent's shell can reach beside its own conversation. As root on Linux each conversation has a user of its own, and it is
 * nothing; elsewhere all are one user, with folders of their own, and no more than that is promised.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { startAgent, until } from "./harness.ts";
import type { Agent, Body, TurnFrames } from "./harness.ts";

const REPEAT = "repeat everything I said";
/** No two runs on a machine share users: each ends all processes of its own. */
const UID_BASE = 1_000_000 + process.pid * 100;
const OTHERS_MAY_ENTER = 0o001;

/** Also where the checkout is under a folder that is closed to others, such as /root: there nobody else could start the CLI. */
const separate = process.platform === "linux" && process.getuid?.() === 0 && isOpen(import.meta.dirname);
const promised = separate ? "a user of its own" : "the server's user";

function isOpen(folder: string): boolean {
  return (statSync(folder).mode & OTHERS_MAY_ENTER) !== 0 && (folder === "/" || isOpen(dirname(folder)));
}

/** By its own word, for where users are not separate there is nothing to prove. */
function assertRefused(said: string, word: RegExp): void {
  if (separate) assert.match(said, word);
  else assert.doesNotMatch(said, word);
}

let model: Model;
let agent: Agent;
before(async () => {
  model = await startModel();
  agent = await startAgent(model, { WARM_SESSIONS: "2", ...(separate ? { AGENT_UID_BASE: String(UID_BASE) } : {}) });
  await agent.processesReady();
});
after(async () => {
  await agent.stop();
  await model.close();
});

async function shell(command: string, session?: string): Promise<{ said: string; turn: TurnFrames }> {
  const prompt = `[[tool Bash ${JSON.stringify({ command })}]]`;
  const turn = await agent.turn({ prompt, ...(session === undefined ? {} : { agent_session: session, resume: true }) });
  assert.equal(turn.result.status, "completed", JSON.stringify(turn.result.error));
  return { said: turn.result.text, turn };
}

const workspaceOf = (session: string): string => join(agent.root, "workspace", session);
const stateOf = (session: string): string => join(agent.root, "state", session);

describe(`the shell of a conversation with ${promised}`, () => {
  test("runs as that user, in folders that are the user's own", async () => {
    const one = await shell("id -u; id -G; touch ~/a $TMPDIR/b $CLAUDE_CONFIG_DIR/c d; stat -c '%u %a' ~ $TMPDIR $CLAUDE_CONFIG_DIR .; stat -c %u ~/a $TMPDIR/b $CLAUDE_CONFIG_DIR/c d");
    const other = await shell("id -u");
    const [uid, groups, ...rest] = one.said.split("\n");
    assert.deepEqual(rest, [...Array(4).fill(`${uid} 700`), ...Array(4).fill(uid)]);
    assert.equal(Number(uid) >= UID_BASE, separate);
    if (separate) assert.equal(groups, uid);
    assert.equal(uid !== other.said, separate);
  });

  test("has a HOME of its own: what one conversation puts there runs in no other", async () => {
    const one = await shell("echo 'echo PLANTED' > ~/.bashrc; cp ~/.bashrc ~/.profile; echo $HOME");
    const other = await shell("bash -ic true; bash -lc true; echo $HOME");
    assert.doesNotMatch(other.said, /PLANTED/);
    assert.equal(one.said, join(stateOf(one.turn.session), "home"));
    assert.notEqual(one.said, other.said);
    assert.match((await shell("bash -ic true 2>/dev/null", one.turn.session)).said, /PLANTED/);
  });

  test("cannot read the server's environment, its memory or a transcript", async () => {
    const { turn } = await shell("echo first");
    const server = `/proc/${agent.child.pid}`;
    const transcript = join(stateOf(turn.session), "transcript.jsonl");
    await until(() => (existsSync(transcript) && statSync(transcript).size > 0 ? true : undefined), "nothing was written");
    for (const file of [`${server}/environ`, `${server}/maps`, transcript]) {
      assertRefused((await shell(`head -c 1 ${file} > /dev/null`, turn.session)).said, /Permission denied/);
    }
  });

  test("cannot signal the server", async () => {
    assertRefused((await shell(`kill -0 ${agent.child.pid}`)).said, /not permitted/);
  });

  test("cannot read, list or change what another conversation has", async () => {
    const other = await shell("echo plum > plum.txt; echo plum > ~/plum.txt; echo plum > $TMPDIR/plum.txt; echo plum > /tmp/plum-$$.txt; echo /tmp/plum-$$.txt");
    const shared = other.said;
    const { session } = other.turn;
    const { turn } = await shell("true");
    const state = stateOf(session);
    for (const look of [
      `cat ${workspaceOf(session)}/plum.txt`,
      `cat ${state}/home/plum.txt`,
      `cat ${state}/tmp/plum.txt`,
      `cat ${shared}`,
      `ls ${state}`,
      `ls ${agent.root}/workspace`,
      `touch ${workspaceOf(session)}/mine`,
    ]) {
      assertRefused((await shell(look, turn.session)).said, /Permission denied/);
    }
    await agent.call("DELETE", `/sessions/${session}`);
    assert.equal(existsSync(shared), !separate, "its files in shared folders go with it");
    rmSync(shared, { force: true });
  });
});

test("a conversation keeps its user and its files when its process gives way and resumes", async () => {
  const first = await shell("umask 022; echo pear > pear.txt; echo pear > ~/pear.txt; id -u");
  const { session } = first.turn;
  const before = await agent.pidOf(first.turn);
  for (const _other of [1, 2, 3]) await shell("true");
  await agent.logged((line) => line.event === "process_ended" && line["pid"] === before);
  const again = await shell("cat pear.txt ~/pear.txt; id -u; stat -c '%u %a' $CLAUDE_CONFIG_DIR; echo $CLAUDE_CONFIG_DIR", session);
  assert.equal(again.turn.one("started").warm, false);
  const [uid] = first.said.split("\n");
  const lines = again.said.split("\n");
  assert.deepEqual(lines.slice(0, 4), ["pear", "pear", uid, `${uid} 700`]);
  assert.match(lines[4] ?? "", /claude-resume-/);
  const told = await agent.turn({ agent_session: session, resume: true, prompt: REPEAT });
  assert.match(told.result.text, /pear\.txt/);
});

test("a server that starts again on the same disk leaves each conversation its user", async () => {
  const disk = mkdtempSync(join(tmpdir(), "agent-disk-"));
  chmodSync(disk, 0o711);
  const env = {
    WORKSPACE_ROOT: join(disk, "workspace"),
    STATE_ROOT: join(disk, "state"),
    ...(separate ? { AGENT_UID_BASE: String(UID_BASE + 50) } : {}),
  };
  const run = async (prompt: string, more: Partial<Body> = {}): Promise<TurnFrames> => {
    const server = await startAgent(model, env);
    try {
      // The first number of the range is the spare's, the second another's: the conversation's own is not the lowest.
      await server.turn({ prompt: "[[say hello]]" });
      return await server.turn({ ...more, prompt });
    } finally {
      await server.stop();
    }
  };
  const first = await run('[[tool Bash {"command":"echo pear > pear.txt; id -u"}]]');
  const again = { agent_session: first.session, resume: true, transcript: first.transcript };
  const second = await run('[[tool Bash {"command":"cat pear.txt; id -u"}]]', again);
  assert.equal(second.result.text, `pear\n${first.result.text}`);
  rmSync(disk, { recursive: true });
});

test("where every user is taken, the conversation that was longest without a process gives its own up, and goes on from its transcript", async () => {
  const env = { WARM_SESSIONS: "1", ...(separate ? { AGENT_UID_BASE: String(UID_BASE + 60), AGENT_UID_COUNT: "4" } : {}) };
  const server = await startAgent(model, env);
  try {
    const prompt = '[[tool Bash {"command":"id -u; touch here"}]] [[say the word is heron]]';
    const turns: TurnFrames[] = [];
    for (let n = 0; n < 6; n++) turns.push(await server.turn({ prompt }));
    assert.deepEqual(turns.map((turn) => turn.result.status), Array(6).fill("completed"));
    const [first] = turns as [TurnFrames];
    if (separate) await server.logged((line) => line.event === "user_reclaimed" && line["session"] === first.session);
    const next = { agent_session: first.session, resume: true, prompt: "repeat everything I said" };
    assert.equal((await server.post(next)).status, separate ? 409 : 200);
    if (separate) assert.match((await server.turn({ ...next, transcript: first.transcript })).result.text, /the word is heron/);
  } finally {
    await server.stop();
  }
});

test("a link that the agent puts in the server's way is not followed", async () => {
  const { session } = (await shell("echo first")).turn;
  const secret = join(agent.root, "secret.json");
  writeFileSync(secret, '{"kept":"KEPT-SECRET"}', { mode: 0o600 });
  // The CLI writes this one by itself, through a link too if it may.
  const own = join(agent.root, "own.json");
  writeFileSync(own, '{"kept":"KEPT-SECRET"}', { mode: 0o600 });
  const link = `for name in .credentials.json settings.json .config.json; do ln -sf ${secret} $folder/$name; done; ln -sf ${own} $folder/.claude.json`;
  const plant = `{ for folder in $CLAUDE_CONFIG_DIR ${stateOf(session)}/config; do ${link}; done; ln -sfn ${agent.root} $CLAUDE_CONFIG_DIR/root; } 2>/dev/null`;
  const look = "cat $CLAUDE_CONFIG_DIR/*.json $CLAUDE_CONFIG_DIR/.*.json 2>/dev/null";
  const prompt = `[[tool Bash ${JSON.stringify({ command: `${look}; ${plant}; ln -sfn ${agent.root} ~/root; echo planted` })}]]`;
  // Another option takes a new process: the configuration is laid out anew by the server, and the old one removed.
  for (const max_turns of [7, 8, 9]) {
    const turn = await agent.turn({ agent_session: session, resume: true, prompt, options: { max_turns } });
    assert.deepEqual([turn.one("started").warm, turn.result.status], [false, "completed"]);
    assert.match(turn.result.text, /planted/);
    if (separate) assert.doesNotMatch(turn.result.text, /KEPT-SECRET/);
  }
  await agent.call("DELETE", `/sessions/${session}`);
  assert.match(readFileSync(secret, "utf8"), /KEPT-SECRET/);
  assert.ok(existsSync(own));
  if (separate) assert.match(readFileSync(own, "utf8"), /KEPT-SECRET/);
});

test("whatever a conversation leaves running and lying about goes with it, also what hides from the server", async () => {
  // Where all are one user, nobody could find it again.
  const hiding = separate ? "env -i setsid sleep 400 > /dev/null 2>&1 &" : "";
  const { turn } = await shell(`${hiding} mkdir -p deep/er; echo x > deep/er/x; chmod 000 deep/er deep; setsid sleep 401 > /dev/null 2>&1 & sleep 0.1; echo on`);
  const { session } = turn;
  const response = await agent.call("DELETE", `/sessions/${session}`);
  assert.equal(response.status, 200, await response.text());
  assert.deepEqual([existsSync(workspaceOf(session)), existsSync(stateOf(session))], [false, false]);
  const ended = await agent.logged((line) => line.event === "process_ended" && line["session"] === session);
  assert.equal(Number(ended["left_behind"]), separate ? 2 : 1);
});
