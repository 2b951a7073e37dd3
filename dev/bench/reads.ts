/**
 * How much the product's reads cost, on workerd alone, beside a JavaScript worker that answers a constant: processor time
 * and requests a second; and whether they grow with the account. Every round measures all of them.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../tools.mjs";
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
const CONSTANT = join(ROOT, "dev/bench/javascript-constant.js");
const LIKE = join(ROOT, "dev/bench/javascript-like.js");

type Case = {
  name: string;
  path: string;
  on: Workerd;
  /** At least this share of the constant's speed. */
  target?: number;
  /** The case that does the like in JavaScript. */
  like?: string;
  /** The case that this one must not be much slower than. */
  grownFrom?: string;
  cpuUs: number[];
  perSecond: number[];
};

export async function run(): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-bench-"));
  const running: Workerd[] = [];
  const start = async (starting: Promise<Workerd>): Promise<Workerd> => {
    const workerd = await starting;
    running.push(workerd);
    return workerd;
  };
  try {
    const constant = await start(startWorkerd({ directory: join(scratch, "constant"), module: CONSTANT }));
    const javascript = await start(startWorkerd({ directory: join(scratch, "javascript"), module: LIKE }));
    const product = await start(startSeeded(join(scratch, "product")));
    await measure(constant, javascript, product);
  } finally {
    for (const workerd of running) await workerd.stop();
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

async function measure(constant: Workerd, javascript: Workerd, product: Workerd): Promise<void> {
  const one = `conversations/${conversationId(0)}`;
  const of = (name: string, path: string, more: Partial<Case>): Case => ({ name, path, on: product, cpuUs: [], perSecond: [], ...more });
  const [throughObject, jsHealth, jsList] = ["JS: a constant of an object", "JS: health", "JS: list of 50"];
  const [list, conversation, stats] = ["list of 50", `conversation of ${MESSAGES_PER_CONVERSATION}`, "storage-stats"];
  const wanted: Case[] = [
    of("JS: a constant", "/", { on: constant }),
    of(jsHealth, "/health", { on: javascript }),
    of(throughObject, "/constant", { on: javascript }),
    of(jsList, "/list", { on: javascript }),
    of("health", "/health", { target: 0.85, like: jsHealth }),
    of(list, "/conversations?accountId=small", { target: 0.27, like: jsList }),
    of(conversation, `/${one}?accountId=small`, { target: 0.3, like: throughObject }),
    of(stats, "/storage-stats?accountId=small", { target: 0.4, like: throughObject }),
    of(`${list}, of ${LARGE}`, "/conversations?accountId=large", { grownFrom: list }),
    of(`${conversation}, of ${LARGE}`, `/${one}?accountId=large`, { grownFrom: conversation }),
    of(`${stats}, of ${LARGE}`, "/storage-stats?accountId=large", { grownFrom: stats }),
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
  const [floor] = cases;
  if (floor === undefined) throw new Error("the floor did not answer");
  const named = (name: string | undefined): Case | undefined => cases.find((each) => each.name === name);
  const rows = cases.map((each) => {
    const [like, small] = [named(each.like), named(each.grownFrom)];
    let target = "";
    if (each.target !== undefined) target = verdict({ text: `≥ ${each.target.toFixed(2)} of the constant`, met: ratio(each, floor) >= each.target });
    if (small !== undefined) {
      const growth = 1 / ratio(each, small);
      target = verdict({ text: `${growth.toFixed(2)} × of ${SMALL}, ≤ ${MAX_GROWTH}`, met: growth <= MAX_GROWTH });
    }
    const likeRatio = like === undefined ? "" : ratio(each, like).toFixed(2);
    return [each.name, cost(each).toFixed(0), speed(each).toFixed(0), ratio(each, floor).toFixed(2), likeRatio, target];
  });
  console.log(`
reads: best of ${ROUNDS} rounds of ${REQUESTS_A_ROUND} requests over ${CONNECTIONS} connections. A ratio is of speed, by workerd's processor
time (by requests a second where the system does not tell): to the constant, and to JavaScript that does the like.

${table(["", "µs CPU", "requests/s", "constant", "the like", "target"], rows)}`);
}

/** How fast the one is beside the other. */
function ratio(of: Case, to: Case): number {
  const byCpu = cost(to) / cost(of);
  return Number.isFinite(byCpu) ? byCpu : speed(of) / speed(to);
}

function cost(of: Case): number {
  return of.cpuUs.length === 0 ? NaN : best(of.cpuUs);
}

function speed(of: Case): number {
  return Math.max(...of.perSecond);
}
