/*
 * What the bucket holds of an account, on a stack with small limits: quotas, what is left behind by deletions, and a bucket that lost an object or
 * fails. Time is moved by writing the past into rows while no workerd serves them.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { before, describe, test } from "node:test";
import { Bucket } from "../../dev/bucket.ts";
import { Objects } from "../../dev/objects.ts";
import { bash, json, problem } from "./client.ts";
import type { Client } from "./client.ts";
import { serverAndCli } from "./containers.ts";
import { gone } from "./processes.ts";
import { service } from "./support.ts";

const MEBIBYTE = 1024 * 1024;
const CONTAINER_IDLE_S = 3;
/** Above `CONTAINER_IDLE`, the container's end and the alarm that deletes. */
const DRAIN_MS = 30_000;
const EXIT_MS = 10_000;
const POLL_MS = 100;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const running = service({
  vars: {
    ...{ ACCOUNT_FILES_BYTES: "4MiB", MAX_UPLOAD_BYTES: "2MiB", WORKSPACE_MAX_BYTES: "3MiB", WORKSPACE_MAX_FILES: "60", WORKSPACE_EXCLUDE: "node_modules/" },
    CONTAINER_IDLE: `${CONTAINER_IDLE_S}s`,
  },
});

const state = (): string => {
  assert.ok(running.stack.state);
  return running.stack.state;
};
const accounts = (): Objects => Objects.ofStack(state(), "Account");
const prefixOf = (client: Client): string => `${accounts().id(client.accountId)}/`;
/** The keys of an account's objects in the bucket. */
const keysOf = (client: Client): string[] => Bucket.ofStack(state()).keys(prefixOf(client));

/** The keys that an account's rows name. */
function named(client: Client): string[] {
  return accounts().open(client.accountId, (database) => {
    const rows = database.prepare("select object_key as key from workspace_packs union all select object_key from inbox where object_key is not null").all();
    return rows.map(({ key }) => String(key)).sort();
  });
}

/** Waits until an account's objects are these: nothing tells when one is deleted. */
async function bucketHas(client: Client, keys: () => string[]): Promise<void> {
  const deadline = performance.now() + DRAIN_MS;
  while (JSON.stringify(keysOf(client)) !== JSON.stringify(keys())) {
    assert.ok(performance.now() < deadline, `the bucket has ${keysOf(client).join()}, and not ${keys().join()}`);
    await sleep(POLL_MS);
  }
}

const random = (bytes: number, path: string): string => bash(`head -c ${bytes} /dev/urandom > ${path}`);
const upload = (client: Client, session: string, path: string, bytes: number): Promise<Response> => client.upload(session, path, new Uint8Array(bytes).fill(7));

describe("a quota", () => {
  let client: Client;
  before(() => {
    client = running.newClient();
  });

  test("of one upload refuses a larger one, and nothing is left of it", async () => {
    const { detail } = await problem(upload(client, "s", "a", 2 * MEBIBYTE + 1), 413, "body_too_large");
    assert.match(detail, /MAX_UPLOAD_BYTES/);
    await json(await upload(client, "s", "a", 2 * MEBIBYTE), 200);
    assert.equal(keysOf(client).length, 1);
  });

  test("of an account refuses an upload that goes beyond it, until something is deleted", async () => {
    await json(await upload(client, "s", "b", 2 * MEBIBYTE - 10), 200);
    const { detail } = await problem(upload(client, "other", "c", 100), 413, "storage_full");
    assert.match(detail, /ACCOUNT_FILES_BYTES/);
    await json(await client.file("DELETE", "s", ""), 200);
    await json(await upload(client, "other", "c", 100), 200);
  });

  test("of an account leaves a turn completed and its files unsaved, and the next save has them", async () => {
    const full = running.newClient();
    await full.query(random(2_500_000, "a.bin"), { session_id: "one" });
    await full.query(random(1_400_000, "b.bin"), { session_id: "two" });
    const { files } = await full.query(random(1_000_000, "c.bin"), { session_id: "three" });
    assert.deepEqual(files, { version: 0, saved: false, reason: "storage_full", changed: [] });
    assert.equal((await full.files("three")).unsaved, "storage_full");
    await json(await full.request("DELETE", "/conversations/one"), 200);
    const later = await full.query("[[say later]]", { session_id: "three" });
    assert.deepEqual(later.files, { version: 1, saved: true, changed: [{ path: "c.bin", change: "added", size: 1_000_000 }] });
    assert.equal((await full.files("three")).unsaved, null);
  });

  test("of a conversation leaves its files unsaved, whether in bytes or in number", async () => {
    await json(await client.file("DELETE", "other", ""), 200);
    const large = await client.query(bash(`head -c ${3 * MEBIBYTE + 1} /dev/zero > zeros`), { session_id: "large" });
    assert.deepEqual([large.files?.saved, large.files?.reason], [false, "too_large"]);
    assert.deepEqual((await client.query(bash("truncate -s 10 zeros"), { session_id: "large" })).files?.changed, [{ path: "zeros", change: "added", size: 10 }]);
    const many = await client.query(bash("for n in $(seq 61); do echo $n > $n; done"), { session_id: "many" });
    assert.deepEqual([many.files?.saved, many.files?.reason], [false, "too_many_files"]);
    assert.equal((await client.query(bash("rm 61"), { session_id: "many" })).files?.changed.length, 60);
  });

  test("of what is excluded asks for nothing", async () => {
    const { files } = await client.query(bash(`mkdir -p a/node_modules; head -c ${4 * MEBIBYTE} /dev/zero > a/node_modules/x; echo y > a/y`), { session_id: "excluding" });
    assert.deepEqual(files, { version: 1, saved: true, changed: [{ path: "a/y", change: "added", size: 2 }] });
  });
});

describe("what nobody needs any more", () => {
  test("is deleted from the bucket ten minutes after another upload or deletion took its place; versions stay for branches", async () => {
    const client = running.newClient();
    await client.query(bash("echo one > a"), { session_id: "s" });
    for (const content of ["two", "three"]) await client.uploaded("s", "b", content);
    await client.query(bash("echo four > a"), { session_id: "s" });
    assert.equal(keysOf(client).length, 4, "a pack, two uploads and the pack that has them");
    const current = named(client);
    assert.equal(current.length, 2, "this version's pack and that of the one before");
    await running.stack.restartWorker(() => accounts().open(client.accountId, (database) => database.exec(`update doomed set since = since - ${HOUR_MS}`)));
    await client.uploaded("s", "c", "wakes it");
    await bucketHas(client, () => named(client));
    assert.equal(keysOf(client).length, 3);
    for (const key of current) assert.ok(keysOf(client).includes(key));
  });

  test("is deleted with its conversation, uploads and all, and nothing of another", async () => {
    const client = running.newClient();
    for (const session_id of ["kept", "deleted"]) {
      await client.query(bash(`echo ${session_id} > a`), { session_id });
      await client.uploaded(session_id, "waiting", session_id);
    }
    const before = keysOf(client);
    assert.equal(before.length, 4);
    await json(await client.request("DELETE", "/conversations/deleted"), 200);
    await bucketHas(client, () => named(client));
    assert.equal(keysOf(client).length, 2);
    for (const path of ["a", "waiting"]) assert.equal(Buffer.from(await client.bytes("kept", path)).toString().trim(), "kept");
  });

  test("is deleted with what a purge deletes", async () => {
    const client = running.newClient();
    for (const session_id of ["new", "old"]) await client.query(bash(`echo ${session_id} > a`), { session_id });
    await client.uploaded("old", "waiting", "x");
    await running.stack.restartWorker(() => {
      accounts().forgetAlarm(client.accountId);
      accounts().open(client.accountId, (database) => database.exec(`update conversations set last_accessed_at = last_accessed_at - ${31 * DAY_MS} where session_id = 'old'`));
    });
    assert.deepEqual(await json(await client.request("POST", "/purge"), 200), { deleted: 1, errors: 0 });
    await bucketHas(client, () => named(client));
    assert.equal(keysOf(client).length, 1);
    assert.equal(Buffer.from(await client.bytes("new", "a")).toString(), "new\n");
  });

  test("is found by a purge if no row names it, once it is a day old", async () => {
    const client = running.newClient();
    await client.query(bash("echo kept > a"), { session_id: "s" });
    const [key] = keysOf(client);
    assert.ok(key);
    const left = { old: `${prefixOf(client)}left-old`, young: `${prefixOf(client)}left-young` };
    await running.stack.restartWorker(() => {
      Bucket.ofStack(state()).copy(key, left.old, Date.now() - DAY_MS - HOUR_MS);
      Bucket.ofStack(state()).copy(key, left.young, Date.now());
    });
    await json(await client.request("POST", "/purge"), 200);
    await running.stack.restartWorker(() => accounts().open(client.accountId, (database) => database.exec(`update doomed set since = since - ${HOUR_MS}`)));
    await client.uploaded("s", "b", "wakes it");
    await bucketHas(client, () => [...named(client), left.young].sort());
    assert.equal(Buffer.from(await client.bytes("s", "a")).toString(), "kept\n");
  });

  test("is all of it when the account is left empty, even what no row names", async () => {
    const client = running.newClient();
    for (const session_id of ["one", "two"]) await client.query(bash("echo x > a"), { session_id });
    await client.uploaded("three", "waiting", "x");
    const [key] = keysOf(client);
    assert.ok(key);
    await running.stack.restartWorker(() => Bucket.ofStack(state()).copy(key, `${prefixOf(client)}left`, Date.now()));
    assert.equal(keysOf(client).length, 4);
    const { server } = await serverAndCli(client, running, "one");
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
    for (const session of ["one", "two", "three"]) await json(await client.request("DELETE", `/conversations/${session}`), 200);
    await bucketHas(client, () => []);
    await problem(client.request("GET", "/conversations/one/files"), 404, "not_found");
    await client.query(bash("echo again > a"), { session_id: "one" });
    assert.equal(Buffer.from(await client.bytes("one", "a")).toString(), "again\n");
  });
});

describe("a bucket", () => {
  let client: Client;
  let key: string;
  const session_id = "s";
  const prompt = bash("cat a");
  before(async () => {
    client = running.newClient();
    await client.query(bash("echo kept > a"), { session_id });
    [key = ""] = keysOf(client);
    const { server } = await serverAndCli(client, running, session_id);
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
  });
  const archive = (): Promise<Response> => client.request("GET", `/conversations/${session_id}/files`, { accept: "application/zip" });

  test("that fails is workspace_unavailable, for readers and for the turn, and nothing is lost when it is back", async () => {
    await running.stack.restartWorker(() => Bucket.ofStack(state()).spoil(key));
    for (const refused of [client.file("GET", session_id, "a"), archive(), client.post(prompt, { session_id })]) {
      const response = await refused;
      assert.match(response.headers.get("retry-after") ?? "", /^\d+$/);
      await problem(response, 503, "workspace_unavailable");
    }
    assert.deepEqual(await client.paths(session_id), ["a"], "the list is the index's");
    await running.stack.restartWorker(() => Bucket.ofStack(state()).mend(key));
    assert.equal((await client.query(prompt, { session_id })).response, "kept");
  });

  test("that lost an object is workspace_damaged, and the conversation goes on when all files are deleted", async () => {
    const { server } = await serverAndCli(client, running, session_id);
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
    await running.stack.restartWorker(() => Bucket.ofStack(state()).lose(key));
    for (const refused of [client.file("GET", session_id, "a"), archive()]) await problem(refused, 500, "workspace_damaged");
    const { detail } = await problem(client.post(prompt, { session_id }), 500, "workspace_damaged");
    assert.match(detail, /DELETE/);
    const said = await client.said(session_id);
    await json(await client.file("DELETE", session_id, ""), 200);
    assert.equal((await client.query(bash("ls | wc -l"), { session_id })).response, "0");
    assert.deepEqual((await client.said(session_id)).slice(0, said.length), said);
  });
});
