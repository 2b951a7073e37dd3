/*
 * The soak's check of the ledger: what accounts are said to have used is what the stand-in for the model has told them, call by call.
 * A call is in doubt if the Worker was restarted before its turn had ended, which on this machine ends the gateway and the account's object
 * together. Such a call may count for nothing, or for up to all that was told.
 * Every other one counts, once and exactly, whatever became of its container. Of one whose answer was cut before its end the output is an estimate
 * of what was said until then, as docs/api.md has it.
 */
import assert from "node:assert/strict";
import type { LoggedRequest } from "../../../dev/model/control.ts";
import type { Model } from "../../../dev/model/server.ts";
import { json } from "../client.ts";
import type { Client } from "../client.ts";

const FIELDS = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] as const;
/** So late may the runtime's clock, which stands still between two events, be behind that of this process. */
const CLOCK_MS = 1_000;
/** What an estimate takes for a token. */
const BYTES_A_TOKEN = 2;
/** A call that ends beside its turn is stored by the next alarm. */
const STORED_MS = 5_000;
/** How long the last calls may take to be told. */
const TOLD_MS = 20_000;
const LOOK_MS = 250;

type Counts = Record<"model_calls" | (typeof FIELDS)[number], number>;
type Call = { accountId: string; at: number; endedAt: number; counts: Counts; most: Counts };

/** A turn that ran, and whether it came to its own end. */
export type Ran = { from: number; to: number; completed: boolean };
/** From when to when the Worker was down, or the moment at which a container was killed. */
export type Disturbance = { kind: "restart" | "kill"; from: number; to: number };

export class ModelCount {
  readonly #calls: Call[] = [];
  readonly #accountIds: readonly string[];
  /** Calls that count exactly, and all. */
  certain = 0;
  all = 0;

  constructor(model: Model, accountIds: readonly string[]) {
    this.#accountIds = accountIds;
    model.control.onEnd((request) => this.#note(request));
  }

  #note({ at, state, usage, said_bytes, user_texts }: LoggedRequest): void {
    if (usage === null) return;
    const texts = user_texts.join("\n");
    const accountId = this.#accountIds.find((id) => texts.includes(`${id}-`) || texts.includes(`${id}]`));
    assert.ok(accountId !== undefined, `nobody's call: ${texts}`);
    const counts = { ...Object.fromEntries(FIELDS.map((field) => [field, usage[field]])), model_calls: 1 } as Counts;
    const call = { accountId, at, endedAt: Date.now(), counts, most: counts };
    if (state === "aborted") {
      // The last that was written may not have been read.
      call.counts = { ...counts, output_tokens: 1 };
      call.most = { ...counts, output_tokens: Math.max(counts.output_tokens, Math.ceil(said_bytes / BYTES_A_TOKEN)) };
    }
    this.#calls.push(call);
  }

  /** Checks one account. */
  async check(client: Client, turns: readonly Ran[], disturbances: readonly Disturbance[]): Promise<void> {
    const calls = this.#calls.filter(({ accountId }) => accountId === client.accountId);
    const certain = calls.filter((call) => !isInDoubt(call, turns, disturbances));
    this.all += calls.length;
    this.certain += certain.length;
    const [least, most] = [sum(certain.map(({ counts }) => counts)), sum(calls.map((call) => call.most))];
    let told = await used(client);
    for (const end = Date.now() + TOLD_MS; Date.now() < end && told.model_calls < least.model_calls; ) {
      await new Promise((wait) => setTimeout(wait, LOOK_MS));
      told = await used(client);
    }
    for (const field of ["model_calls", ...FIELDS] as const) {
      const [from, to] = [least[field], most[field]];
      assert.ok(from <= told[field] && told[field] <= to, `the ledger of ${client.accountId} has ${told[field]} ${field}, the model told ${from} to ${to}`);
    }
  }
}

async function used(client: Client): Promise<Counts> {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const [yesterday, today] = [day(Date.now() - 86_400_000), day(Date.now())];
  return (await json<{ total: Counts }>(await client.request("GET", `/usage?from=${yesterday}&to=${today}`), 200)).total;
}

function sum(all: readonly Counts[]): Counts {
  const zero: Counts = { model_calls: 0, input_tokens: 0, output_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  for (const counts of all) for (const field of ["model_calls", ...FIELDS] as const) zero[field] += counts[field];
  return zero;
}

function isInDoubt({ at, endedAt }: Call, turns: readonly Ran[], disturbances: readonly Disturbance[]): boolean {
  const own = turns.filter(({ from, to }) => from - CLOCK_MS <= endedAt && at <= to + CLOCK_MS);
  return disturbances.some(({ kind, from, to }) => {
    if (kind === "kill" || at > to + CLOCK_MS) return false;
    return endedAt >= from - STORED_MS || own.some((turn) => turn.to >= from - CLOCK_MS);
  });
}
