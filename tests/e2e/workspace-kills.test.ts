/*
 * kill -9 of the container, of a CLI and of the Worker at random moments of saves and restores. After each round, the last version that a turn
 * reported is there byte for byte; at the end every object of the bucket has a row, and every row its object.
 * `SEED=7 KILLS_SECONDS=600` takes another path, and a longer one.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { Bucket } from "../../dev/bucket.ts";
import { Objects } from "../../dev/objects.ts";
import { bash } from "./client.ts";
import type { Client, Turn } from "./client.ts";
import { descendantsOf, isAlive, parentOf } from "./processes.ts";
import { Random } from "./soak/random.ts";
import { service } from "./support.ts";

const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const SECONDS = Number(process.env["KILLS_SECONDS"] ?? 60);
/** The last round, the drain and the reckoning. */
const END_MS = 180_000;
const TURN_MS = 90_000;
const DRAIN_MS = 60_000;
const POLL_MS = 50;
/** Longer than `DOOMED_GRACE`. */
const HOUR_MS = 3_600_000;

const SESSIONS = ["one", "two"];
const NAMES = ["f0", "f1", "f2", "f3", "f4", "f5"];
/** Nothing, a part of a frame, several frames, several segments. */
const SIZES = [0, 100, 100, 60_000, 700_000, 3_300_000, 6_000_000];
const VICTIMS = ["container", "container", "container", "cli", "worker", "nobody"] as const;
/** When somebody is killed: whenever, or a little after the log says that a save, or a container that needs a restore, has begun. */
const SAVING = '"workspace_saved"';
const RESTORING = '"container_started"';
/** About as long as a turn that writes and saves. */
const TURN_TAKES_MS = 1_200;
/** Most that a line of the log is waited for. */
const LINE_MS = 2_500;
/** About as long as a save or a restore of what these turns write. */
const MOVE_MS = 250;
const SECOND_KILL = 0.3;

type Victim = (typeof VICTIMS)[number];
/** Files of a folder: `sha256sum`'s lines, in order. */
type Manifest = string;
type Known = {
  version: number;
  stored: Manifest;
  /** The container's folder may hold what no version does: a turn was interrupted, or could not be saved. */
  isDirty: boolean;
};

const log = new EventEmitter<{ line: [string] }>();
const running = service({ vars: { CONTAINER_IDLE: "4s" }, onLog: (line) => log.emit("line", line) });
const MANIFEST = "sha256sum f? 2>/dev/null";
const SEPARATOR = "--";

test("the product starts", () => assert.match(running.url, /^http:/));

test("whatever is killed, the last version that a turn reported is there", { timeout: SECONDS * 1_000 + END_MS }, async (context) => {
  context.diagnostic(`SEED=${SEED}`);
  const random = new Random(SEED);
  const client = running.newClient();
  const known = new Map<string, Known>(SESSIONS.map((session) => [session, { version: 0, stored: "", isDirty: false }]));
  const ends: Record<string, number> = {};
  const end = performance.now() + SECONDS * 1_000;
  for (let round = 0; performance.now() < end; round += 1) {
    const session = random.pick(SESSIONS);
    const victims: Victim[] = [];
    let come = moment(random);
    const turn = await client.start(change(random), { session_id: session });
    for (let kills = random.next() < SECOND_KILL ? 2 : 1; kills > 0; kills -= 1) {
      await come;
      victims.push(await kill(random, random.pick(VICTIMS)));
      if (kills > 1) come = moment(random);
    }
    const what = `SEED=${SEED}, round ${round}, ${victims.join(" and ")} of ${session}`;
    try {
      const ended = await endOf(client, turn);
      const told = `${ended.status}, ${ended.files === undefined ? "nothing of files" : ended.files.saved ? "saved" : ended.files.reason}`;
      ends[told] = (ends[told] ?? 0) + 1;
      settle(known, session, ended, victims);
      if (ended.status === "interrupted" && ended.files?.saved) await savedAfterAll(client, known, session, ended.files);
      for (const [each, { version, stored }] of known) if (version > 0) assert.deepEqual(await storedOf(client, each), { version, stored }, each);
    } catch (error) {
      throw new Error(what, { cause: error });
    }
  }
  context.diagnostic(`${JSON.stringify(ends)}, ${[...known.values()].map(({ version }) => `version ${version}`).join(" and ")}`);
  assert.ok((ends["completed, saved"] ?? 0) > 0, "something was saved");
  await reckon(client);
  for (const [session, { version, stored }] of known) if (version > 0) assert.deepEqual((await storedOf(client, session)).stored, stored, `${session}, ${version}`);
});

/** Waits for a moment of a turn. */
async function moment(random: Random): Promise<void> {
  const mark = random.next() < 0.3 ? undefined : liveServer() === undefined && random.next() < 0.5 ? RESTORING : SAVING;
  if (mark === undefined) return sleep(random.between(0, TURN_TAKES_MS));
  const later = random.between(0, MOVE_MS);
  const given = new AbortController();
  const heard = new Promise<void>((resolve) => {
    const hear = (line: string): void => (line.includes(mark) ? resolve() : undefined);
    log.on("line", hear);
    given.signal.addEventListener("abort", () => log.off("line", hear));
  });
  await Promise.race([heard.then(() => sleep(later)), sleep(LINE_MS)]);
  given.abort();
}

/** A prompt that shows the folder, changes some of its files, and shows it again. */
function change(random: Random): string {
  const commands = [MANIFEST, `echo ${SEPARATOR}`];
  for (let files = random.between(1, 3); files > 0; files -= 1) commands.push(`head -c ${random.pick(SIZES)} /dev/urandom > ${random.pick(NAMES)}`);
  if (random.next() < 0.3) commands.push(`rm -f ${random.pick(NAMES)}`);
  return bash([...commands, MANIFEST, "true"].join("; "));
}

const liveServer = (): number | undefined => running.stack.engine?.containers().find(({ running, pid }) => running && isAlive(pid))?.pid;

/** Kills one, if it is there to be killed, and says who it was. */
async function kill(random: Random, victim: Victim): Promise<Victim> {
  if (victim === "nobody") return victim;
  if (victim === "worker") {
    await running.stack.restartWorker();
    return victim;
  }
  const server = liveServer();
  if (server === undefined) return "nobody";
  const clis = descendantsOf(server).filter((pid) => parentOf(pid) === server);
  if (victim === "cli" && clis.length === 0) return "nobody";
  process.kill(victim === "cli" ? random.pick(clis) : server, "SIGKILL");
  return victim;
}

/** Waits for the end of a turn, however often nobody answers meanwhile. */
async function endOf(client: Client, { turn_id }: Turn): Promise<Turn> {
  const deadline = performance.now() + TURN_MS;
  for (;;) {
    const turn = await client.turn(turn_id).catch(() => undefined);
    if (turn !== undefined && turn.finished_at !== null) return turn;
    assert.ok(performance.now() < deadline, `the turn has not ended: ${JSON.stringify(turn)}`);
    await sleep(POLL_MS);
  }
}

/** What is known of the conversations after a turn of one of them has ended. */
function settle(all: Map<string, Known>, session: string, turn: Turn, victims: readonly Victim[]): void {
  const known = all.get(session) as Known;
  const { status, files, response } = turn;
  assert.ok(["completed", "interrupted"].includes(status), `${status}: ${JSON.stringify(turn.error)}`);
  // A folder is given to a new container as it is stored, and nobody knows in which one the turn began.
  if (victims.includes("container")) for (const each of all.values()) each.isDirty = false;
  if (status === "completed") {
    const [before = "", after = ""] = (response ?? "").split(SEPARATOR).map((part) => part.trim());
    const wasClean = !known.isDirty;
    if (wasClean) assert.equal(before, known.stored, "the folder that the turn began with");
    if (files === undefined) {
      assert.deepEqual([known.version, after], [0, ""], "a turn tells of its files, unless there never were any");
      return;
    }
    if (files.saved) {
      assert.ok(files.version >= known.version, `version ${files.version} after ${known.version}`);
      Object.assign(known, { version: files.version, stored: after, isDirty: false });
      return;
    }
    assert.equal(files.version, known.version);
  }
  // A CLI may have died in the container that came after.
  known.isDirty = !victims.includes("container") || victims.includes("cli");
}

/** A turn that lost its CLI, and whose files were saved all the same: what they are, only the list says. */
async function savedAfterAll(client: Client, all: Map<string, Known>, session: string, { version }: { version: number }): Promise<void> {
  const known = all.get(session) as Known;
  const listed = await storedOf(client, session);
  assert.equal(listed.version, version, "the version that the turn told of");
  if (version === known.version) assert.equal(listed.stored, known.stored);
  else assert.equal(version, known.version + 1);
  Object.assign(known, listed);
}

/** A conversation's version and its files, as they are listed and read. */
async function storedOf(client: Client, session: string): Promise<{ version: number; stored: Manifest }> {
  const { version, files } = await client.files(session);
  const lines: string[] = [];
  for (const { path, size, etag } of files) {
    const bytes = await client.bytes(session, path);
    const hash = createHash("sha256").update(bytes).digest();
    assert.deepEqual([bytes.length, hash.subarray(0, 16).toString("base64url")], [size, etag], path);
    lines.push(`${hash.toString("hex")}  ${path}`);
  }
  return { version, stored: lines.join("\n") };
}

/** Lets everything doomed be deleted, and compares the bucket with the rows. */
async function reckon(client: Client): Promise<void> {
  const { state } = running.stack;
  assert.ok(state);
  const accounts = Objects.ofStack(state, "Account");
  const keys = (query: string): string[] =>
    accounts.open(client.accountId, (database) => database.prepare(query).all().map(({ object_key }) => String(object_key))).sort();
  await running.stack.restartWorker(() => accounts.open(client.accountId, (database) => database.exec(`update doomed set since = since - ${HOUR_MS}`)));
  await client.uploaded(SESSIONS[0] as string, "wakes", "it");
  const deadline = performance.now() + DRAIN_MS;
  while (keys("select object_key from doomed").length > 0) {
    assert.ok(performance.now() < deadline, "doomed keys are not deleted");
    await sleep(POLL_MS);
  }
  const named = keys("select object_key from workspace_packs union all select object_key from inbox where object_key is not null");
  assert.deepEqual(Bucket.ofStack(state).keys(`${accounts.id(client.accountId)}/`), named);
  await client.file("DELETE", SESSIONS[0] as string, "wakes");
}
