/**
 * Warm turns: a live conversation of the product beside a live process of the SDK alone, answers whole and streamed; and what a
 * turn is made of, by the clocks of those it passes through and by the processor time of their processes. Each measured turn
 * follows one of its own side: right after the other's, it would meet what that one still does behind its result. There are enough of
 * them for one run to tell the ratio to some hundredths.
 */
import type { Client } from "./client.ts";
import { median, ms, table, verdict } from "./figures.ts";
import type { Compared, Pair, Target } from "./figures.ts";
import type { Floor } from "./floor.ts";
import { childrenOf, cpuMicros } from "./processes.ts";
import { logged } from "./product.ts";
import type { Product } from "./product.ts";

/** So many of each side, one after the other; each is a new one, with a process of its own: in a long one both sides get slower. */
const CONVERSATIONS = 5;
/** Of each conversation. */
const ROUNDS = 40;
/** The first of each only warm up: V8 and JavaScriptCore compile what has run some hundred times, on both sides. */
const WARM_UP = 40;
/** Each round, on both sides; the first is not measured but for its processor time. */
const TURNS_A_ROUND = 3;
const MEASURED_TURNS = CONVERSATIONS * ROUNDS * TURNS_A_ROUND;
/** The ledger of usage is one of them. */
const MAX_ROWS = 11;

/** What is known after all conversations. */
class Measured {
  readonly whole: Pair = { name: "warm turn", product: [], floor: [], target: warmTarget };
  readonly text: Pair = { name: "first text of a streamed warm turn", product: [], floor: [], target: firstTextTarget };
  readonly outside: number[] = [];
  readonly object: number[] = [];
  readonly server: number[] = [];
  readonly sdk: number[] = [];
  readonly processors = new Processors();
  rowsWritten = 0;
}

export async function warmTurns(
  product: Product,
  startFloor: () => Promise<Floor>,
  client: Client,
  prompt: string,
): Promise<{ pairs: Pair[]; parts: string }> {
  const measured = new Measured();
  for (let n = 1; n <= CONVERSATIONS; n++) {
    console.log(`turns: measuring warm turns, conversation ${n} of ${CONVERSATIONS}`);
    const floor = await startFloor();
    await conversation(product, floor, client, prompt, measured);
    await floor.stop();
  }
  return { pairs: [measured.whole, measured.text], parts: report(measured) };
}

async function conversation(product: Product, floor: Floor, client: Client, prompt: string, measured: Measured): Promise<void> {
  const { sessionId } = await client.query(prompt);
  let meters: Meter[] = [];
  const rows = { before: NaN, after: NaN };
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
    measured.whole.product.push(ours.ms);
    measured.whole.floor.push(alone.ms);
    measured.text.product.push(streamed.firstTextMs);
    measured.text.floor.push(again.firstTextMs);
    measured.outside.push(ours.ms - Number(object["total_ms"]));
    measured.object.push(Number(object["total_ms"]) - Number(server["ms"]));
    measured.server.push(Number(server["ms"]) - Number(server["sdk_ms"]));
    measured.sdk.push(Number(server["sdk_ms"]));
  }
  measured.rowsWritten += rows.after - rows.before;
  measured.processors.add(meters);
  // Its process must not stand beside the next one's.
  await client.forget(sessionId);
}

function report(measured: Measured): string {
  const written = measured.rowsWritten / MEASURED_TURNS;
  return `turns: what a warm turn is made of, medians in ms

${table(["", "ms"], [
  ["client, HTTP and Worker", ms(median(measured.outside))],
  ["object: SQLite, frames, the way to the container", ms(median(measured.object))],
  ["agent server and its pipe to the CLI", ms(median(measured.server))],
  ["the SDK's own duration_ms: CLI, gateway, model", ms(median(measured.sdk))],
])}

turns: processor time a warm turn, means in ms

${measured.processors.table()}

turns: rows written a turn: ${written.toFixed(1)}  ${verdict({ text: `at most ${MAX_ROWS}`, met: written <= MAX_ROWS })}`;
}

function warmTarget({ ratio, more }: Compared): Target {
  return { text: "≤ 1.4 × and ≤ + 25 ms", met: ratio <= 1.4 && more <= 25 };
}

function firstTextTarget({ more }: Compared): Target {
  return { text: "≤ + 15 ms", met: more <= 15 };
}

/** The processor time of one process from here on, in microseconds. */
type Meter = { of: "product" | "SDK alone" | "both"; name: string; read: () => number };

/** What the processes of each kind used, added up. */
class Processors {
  readonly #used = new Map<string, { of: Meter["of"]; micros: number }>();

  add(meters: readonly Meter[]): void {
    for (const { of, name, read } of meters) {
      const line = `${of}: ${name}`;
      this.#used.set(line, { of, micros: (this.#used.get(line)?.micros ?? 0) + read() });
    }
  }

  table(): string {
    const used = [...this.#used].map(([line, { of, micros }]) => ({ line, of, ms: micros / 1000 / MEASURED_TURNS }));
    const sum = (of: Meter["of"]): number => used.filter((each) => each.of === of).reduce((all, each) => all + each.ms, 0);
    const [ours, alone] = [sum("product"), sum("SDK alone")];
    return table(["", "ms"], [
      ...used.map((each) => [each.line, ms(each.ms)]),
      ["product, together", ms(ours)],
      ["SDK alone, together", ms(alone)],
      ["ratio, whatever else the machine does", (ours / alone).toFixed(2)],
    ]);
  }
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
