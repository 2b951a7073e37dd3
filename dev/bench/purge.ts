/**
 * How retention scales, on workerd alone: the purge of one large account and the reads that it lets in between, a run over
 * directories of growing size, and a run that is killed in the middle. Counts what was deleted, and by whom.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeAccountTables, Objects, shardOf } from "../objects.ts";
import { median, ms, quantile, table, verdict } from "./figures.ts";
import { cpuMicros } from "./processes.ts";
import { ACCOUNT_STORAGE, DIRECTORY_STORAGE, startWorkerd } from "./workerd.ts";
import type { Workerd } from "./workerd.ts";

const DAY_MS = 86_400_000;
const OLD_MS = 40 * DAY_MS;
const SHARDS = 8;
const APART_MS = 1_000;

const LARGE = 100_000;
const MESSAGES = 4;
const IDLE_READS = 2_000;
const SAMPLE_MS = 100;
const MAX_P99_GROWTH = 10;

const DIRECTORIES = [1_000, 10_000, 100_000];
const DUE = 100;
/** Several pages a shard: the kill comes between two of them. */
const DUE_KILLED = 600;
const RUN_LIMIT_MS = 120_000;
const POLL_MS = 20;

type Run = { run_id: string; finished_at: number | null; accounts_due: number; accounts_done: number; accounts_failed: number; conversations_deleted: number };
type LogLine = { event: string; rows_written?: number; deleted?: number };

export async function run(): Promise<void> {
  await inScratch(oneLargeAccount);
  const rows: string[][] = [];
  for (const accounts of DIRECTORIES) rows.push(await inScratch((directory) => oneRun(directory, accounts)));
  console.log(`
purge: a run over a directory in which ${DUE} accounts are due

${table(["accounts", "due", "visited", "deleted", "objects woken", "ms", "ms CPU", "rows written"], rows)}`);
  await inScratch(killedRun);
}

async function inScratch<T>(measure: (directory: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-bench-"));
  try {
    return await measure(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function json<T>(server: Workerd, method: string, path: string): Promise<T> {
  const response = await fetch(`${server.url}${path}`, { method });
  const body = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${body.slice(0, 500)}`);
  return JSON.parse(body) as T;
}

/** Runs workerd while `use` needs it: between two of these, the databases are ours. */
async function serving<T>(directory: string, use: (server: Workerd) => Promise<T>, onLine?: (line: string) => void): Promise<T> {
  const server = await startWorkerd({ directory, ...(onLine === undefined ? {} : { onLine }) });
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

const accountsOf = (directory: string): Objects => new Objects(join(directory, "storage", ACCOUNT_STORAGE));
const shardsOf = (directory: string): Objects => new Objects(join(directory, "storage", DIRECTORY_STORAGE));

/** Writes conversations of [`MESSAGES`] messages, the first `old` of them long untouched. */
function writeAccount(directory: string, account: string, old: number, fresh: number): void {
  accountsOf(directory).open(account, (database) => {
    const now = Date.now();
    database.exec("pragma synchronous = off; begin");
    makeAccountTables(database);
    database.prepare("insert into account (id, account_id, registered) values (1, ?, 1)").run(account);
    const conversation = database.prepare(
      "insert into conversations (session_id, agent_session, title, created_at, last_accessed_at, message_count, next_seq) values (?, ?, 'A title', ?, ?, ?, ?)",
    );
    const turn = database.prepare(
      "insert into turns (turn_id, session_id, seq, ordinal, status, request_id, created_at, started_at, finished_at) values (?, ?, ?, 1, 'completed', ?, ?, ?, ?)",
    );
    const message = database.prepare("insert into messages (session_id, seq, turn_id, role, content, timestamp) values (?, ?, ?, ?, ?, ?)");
    const transcript = database.prepare("insert into transcripts (session_id, seq, lines) values (?, 1, ?)");
    const hex = (n: number): string => n.toString(16).padStart(32, "0");
    const content = "A sentence or two, as people and models write them: neither a word nor a page. ".repeat(2);
    const lines = `${JSON.stringify({ subpath: null, entry: { type: "user", message: content } })}\n`.repeat(10);
    for (let n = 0; n < old + fresh; n++) {
      const at = n < old ? now - OLD_MS + n * APART_MS : now;
      // As the product makes them.
      const id = `session_${at}_${hex(n * 7919).slice(-12)}`;
      conversation.run(id, null, at, at, MESSAGES, MESSAGES + 1);
      for (let seq = 1; seq <= MESSAGES; seq++) {
        const turnId = `turn_${hex(n * MESSAGES + Math.ceil(seq / 2))}`;
        if (seq % 2 === 1) turn.run(turnId, id, seq, `req_${hex(n)}`, at, at, at);
        message.run(id, seq, turnId, seq % 2 === 1 ? "user" : "assistant", content, at);
      }
      transcript.run(id, lines);
    }
    database.exec("commit");
  });
}

async function oneLargeAccount(directory: string): Promise<void> {
  const list = "/conversations?accountId=large";
  await serving(directory, (server) => json(server, "GET", list));
  console.log(`\npurge: writing an account of ${LARGE} due conversations of ${MESSAGES} messages`);
  writeAccount(directory, "large", LARGE, 0);
  await serving(directory, async (server) => {
    const read = async (): Promise<number> => {
      const begun = performance.now();
      await json(server, "GET", list);
      return performance.now() - begun;
    };
    const idle: number[] = [];
    for (let n = 0; n < IDLE_READS; n++) idle.push(await read());

    const stored = async (): Promise<number> => (await json<{ total_conversations: number }>(server, "GET", "/storage-stats?accountId=large")).total_conversations;
    await stored();
    const left: [at: number, count: number][] = [[performance.now(), LARGE]];
    const busy: number[] = [];
    let deleted = 0;
    let purging = true;
    // What a call leaves for the alarm, the next call finds or waits for.
    const purge = (async () => {
      for (let last = 1; last > 0; deleted += last) last = (await json<{ deleted: number }>(server, "POST", "/purge?accountId=large")).deleted;
      purging = false;
    })();
    const watch = (async () => {
      while (purging) {
        await sleep(SAMPLE_MS);
        left.push([performance.now(), await stored()]);
      }
    })();
    while (purging) busy.push(await read());
    await Promise.all([purge, watch]);
    report(idle, busy, left, deleted);
  });
}

function report(idle: number[], busy: number[], left: [at: number, count: number][], deleted: number): void {
  const p99 = (values: number[]): string => ms(quantile(values, 0.99));
  const growth = quantile(busy, 0.99) / quantile(idle, 0.99);
  const timeAt = (gone: number): number => {
    const after = left.findIndex(([, count]) => LARGE - count >= gone);
    const [[t0, c0], [t1, c1]] = [left[after - 1] ?? left[0], left[after] ?? left.at(-1)] as [[number, number], [number, number]];
    return c0 === c1 ? t1 : t0 + ((t1 - t0) * (gone - (LARGE - c0))) / (c0 - c1);
  };
  const per1000 = Array.from({ length: 10 }, (_, tenth) => (timeAt(((tenth + 1) * LARGE) / 10) - timeAt((tenth * LARGE) / 10)) / (LARGE / 10_000));
  const seconds = (timeAt(LARGE) - timeAt(0)) / 1000;
  console.log(`
purge: one account of ${LARGE} due conversations: ${deleted} deleted by the calls, ${left.at(-1)?.[1]} left, in ${seconds.toFixed(1)} s

${table(
  ["GET /conversations", "reads", "median ms", "p99 ms", "most ms", "target"],
  [
    ["idle", String(idle.length), ms(median(idle)), p99(idle), ms(Math.max(...idle)), ""],
    ["while it is purged", String(busy.length), ms(median(busy)), p99(busy), ms(Math.max(...busy)), verdict({ text: `p99 ${growth.toFixed(1)} × below ${MAX_P99_GROWTH}`, met: growth < MAX_P99_GROWTH })],
  ],
)}

ms for 1,000 conversations, tenth by tenth: ${per1000.map((value) => value.toFixed(0)).join(" ")}`);
}

/** The name of the n-th account of a directory. */
const named = (n: number): string => `account-${n}`;

/** The first `due` accounts are due, with an old and a fresh conversation each; of the others there is nothing but the directory's row. */
async function writeDirectory(directory: string, accounts: number, due: number): Promise<void> {
  await serving(directory, async (server) => {
    await json(server, "GET", "/purge-runs");
    for (let n = 0; n < due; n++) await json(server, "GET", `/conversations?accountId=${named(n)}`);
  });
  for (let n = 0; n < due; n++) writeAccount(directory, named(n), 1, 1);
  const now = Date.now();
  for (let shard = 0; shard < SHARDS; shard++) {
    const name = `shard-${shard}`;
    shardsOf(directory).open(name, (database) => {
      database.exec("pragma synchronous = off; begin");
      const insert = database.prepare("insert into accounts (account_id, oldest_access_at) values (?, ?)");
      for (let n = 0; n < accounts; n++) if (shardOf(named(n), SHARDS) === name) insert.run(named(n), n < due ? now - OLD_MS : now);
      database.exec("commit");
    });
  }
}

async function startRun(server: Workerd): Promise<string> {
  return (await json<{ run_id: string }>(server, "POST", "/purge-runs")).run_id;
}

async function ended(server: Workerd, runId: string): Promise<Run> {
  for (const deadline = performance.now() + RUN_LIMIT_MS; performance.now() < deadline; await sleep(POLL_MS)) {
    const found = (await json<Run[]>(server, "GET", "/purge-runs")).find(({ run_id }) => run_id === runId);
    if (found !== undefined && found.finished_at !== null) return found;
  }
  throw new Error(`the run ${runId} did not end within ${RUN_LIMIT_MS / 1000} s`);
}

async function objectsOf(directory: string): Promise<number> {
  const files = await readdir(join(directory, "storage", ACCOUNT_STORAGE));
  return files.filter((file) => file.endsWith(".sqlite") && file !== "metadata.sqlite").length;
}

async function oneRun(directory: string, accounts: number): Promise<string[]> {
  await writeDirectory(directory, accounts, DUE);
  const lines: LogLine[] = [];
  const hear = (line: string): void => {
    const start = line.indexOf('{"event"');
    if (start !== -1) lines.push(JSON.parse(line.slice(start)) as LogLine);
  };
  return serving(
    directory,
    async (server) => {
      await json(server, "GET", "/purge-runs");
      const before = cpuMicros(server.pid);
      const begun = performance.now();
      const run = await ended(server, await startRun(server));
      const tookMs = performance.now() - begun;
      const after = cpuMicros(server.pid);
      const cpuMs = before === undefined || after === undefined ? NaN : (after - before) / 1000;
      const written = lines.filter(({ event }) => event === "account_purged" || event === "purge_run_ended");
      const rows = written.reduce((sum, line) => sum + (line.rows_written ?? 0), 0);
      return [accounts, run.accounts_due, run.accounts_done, run.conversations_deleted, await objectsOf(directory), ms(tookMs), ms(cpuMs), rows].map(String);
    },
    hear,
  );
}

async function killedRun(directory: string): Promise<void> {
  await writeDirectory(directory, DUE_KILLED, DUE_KILLED);
  let purged = 0;
  let inTheMiddle: (() => void) | undefined;
  const middle = new Promise<void>((resolve) => (inTheMiddle = resolve));
  const onLine = (line: string): void => {
    if (line.includes('"account_purged"') && ++purged === DUE_KILLED / 2) inTheMiddle?.();
  };
  const server = await startWorkerd({ directory, onLine });
  const runId = await startRun(server);
  await middle;
  process.kill(server.pid, "SIGKILL");
  await server.stop();
  const run = await serving(directory, (again) => ended(again, runId));
  let [old, fresh] = [0, 0];
  for (let n = 0; n < DUE_KILLED; n++) {
    accountsOf(directory).open(named(n), (database) => {
      const count = (where: string): number => Number(database.prepare(`select count(*) as n from conversations where ${where}`).get()?.["n"]);
      old += count(`last_accessed_at < ${Date.now() - OLD_MS / 2}`);
      fresh += count(`last_accessed_at > ${Date.now() - OLD_MS / 2}`);
    });
  }
  console.log(`
purge: a run that was killed with ${purged} of ${DUE_KILLED} accounts purged went on: ${run.accounts_done} done, ${run.accounts_failed} failed; ${old} due conversations left,
${fresh} of ${DUE_KILLED} that were not due`);
}
