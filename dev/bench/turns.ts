/**
 * How long a turn takes through the whole product, beside the Claude Agent SDK alone against the same stand-in of the model,
 * which answers at once. Product and floor take turns, so that what else the machine does hits both.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startModel } from "../model/server.ts";
import { Client } from "./client.ts";
import { compare, median, ms, table, verdict } from "./figures.ts";
import type { Pair } from "./figures.ts";
import { Floor } from "./floor.ts";
import { measureMemory } from "./steady-memory.ts";
import { logged, Product } from "./product.ts";
import { warmTurns } from "./warm.ts";

const PROMPT = "What is 2+2?";
const NEW_ROUNDS = 8;
const RESUME_ROUNDS = 3;
const ACCOUNTS = 8;
const WAVES = 10;
/** The first of a kind only warm up. */
const WARM_UP_WAVES = 3;

export async function run(): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-bench-"));
  const closing: (() => Promise<void>)[] = [() => rm(scratch, { recursive: true, force: true, maxRetries: 5 })];
  try {
    const model = await startModel();
    closing.push(() => model.close());
    const product = await Product.start(model, join(scratch, "product"));
    closing.push(() => product.stop());
    await measure(product, async () => {
      const floor = await Floor.start(model.url, await mkdtemp(join(scratch, "floor-")));
      closing.push(() => floor.stop());
      return floor;
    });
    say("memory");
    const inspected = await Product.start(model, join(scratch, "inspected"), { inspected: true });
    closing.push(() => inspected.stop());
    console.log(`\n${await measureMemory(inspected, new Client(inspected.workerd.url, "bench"), PROMPT)}`);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function measure(product: Product, startFloor: () => Promise<Floor>): Promise<void> {
  const client = new Client(product.workerd.url, "bench");
  const warm = await warmTurns(product, startFloor, client, PROMPT);
  const floor = await startFloor();
  say("new conversations");
  const fresh = await newConversations(product, floor);
  say("containers that die");
  const resumed = await resumes(product, client);
  say(`${ACCOUNTS} accounts at once`);
  const waves = await manyAccounts(product, floor);

  const rows = [...warm.pairs, fresh, waves].map((pair) => {
    const compared = compare(pair);
    const { product, floor, more, ratio, ratioInterval } = compared;
    const goal = pair.target === undefined ? "" : verdict(pair.target(compared));
    return [pair.name, ms(product), ms(floor), ms(more), ratio.toFixed(2), ratioInterval.map((end) => end.toFixed(2)).join(" to "), goal];
  });
  console.log(`
turns: medians in ms over rounds in which both had their turn; the model answers at once

${table(["", "product", "SDK alone", "more", "ratio", "with 95 %", "target"], rows)}

${warm.parts}

${resumed}`);
}

function say(what: string): void {
  console.log(`turns: measuring ${what}`);
}

/** In a container that runs and has its spare process ready, against a `query()` of the SDK's own. */
async function newConversations(product: Product, floor: Floor): Promise<Pair> {
  const pair: Pair = { name: "new conversation, spare ready", product: [], floor: [] };
  pair.target = ({ ratio }) => ({ text: "≤ 0.5 ×", met: ratio <= 0.5 });
  const client = new Client(product.workerd.url, "bench-new");
  const used = new Set<unknown>();
  for (let round = -1; round < NEW_ROUNDS; round++) {
    const ours = await client.query(PROMPT);
    const { server, container } = await logged(product, ours.turnId);
    used.add(server["session"]);
    await product.event((line) => line.event === "process_ready" && line.container === container && !used.has(line["session"]));
    const alone = await floor.fresh(PROMPT);
    // The first had to start its container.
    if (round < 0) continue;
    pair.product.push(ours.ms);
    pair.floor.push(alone.ms);
  }
  return pair;
}

/** The next turn of a conversation whose container was killed: what it takes and what that is made of. */
async function resumes(product: Product, client: Client): Promise<string> {
  const whole: number[] = [];
  const parts = { container: [] as number[], process: [] as number[], turn: [] as number[], rest: [] as number[] };
  let last = await client.query(PROMPT);
  for (let round = 0; round < RESUME_ROUNDS; round++) {
    const { container } = await logged(product, last.turnId);
    const exited = product.nextEvent((line) => line.event === "container_exited" && line.container === container);
    process.kill(-product.containerPid(container), "SIGKILL");
    await exited;
    last = await client.query(PROMPT, last.sessionId);
    const { server } = await logged(product, last.turnId);
    const started = await product.event((line) => line.event === "container_started" && line["turn_id"] === last.turnId);
    const ready = await product.event((line) => line.event === "process_ready" && line["pid"] === server["pid"]);
    whole.push(last.ms);
    parts.container.push(Number(started["total_ms"]));
    parts.process.push(Number(ready["ms"]));
    parts.turn.push(Number(server["ms"]) - Number(ready["ms"]));
    parts.rest.push(last.ms - Number(started["total_ms"]) - Number(server["ms"]));
  }
  return `turns: resume after the container died, medians of ${RESUME_ROUNDS} in ms

${table(["", "ms"], [
  ["the whole turn", ms(median(whole))],
  ["  container, until its agent server answers", ms(median(parts.container))],
  ["  CLI, until it has taken up the transcript", ms(median(parts.process))],
  ["  the turn on it, and the wait for a processor", ms(median(parts.turn))],
  ["  the rest: Worker, object, the transcript's way", ms(median(parts.rest))],
])}`;
}

/** One warm conversation in each of the accounts, asked at once; the slowest counts. */
async function manyAccounts(product: Product, floor: Floor): Promise<Pair> {
  const pair: Pair = { name: `${ACCOUNTS} accounts at once, the slowest`, product: [], floor: [] };
  const users: { client: Client; sessionId: string }[] = [];
  for (let n = 0; n < ACCOUNTS; n++) {
    const client = new Client(product.workerd.url, `bench-${n}`);
    const { turnId, sessionId } = await client.query(PROMPT);
    const { server, container } = await logged(product, turnId);
    await product.event((line) => line.event === "process_ready" && line.container === container && line["session"] !== server["session"]);
    users.push({ client, sessionId });
  }
  for (let wave = -WARM_UP_WAVES; wave < WAVES; wave++) {
    const ours = await Promise.all(users.map(({ client, sessionId }) => client.query(PROMPT, sessionId)));
    const alone = await floor.turns(PROMPT, ACCOUNTS);
    if (wave < 0) continue;
    pair.product.push(Math.max(...ours.map((turn) => turn.ms)));
    pair.floor.push(Math.max(...alone.map((turn) => turn.ms)));
  }
  return pair;
}
