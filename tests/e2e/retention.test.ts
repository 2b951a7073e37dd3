/*
 * Retention, on a stack of its own: its runs go over every account there is. Time is moved by writing the past into the objects'
 * rows while no workerd serves them.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { before, describe, test } from "node:test";
import { makeAccountTables, Objects, shardOf } from "../../dev/objects.ts";
import { json, problem } from "./client.ts";
import type { Client } from "./client.ts";
import { service } from "./support.ts";

const DAY_MS = 86_400_000;
const RETENTION_DAYS = 30;
/** As DIRECTORY_SHARDS is by default. */
const SHARDS = 8;
const RUN_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
/** Above CONTAINER_IDLE of these stacks: an account that has a container wakes by then. */
const ALARM_TIMEOUT_MS = 60_000;

type PurgeRun = {
  run_id: string;
  trigger: "cron" | "operator";
  started_at: number;
  finished_at: number | null;
  accounts_due: number;
  accounts_done: number;
  accounts_failed: number;
  conversations_deleted: number;
};

const running = service();
const objects = (objectClass: "Account" | "Directory"): Objects => {
  assert.ok(running.stack.state);
  return Objects.ofStack(running.stack.state, objectClass);
};

const runs = async (): Promise<PurgeRun[]> => json(await fetch(`${running.url}/purge-runs`), 200);
const start = async (): Promise<string> => {
  const response = await fetch(`${running.url}/purge-runs`, { method: "POST" });
  return (await json<{ run_id: string }>(response, 202)).run_id;
};
const purge = async (client: Client): Promise<unknown> => json(await client.request("POST", "/purge"), 200);

/** Waits until a run has ended: nothing tells its end but the list. */
async function ended(runId: string): Promise<PurgeRun> {
  const deadline = performance.now() + RUN_TIMEOUT_MS;
  for (;;) {
    const run = (await runs()).find(({ run_id }) => run_id === runId);
    if (run !== undefined && run.finished_at !== null) return run;
    assert.ok(performance.now() < deadline, `the run has not ended: ${JSON.stringify(run)}`);
    await sleep(POLL_MS);
  }
}

/** What stands for an account in the log, as src/digest.rs has it. */
const log = (client: Client): string => createHash("sha256").update(client.accountId).digest("hex").slice(0, 12);

/** An account with these conversations, which the directory knows. */
async function account(...sessions: string[]): Promise<Client> {
  const client = running.newClient();
  for (const session_id of sessions) await client.query(`[[say kept]] ${session_id}`, { session_id });
  return client;
}

/**
 * Writes when conversations were last accessed, and what the directory thinks of their account. The account's alarm, which
 * would purge them before anybody else can, is taken away.
 */
function age(client: Client, days: number, ...sessions: string[]): void {
  const at = Date.now() - days * DAY_MS;
  objects("Account").forgetAlarm(client.accountId);
  writeAge(client, days, ...sessions);
  objects("Directory").open(shardOf(client.accountId, SHARDS), (database) => {
    const update = database.prepare("update accounts set oldest_access_at = min(oldest_access_at, ?) where account_id = ?");
    assert.equal(update.run(at, client.accountId).changes, 1, "the directory knows the account");
  });
}

function writeAge(client: Client, days: number, ...sessions: string[]): void {
  const at = Date.now() - days * DAY_MS;
  objects("Account").open(client.accountId, (database) => {
    const update = database.prepare("update conversations set last_accessed_at = ? where session_id = ?");
    for (const session of sessions) assert.equal(update.run(at, session).changes, 1, `${session} is stored`);
  });
}

const ids = async (client: Client): Promise<string[]> => {
  const list = await json<{ session_id: string }[]>(await client.request("GET", "/conversations"), 200);
  return list.map(({ session_id }) => session_id).sort();
};

/** Writes conversations into an account that was only asked for its list, and the account into the directory. */
function write(client: Client, ...sessions: string[]): void {
  const now = Date.now();
  objects("Account").open(client.accountId, (database) => {
    makeAccountTables(database);
    database.prepare("insert into account (id, account_id, registered) values (1, ?, 1)").run(client.accountId);
    const conversation = database.prepare("insert into conversations (session_id, title, created_at, last_accessed_at) values (?, '', ?, ?)");
    for (const session of sessions) conversation.run(session, now, now);
  });
  objects("Directory").open(shardOf(client.accountId, SHARDS), (database) => {
    database.prepare("insert into accounts (account_id, oldest_access_at) values (?, ?)").run(client.accountId, now);
  });
}

/** What an account's rows say, whoever looks: a request would wake the object. */
function stored(client: Client, table: string): number {
  return objects("Account").open(client.accountId, (database) => {
    const known = database.prepare("select 1 from sqlite_schema where name = ?").get(table);
    return known === undefined ? 0 : Number(database.prepare(`select count(*) as n from ${table}`).get()?.["n"]);
  });
}

function inDirectory(client: Client): boolean {
  return objects("Directory").open(shardOf(client.accountId, SHARDS), (database) => {
    return database.prepare("select 1 from accounts where account_id = ?").get(client.accountId) !== undefined;
  });
}

describe("the purge of one account", () => {
  let client: Client;
  before(async () => {
    client = await account("old", "older", "new");
    await running.stack.restartWorker(() => age(client, RETENTION_DAYS + 1, "old", "older"));
  });

  test("deletes what is due, and tells how much", async () => {
    assert.deepEqual(await purge(client), { deleted: 2, errors: 0 });
    assert.deepEqual(await ids(client), ["new"]);
  });

  test("finds nothing the second time", async () => {
    assert.deepEqual(await purge(client), { deleted: 0, errors: 0 });
  });

  test("leaves nothing of what it deleted", async () => {
    await problem(client.request("GET", "/conversations/old"), 404, "not_found");
    const answer = await client.query("repeat everything I said", { session_id: "old" });
    assert.equal(answer.response, "You said nothing before this.");
  });

  test("takes messages, turns and transcripts along", async () => {
    await running.stack.restartWorker(() => {
      const rows = ["conversations", "messages", "turns"].map((table) => stored(client, table));
      assert.deepEqual(rows, [2, 4, 2]);
    });
  });
});

describe("the alarm of an account", () => {
  test("purges what is due without anybody asking", async () => {
    const client = await account("old", "new");
    const alarm = (): number => objects("Account").alarm(client.accountId) ?? Number.NaN;
    const purged = running.stack.waitForLog((line) => line.includes("account_purged") && line.includes(log(client)), ALARM_TIMEOUT_MS);
    await running.stack.restartWorker(() => {
      assert.ok(alarm() <= Date.now() + ALARM_TIMEOUT_MS, "it looks after its container");
      writeAge(client, RETENTION_DAYS + 1, "old");
    });
    await purged;
    assert.deepEqual(await ids(client), ["new"]);
  });
});

describe("an account left empty", () => {
  let client: Client;
  before(async () => {
    client = await account("only");
    await running.stack.restartWorker(() => age(client, RETENTION_DAYS + 1, "only"));
    assert.deepEqual(await purge(client), { deleted: 1, errors: 0 });
  });

  test("keeps what it has used and nothing that was said", async () => {
    await running.stack.restartWorker(() => {
      for (const table of ["conversations", "messages", "turns", "transcripts"]) assert.equal(stored(client, table), 0, table);
      assert.ok(stored(client, "usage") > 0);
    });
  });

  test("works again", async () => {
    assert.deepEqual(await ids(client), []);
    assert.equal((await client.query("[[say back]]", { session_id: "again" })).response, "back");
    assert.deepEqual(await ids(client), ["again"]);
  });

  test("is known to the directory again", async () => {
    await running.stack.restartWorker(() => assert.ok(inDirectory(client)));
  });
});

describe("a purge run", () => {
  const due: Client[] = [];
  const fresh: Client[] = [];
  let run: PurgeRun;
  let cron: PurgeRun;

  before(async () => {
    // What other tests left to be visited is none of this run's.
    await ended(await start());
    for (let n = 0; n < 3; n += 1) due.push(await account("old", "new"));
    due.push(await account("only"));
    for (let n = 0; n < 2; n += 1) fresh.push(await account("kept"));
    await running.stack.restartWorker(() => {
      for (const client of due.slice(0, 3)) age(client, RETENTION_DAYS + 1, "old");
      age(due[3] as Client, RETENTION_DAYS + 40, "only");
      for (const client of fresh) age(client, RETENTION_DAYS - 1, "kept");
    });
    const before = new Set((await runs()).map(({ run_id }) => run_id));
    const response = await fetch(`${running.url}/cdn-cgi/handler/scheduled?cron=0+2+*+*+*`);
    assert.equal(response.status, 200);
    const started = (await runs()).find(({ run_id }) => !before.has(run_id));
    assert.ok(started, "the cron starts a run before it returns");
    cron = started;
    run = await ended(cron.run_id);
  });

  test("is started by the cron", () => assert.equal(run.trigger, "cron"));

  test("purges every account with something due", async () => {
    assert.deepEqual(
      { due: run.accounts_due, done: run.accounts_done, failed: run.accounts_failed, deleted: run.conversations_deleted },
      { due: 4, done: 4, failed: 0, deleted: 4 },
    );
    for (const client of due.slice(0, 3)) assert.deepEqual(await ids(client), ["new"]);
    for (const client of fresh) assert.deepEqual(await ids(client), ["kept"]);
  });

  test("leaves every account in the directory: the one that is left empty until its usage is due", async () => {
    await running.stack.restartWorker(() => {
      assert.deepEqual([...due, ...fresh].map(inDirectory), [true, true, true, true, true, true]);
    });
  });

  test("finds nothing when it is started again", async () => {
    const again = await ended(await start());
    assert.deepEqual([again.trigger, again.accounts_due, again.conversations_deleted], ["operator", 0, 0]);
  });

  test("is listed newest first", async () => {
    const started = (await runs()).map(({ started_at }) => started_at);
    assert.deepEqual(started, started.toSorted((a, b) => b - a));
  });
});

describe("a purge run that is killed in the middle", () => {
  const COUNT = 60;
  const clients: Client[] = [];
  let runId: string;

  before(async () => {
    for (let n = 0; n < COUNT; n += 1) {
      const client = running.newClient();
      assert.deepEqual(await ids(client), []);
      clients.push(client);
    }
    await running.stack.restartWorker(() => {
      for (const client of clients) {
        write(client, "old", "new");
        age(client, RETENTION_DAYS + 1, "old");
      }
    });
    runId = await start();
    await running.stack.restartWorker();
  });

  test("ends after the restart, with every due conversation gone and no other", async () => {
    const run = await ended(runId);
    assert.deepEqual([run.accounts_due, run.accounts_done, run.accounts_failed], [COUNT, COUNT, 0]);
    for (const client of clients) assert.deepEqual(await ids(client), ["new"]);
  });
});
