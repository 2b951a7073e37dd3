/** What workerd and a container's processes hold in memory while many turns go through a handful of conversations. */
import type { Client } from "./client.ts";
import { collectGarbage } from "./collect.ts";
import { table } from "./figures.ts";
import { childrenOf, memoryMib } from "./processes.ts";
import type { Product } from "./product.ts";

const TURNS = 500;
const CONVERSATIONS = 5;
const SAMPLES = 5;

type Sample = { turns: number; workerd: number; held: number; server: number; processes: number; count: number };

export async function measureMemory(product: Product, client: Client, prompt: string): Promise<string> {
  if (memoryMib(process.pid) === undefined) return "turns: memory is left out: this system does not tell";
  const sessions: string[] = [];
  let turnId = "";
  for (let n = 0; n < CONVERSATIONS; n++) {
    const turned = await client.query(prompt);
    sessions.push(turned.sessionId);
    turnId = turned.turnId;
  }
  const { container = "" } = await product.event((line) => line.event === "turn_finished" && line["turn"] === turnId);
  const server = product.containerPid(container);
  const samples: Sample[] = [];
  for (let turns = 1; turns <= TURNS; turns++) {
    await client.query(prompt, sessions[turns % CONVERSATIONS]);
    if (turns % (TURNS / SAMPLES) === 0) samples.push(await sample(product, server, turns));
  }
  const rows = samples.map(({ turns, workerd, held, server, processes, count }) => [
    String(turns),
    workerd.toFixed(0),
    held.toFixed(0),
    server.toFixed(0),
    (processes / count).toFixed(0),
    String(count),
  ]);
  return `turns: memory in MiB over ${TURNS} turns in ${CONVERSATIONS} conversations; target: flat

${table(["turns", "workerd", "without garbage", "agent server", "a CLI process", "of them"], rows)}`;
}

async function sample(product: Product, server: number, turns: number): Promise<Sample> {
  const workerd = memoryMib(product.workerd.pid) ?? NaN;
  await collectGarbage(product.workerd);
  const processes = childrenOf(server).map((pid) => memoryMib(pid) ?? 0);
  return {
    turns,
    workerd,
    held: memoryMib(product.workerd.pid) ?? NaN,
    server: memoryMib(server) ?? NaN,
    processes: processes.reduce((sum, mib) => sum + mib, 0),
    count: processes.length,
  };
}
