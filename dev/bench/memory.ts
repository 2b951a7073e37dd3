/**
 * How much memory workerd takes when much is asked of it at once: long conversations read whole, from the newest page to the oldest, and
 * turns that stream beside. On Cloudflare an isolate has 128 MB, which the objects of many accounts share.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startModel } from "../model/server.ts";
import type { Model } from "../model/server.ts";
import { Client } from "./client.ts";
import { collectGarbage } from "./collect.ts";
import { table, verdict } from "./figures.ts";
import { forgetPeak, residentMib } from "./processes.ts";
import { Product } from "./product.ts";
import { conversationId, databases, seed } from "./seed.ts";

const ACCOUNTS = 8;
const MESSAGES = 10_000;
/** A page of text each. */
const CONTENT = "A page of what people and models write to each other at length. ".repeat(64);
const PROMPT = "[[words 400]] [[delay 20]]";
const MAX_GROWTH_MIB = 60;

export async function run(): Promise<void> {
  if (residentMib(process.pid) === undefined) return console.log("memory: is left out: this system does not tell");
  const scratch = await mkdtemp(join(tmpdir(), "agent-bench-"));
  const closing: (() => Promise<void>)[] = [() => rm(scratch, { recursive: true, force: true, maxRetries: 5 })];
  try {
    const model = await startModel();
    closing.push(() => model.close());
    const directory = join(scratch, "product");
    await makeAccounts(model, directory);
    const product = await Product.start(model, directory, { inspected: true });
    closing.push(() => product.stop());
    await measure(product);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

const accountIds = Array.from({ length: ACCOUNTS }, (_, n) => `bench-${n}`);

/** workerd makes their databases, and is not running while they are filled. */
async function makeAccounts(model: Model, directory: string): Promise<void> {
  const product = await Product.start(model, directory);
  try {
    await Promise.all(accountIds.map((accountId) => new Client(product.workerd.url, accountId).query("[[say hello]]")));
  } finally {
    await product.stop();
  }
  console.log(`\nmemory: writing ${ACCOUNTS} conversations of ${MESSAGES} messages of ${CONTENT.length} bytes`);
  for (const file of await databases(directory)) seed(file, 1, () => MESSAGES, CONTENT);
}

async function measure(product: Product): Promise<void> {
  const { workerd } = product;
  const clients = accountIds.map((accountId) => new Client(workerd.url, accountId));
  const stream = (): Promise<unknown> => Promise.all(clients.map((client) => client.stream(PROMPT)));
  // Containers run, code is compiled, and what an account's object keeps for itself is there.
  await stream();
  await Promise.all(accountIds.map((accountId) => readPages(workerd.url, accountId, 1)));
  await collectGarbage(workerd);
  const resident = (): { now: number; peak: number } => residentMib(workerd.pid) ?? { now: NaN, peak: NaN };
  forgetPeak(workerd.pid);
  const before = resident().now;
  const [, pages] = await Promise.all([stream(), Promise.all(accountIds.map((accountId) => readPages(workerd.url, accountId)))]);
  const { peak } = resident();
  await collectGarbage(workerd);
  const after = resident().now;
  const growth = (mib: number): string[] => [mib.toFixed(0), (mib - before).toFixed(0)];
  const goal = verdict({ text: `≤ ${MAX_GROWTH_MIB} MiB more`, met: peak - before <= MAX_GROWTH_MIB });
  console.log(`
memory: ${ACCOUNTS} accounts reading ${MESSAGES} long messages at once, in ${pages.reduce((sum, each) => sum + each, 0)} pages, and ${ACCOUNTS} streaming turns; resident memory of workerd in MiB

${table(["", "MiB", "more", "target"], [
  ["before", ...growth(before), ""],
  ["at its peak", ...growth(peak), goal],
  ["after, without garbage", ...growth(after), ""],
])}`);
}

/** A conversation from its newest page on, as long as there are older ones. Returns how many pages it took. */
async function readPages(url: string, accountId: string, most = Infinity): Promise<number> {
  let next: string | undefined = `/conversations/${conversationId(0)}?accountId=${accountId}`;
  let pages = 0;
  for (; next !== undefined && pages < most; pages++) {
    const response: Response = await fetch(new URL(next, url));
    if (!response.ok) throw new Error(`a page was answered: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
    next = /<([^>]+)>; rel="prev"/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return pages;
}
