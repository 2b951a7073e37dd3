/**
 * Warm turns: a live conversation of the product beside a live process of the SDK alone, answers whole and streamed; and what a
 * turn is made of, by the clocks of those it passes through and by the processor time of their processes. Each measured turn
 * follows one of its own side: right after the other's, it would meet what that one still does behind its result.
 */
import type { Client } from "./client.ts";
import { median, ms, table, verdict } from "./figures.ts";
import type { Pair, Target } from "./figures.ts";
import type { Floor } from "./floor.ts";
import { childrenOf, cpuMicros } from "./processes.ts";
import { logged } from "./product.ts";
import type { Product } from "./product.ts";

const ROUNDS = 60;
/** The first of a kind only warm up: V8 compiles what has run some hundred times, JavaScript and WebAssembly, on both sides. */
const WARM_UP = 60;
/** Each round, on both sides; the first is not measured but for its processor time. */
const TURNS_A_ROUND = 3;
const MAX_ROWS = 10;

export async function warmTurns(product: Product, floor: Floor, client: Client, prompt: string): Promise<{ pairs: Pair[]; parts: string }> {
  const whole: Pair = { name: "warm turn", product: [], floor: [], target: warmTarget };
  const text: Pair = { name: "first text of a streamed warm turn", product: [], floor: [], target: firstTextTarget };
  const parts = { outside: [] as number[], object: [] as number[], server: [] as number[], sdk: [] as number[] };
  const { sessionId } = await client.query(prompt);
  let meters: Meter[] = [];
  let rows = { before: NaN, after: NaN };
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    await client.query(prompt, sessionId);
    const ours = await client.query(prompt, sessionId);
    const streamed = await client.stream(prompt, sessionId);
    await floor.turn(prompt);
    const alone = await floor.turn(prompt);
    const again = await floor.turn(prompt);
    const { server, object, container } = await logged(product, ours.turnId);
    rows.after = Number((await logged(product, streamed.turnId)).object["rows_written"]);
    if (round < 0) {
      rows.before = rows.after;
      meters = processes(product, floor, product.containerPid(container), Number(server["pid"]));
      continue;
    }
    whole.product.push(ours.ms);
    whole.floor.push(alone.ms);
    text.product.push(streamed.firstTextMs);
    text.floor.push(again.firstTextMs);
    parts.outside.push(ours.ms - Number(object["total_ms"]));
    parts.object.push(Number(object["total_ms"]) - Number(server["ms"]));
    parts.server.push(Number(server["ms"]) - Number(server["sdk_ms"]));
    parts.sdk.push(Number(server["sdk_ms"]));
  }
  const turns = ROUNDS * TURNS_A_ROUND;
  const written = (rows.after - rows.before) / turns;
  const report = `turns: what a warm turn is made of, medians in ms

${table(["", "ms"], [
  ["client, HTTP and Worker", ms(median(parts.outside))],
  ["object: SQLite, frames, the way to the container", ms(median(parts.object))],
  ["agent server and its pipe to the CLI", ms(median(parts.server))],
  ["the SDK's own duration_ms: CLI, gateway, model", ms(median(parts.sdk))],
])}

turns: processor time a warm turn, means in ms

${processorTable(meters, turns)}

turns: rows written a turn: ${written.toFixed(1)}  ${verdict({ text: `at most ${MAX_ROWS}`, met: written <= MAX_ROWS })}`;
  return { pairs: [whole, text], parts: report };
}

function warmTarget(ours: number, alone: number): Target {
  return { text: "≤ 1.4 × and ≤ + 25 ms", met: ours <= 1.4 * alone && ours <= alone + 25 };
}

function firstTextTarget(ours: number, alone: number): Target {
  return { text: "≤ + 15 ms", met: ours <= alone + 15 };
}

/** The processor time of one process from here on, in microseconds. */
type Meter = { of: "product" | "SDK alone" | "both"; name: string; read: () => number };

function processorTable(meters: readonly Meter[], turns: number): string {
  const used = meters.map((meter) => ({ ...meter, ms: meter.read() / 1000 / turns }));
  const sum = (of: Meter["of"]): number => used.filter((each) => each.of === of).reduce((all, each) => all + each.ms, 0);
  const [ours, alone] = [sum("product"), sum("SDK alone")];
  return table(["", "ms"], [
    ...used.map((each) => [`${each.of}: ${each.name}`, ms(each.ms)]),
    ["product, together", ms(ours)],
    ["SDK alone, together", ms(alone)],
    ["ratio, whatever else the machine does", (ours / alone).toFixed(2)],
  ]);
}

function processes(product: Product, floor: Floor, server: number, cli: number): Meter[] {
  const alone = childrenOf(floor.pid)[0] ?? 0;
  const known: [Meter["of"], string, number][] = [
    ["product", "workerd", product.workerd.pid],
    ["product", "agent server", server],
    ["product", "CLI", cli],
    ["SDK alone", "its Node program", floor.pid],
    ["SDK alone", "CLI", alone],
    ["both", "this program, with model, network and client", process.pid],
  ];
  return known.map(([of, name, pid]) => {
    const before = cpuMicros(pid) ?? NaN;
    return { of, name, read: () => (cpuMicros(pid) ?? NaN) - before };
  });
}
