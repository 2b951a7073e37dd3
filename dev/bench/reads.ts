/**
 * How much the product's reads cost, on workerd alone, beside a JavaScript worker that answers a constant: processor time and requests a
 * second; and whether they grow with the account. A machine's speed changes from one second to the next: each slice of a case stands
 * beside one of the constant, as long as it, and a ratio is the middle one of many such pairs.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../tools.mjs";
import { best, median, table, verdict } from "./figures.ts";
import { load } from "./load.ts";
import { threadsMicros } from "./processes.ts";
import { conversationId, databases, MESSAGES_PER_CONVERSATION, seed } from "./seed.ts";
import { startWorkerd } from "./workerd.ts";
import type { Workerd } from "./workerd.ts";

const ROUNDS = 25;
const SLICE_S = 0.1;
const WARM_UPS = 5;
const FIRST_REQUESTS = 200;
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
  /** As many as take a slice's time. */
  requests: number;
  /** Speed beside the constant's, pair by pair. */
  ratios: number[];
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

async function measure(constant: Workerd, javascript: Workerd, product: Workerd): Promise<void> {
  const one = `conversations/${conversationId(0)}`;
  const of = (name: string, path: string, more: Partial<Case>): Case => ({
    ...{ name, path, on: product, requests: FIRST_REQUESTS, cpuUs: [], perSecond: [], ratios: [] },
    ...more,
  });
  const [jsHealth, jsList, jsConversation, jsStats] = ["JS: health", "JS: list of 50", `JS: conversation of ${MESSAGES_PER_CONVERSATION}`, "JS: storage-stats"];
  const [list, conversation, stats] = ["list of 50", `conversation of ${MESSAGES_PER_CONVERSATION}`, "storage-stats"];
  const floor = of("JS: a constant", "/", { on: constant });
  const wanted: Case[] = [
    floor,
    of("JS: a constant of an object", "/constant", { on: javascript }),
    of(jsHealth, "/health", { on: javascript }),
    of(jsList, "/list", { on: javascript }),
    of(jsConversation, "/conversation", { on: javascript }),
    of(jsStats, "/stats", { on: javascript }),
    of("health", "/health", { target: 0.85, like: jsHealth }),
    of(list, "/conversations?accountId=small", { target: 0.27, like: jsList }),
    of(conversation, `/${one}?accountId=small`, { target: 0.3, like: jsConversation }),
    of(stats, "/storage-stats?accountId=small", { target: 0.4, like: jsStats }),
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
  for (const each of cases) await warmUp(each);
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of cases) {
      const [beside, own] = [await slice(floor), await slice(each)];
      each.perSecond.push(own.perSecond);
      if (own.cpuUs !== undefined) each.cpuUs.push(own.cpuUs);
      each.ratios.push(beside.cpuUs !== undefined && own.cpuUs !== undefined ? beside.cpuUs / own.cpuUs : own.perSecond / beside.perSecond);
    }
  }
  report(cases);
}

/** Until its code is compiled, and as many requests are known as take a slice's time. */
async function warmUp(of: Case): Promise<void> {
  for (let n = 0; n < WARM_UPS; n++) {
    const { perSecond } = await slice(of);
    of.requests = Math.max(CONNECTIONS, Math.round(perSecond * SLICE_S));
  }
}

async function slice(of: Case): Promise<{ perSecond: number; cpuUs: number | undefined }> {
  const { requests, path, on } = of;
  const before = threadsMicros(on.pid);
  const seconds = await load({ host: "127.0.0.1", port: on.port, path, requests, connections: CONNECTIONS });
  const after = threadsMicros(on.pid);
  return { perSecond: requests / seconds, cpuUs: before === undefined || after === undefined ? undefined : (after - before) / requests };
}

function report(cases: Case[]): void {
  const named = (name: string | undefined): Case | undefined => cases.find((each) => each.name === name);
  const rows = cases.map((each) => {
    const [like, small] = [named(each.like), named(each.grownFrom)];
    const ratio = median(each.ratios);
    let target = "";
    if (each.target !== undefined) target = verdict({ text: `≥ ${each.target.toFixed(2)} of the constant`, met: ratio >= each.target });
    if (small !== undefined) {
      const growth = median(small.ratios) / ratio;
      target = verdict({ text: `${growth.toFixed(2)} × of ${SMALL}, ≤ ${MAX_GROWTH}`, met: growth <= MAX_GROWTH });
    }
    const cpuUs = each.cpuUs.length === 0 ? "" : best(each.cpuUs).toFixed(0);
    const likeRatio = like === undefined ? "" : (ratio / median(like.ratios)).toFixed(2);
    return [each.name, cpuUs, Math.max(...each.perSecond).toFixed(0), ratio.toFixed(2), likeRatio, target];
  });
  console.log(`
reads: ${ROUNDS} rounds of slices of ${SLICE_S} s over ${CONNECTIONS} connections. Processor time of workerd and requests a second are the best slice's.
A ratio is of speed, by processor time (by requests a second where the system does not tell): to the constant beside it, and to the like in JavaScript.

${table(["", "µs CPU", "requests/s", "constant", "the like", "target"], rows)}`);
}
