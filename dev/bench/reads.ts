/**
 * How much the product's reads cost, on workerd alone, beside a JavaScript worker that answers a constant: processor time
 * and requests a second; and whether they grow with the account. Every round measures all of them.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { best, table, verdict } from "./figures.ts";
import { load } from "./load.ts";
import { cpuMicros } from "./processes.ts";
import { conversationId, MESSAGES_PER_CONVERSATION, seed } from "./seed.ts";
import { ACCOUNT_STORAGE, startWorkerd } from "./workerd.ts";
import type { Workerd } from "./workerd.ts";

const ROUNDS = 7;
const REQUESTS_A_ROUND = 3_000;
const CONNECTIONS = 8;
const SMALL = 100;
const LARGE = 100_000;
const MAX_GROWTH = 1.3;
const CONSTANT = `export default { fetch() { return new Response("ok"); } };`;

type Case = {
  name: string;
  path: string;
  on: Workerd;
  /** At least this share of the floor's speed. */
  target?: number;
  /** The case that this one must not be much slower than. */
  grownFrom?: string;
  cpuUs: number[];
  perSecond: number[];
};

export async function run(): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-bench-"));
  try {
    const floor = await startWorkerd({ directory: join(scratch, "floor"), source: CONSTANT });
    try {
      const product = await startSeeded(join(scratch, "product"));
      try {
        await measure(floor, product);
      } finally {
        await product.stop();
      }
    } finally {
      await floor.stop();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The product with two accounts: workerd makes their databases, and is not running while they are filled. */
async function startSeeded(directory: string): Promise<Workerd> {
  const sizes = { small: SMALL, large: LARGE };
  const files: [string, number][] = [];
  const empty = await startWorkerd({ directory });
  try {
    for (const [account, conversations] of Object.entries(sizes)) {
      const before = await databases(directory);
      await (await fetch(`${empty.url}/conversations?accountId=${account}`)).text();
      const made = (await databases(directory)).filter((file) => !before.includes(file));
      files.push(...made.map((file): [string, number] => [file, conversations]));
    }
  } finally {
    await empty.stop();
  }
  console.log(`\nreads: writing accounts of ${SMALL} and ${LARGE} conversations`);
  for (const [file, conversations] of files) seed(file, conversations, (n) => (n === 0 ? MESSAGES_PER_CONVERSATION : 2));
  return startWorkerd({ directory });
}

async function databases(directory: string): Promise<string[]> {
  const storage = join(directory, "storage", ACCOUNT_STORAGE);
  const files = await readdir(storage).catch(() => []);
  return files.filter((file) => file.endsWith(".sqlite") && file !== "metadata.sqlite").map((file) => join(storage, file));
}

async function measure(floor: Workerd, product: Workerd): Promise<void> {
  const one = `conversations/${conversationId(0)}`;
  const of = (name: string, path: string, more: Partial<Case>): Case => ({ name, path, on: product, cpuUs: [], perSecond: [], ...more });
  const wanted: Case[] = [
    of("a constant, JavaScript", "/", { on: floor }),
    of("health", "/health", { target: 0.85 }),
    of("list of 50", "/conversations?accountId=small", { target: 0.27 }),
    of(`conversation of ${MESSAGES_PER_CONVERSATION}`, `/${one}?accountId=small`, { target: 0.3 }),
    of("storage-stats", "/storage-stats?accountId=small", { target: 0.4 }),
    of(`list of 50, of ${LARGE}`, "/conversations?accountId=large", { grownFrom: "list of 50" }),
    of(`conversation of ${MESSAGES_PER_CONVERSATION}, of ${LARGE}`, `/${one}?accountId=large`, { grownFrom: `conversation of ${MESSAGES_PER_CONVERSATION}` }),
    of(`storage-stats, of ${LARGE}`, "/storage-stats?accountId=large", { grownFrom: "storage-stats" }),
  ];
  const cases: Case[] = [];
  for (const wish of wanted) {
    const answer = await fetch(`${wish.on.url}${wish.path}`);
    await answer.arrayBuffer();
    if (answer.ok) cases.push(wish);
    else console.log(`reads: ${wish.name} is left out: GET ${wish.path} answers ${answer.status}`);
  }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const each of cases) await sample(each, round > 0);
  }
  report(cases);
}

/** The first round only warms up. */
async function sample(of: Case, counts: boolean): Promise<void> {
  const before = cpuMicros(of.on.pid);
  const seconds = await load({ host: "127.0.0.1", port: of.on.port, path: of.path, requests: REQUESTS_A_ROUND, connections: CONNECTIONS });
  const after = cpuMicros(of.on.pid);
  if (!counts) return;
  of.perSecond.push(REQUESTS_A_ROUND / seconds);
  if (before !== undefined && after !== undefined) of.cpuUs.push((after - before) / REQUESTS_A_ROUND);
}

function report(cases: Case[]): void {
  const floor = cases[0];
  if (floor === undefined) throw new Error("the floor did not answer");
  const rows = cases.map((each) => {
    const base = cases.find(({ name }) => name === each.grownFrom) ?? floor;
    const byRate = speed(each) / speed(base);
    const byCpu = cost(base) / cost(each);
    const ratio = Number.isFinite(byCpu) ? byCpu : byRate;
    let target = "";
    if (each.target !== undefined) target = verdict({ text: `≥ ${each.target.toFixed(2)}`, met: ratio >= each.target });
    if (each.grownFrom !== undefined) target = verdict({ text: `${(1 / ratio).toFixed(2)} × at most ${MAX_GROWTH}`, met: 1 / ratio <= MAX_GROWTH });
    return [each.name, cost(each).toFixed(0), speed(each).toFixed(0), byCpu.toFixed(2), byRate.toFixed(2), target];
  });
  console.log(`
reads: best of ${ROUNDS} rounds of ${REQUESTS_A_ROUND} requests over ${CONNECTIONS} connections. The ratio is speed against the constant, by workerd's
processor time (by the requests a second where the system does not tell); of the last rows, against the account of ${SMALL}.

${table(["", "µs CPU", "requests/s", "ratio", "by rate", "target"], rows)}`);
}

function cost(of: Case): number {
  return of.cpuUs.length === 0 ? NaN : best(of.cpuUs);
}

function speed(of: Case): number {
  return Math.max(...of.perSecond);
}
