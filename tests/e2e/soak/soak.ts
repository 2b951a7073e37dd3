/*
 * The soak: users of many accounts at once, while the Worker restarts and containers are killed; then the reckoning.
 * What must hold afterwards, whatever happened: every turn has exactly one end, every answer that a user holds is in its
 * conversation exactly once, a webhook was told of every end, what was streamed of a turn is what is kept of it, no two turns of
 * one conversation ran at once, and no more of one account than may.
 */
import assert from "node:assert/strict";
import { json } from "../client.ts";
import type { Client, Item, Turn } from "../client.ts";
import type { ServerEvent } from "../event-stream.ts";
import type { Service } from "../support.ts";
import { Chaos } from "./chaos.ts";
import { Deliveries } from "./deliveries.ts";
import { ModelCount } from "./ledger.ts";
import type { Ran } from "./ledger.ts";
import { Random } from "./random.ts";
import { User } from "./user.ts";
import type { Asked } from "./user.ts";


export type SoakOptions = {
  accounts: number;
  turns: number;
  seed: number;
  /** The stack's ACCOUNT_CONCURRENCY: each user asks so many questions at once. */
  concurrency: number;
  /** Between two disturbances: a restart of the Worker or the death of a container. */
  disturbEveryMs: number;
  say(line: string): void;
};

export type Reckoning = {
  turns: number;
  restarts: number;
  kills: number;
  ends: Record<string, number>;
  /** Answers that users hold. */
  answered: number;
  /** Turns whose items were compared with a stream. */
  streamed: number;
  /** Queries that a running turn took in. */
  steered: number;
  compacted: number;
  branches: number;
  /** Webhooks that were sent. */
  delivered: number;
  /** Calls of the model that the ledger has exactly as the model counted them, of so many. */
  billed: string;
  atOnce: number;
};

type Counts = Pick<Reckoning, "ends" | "answered" | "streamed" | "steered" | "compacted" | "branches" | "delivered">;

/** A turn that ran: its conversation, and from when to when. */
type Span = Ran & { sessionId: string };

const ENDS = new Set(["completed", "failed", "cancelled", "interrupted"]);

export async function soak(service: Service, options: SoakOptions): Promise<Reckoning> {
  const random = new Random(options.seed);
  const run = `soak-${options.seed}-${Date.now().toString(36)}`;
  const users = Array.from({ length: options.accounts }, (_, n) => new User(service.url, `${run}-${n}`, random.fork(), options.concurrency));
  const { model } = service.stack;
  assert.ok(model !== undefined, "the stand-in for the model");
  const modelCount = new ModelCount(model, users.map((user) => user.client.accountId));
  for (const user of users) await user.client.query(`[[say warm ${user.client.accountId}]]`, { session_id: "warm-up" });
  const chaos = new Chaos(service.stack, random.fork(), options);
  const deliveries = await Deliveries.start(random.fork());
  for (const user of users) await deliveries.watch(user.client);
  try {
    const disturbing = chaos.run();
    try {
      await Promise.all(users.map((user) => user.ask(options.turns)));
    } finally {
      chaos.end();
      await disturbing;
    }
    return await reckonAll(users, deliveries, modelCount, chaos, options);
  } finally {
    await deliveries.close();
  }
}

async function reckonAll(users: readonly User[], deliveries: Deliveries, modelCount: ModelCount, chaos: Chaos, options: SoakOptions): Promise<Reckoning> {
  options.say(`${chaos.restarts} restarts, ${chaos.kills} kills; now the reckoning`);
  const counts: Counts = { ends: {}, answered: 0, streamed: 0, steered: 0, compacted: 0, branches: 0, delivered: 0 };
  const { ends } = counts;
  const failures: string[] = [];
  let atOnce = 0;
  for (const user of users) {
    const spans: Span[] = [];
    const turnIds = await reckon(user, counts, failures, spans);
    counts.branches += user.branches.length;
    counts.delivered += await deliveries.check(user.client, turnIds);
    atOnce = Math.max(atOnce, mostAtOnce(spans));
    await modelCount.check(user.client, spans, chaos.disturbances);
    const { accountId } = user.client;
    for (const sessionId of user.sessionIds()) {
      const most = mostAtOnce(spans.filter((span) => span.sessionId === sessionId));
      assert.ok(most <= 1, `${most} turns of ${sessionId} of ${accountId} ran at once`);
    }
  }
  assert.ok(atOnce <= options.concurrency, `${atOnce} turns of one account ran at once, and ${options.concurrency} may`);
  // With a container die the turns that run in it. A restart alone ends no turn.
  const mostInterrupted = chaos.kills * options.concurrency;
  assert.ok((ends["interrupted"] ?? 0) <= mostInterrupted, `${ends["interrupted"]} turns interrupted by ${chaos.kills} kills`);
  assert.deepEqual(failures, [], "turns failed");
  const { certain, all } = modelCount;
  const turns = Object.values(ends).reduce((sum, count) => sum + count, 0);
  return { turns, restarts: chaos.restarts, kills: chaos.kills, ...counts, billed: `${certain} of ${all}`, atOnce };
}

/** One that begins when another ends does not run beside it. */
function mostAtOnce(spans: readonly Span[]): number {
  const beside = (at: number): number => spans.filter(({ from, to }) => from <= at && at < to).length;
  return Math.max(0, ...spans.map(({ from }) => beside(from)));
}

/** A turn as it stands at the end, and the turn that took it in. */
type Ended = Turn & { steered_into?: string };

/** Checks one user's account; counts, notes which turns failed and when all ran, and returns all that there were. */
async function reckon(user: User, counts: Counts, failures: string[], spans: Span[]): Promise<string[]> {
  const { client } = user;
  /** By conversation and prompt. */
  const turns = new Map<string, Ended>();
  /** By turn; it has all of them. */
  const answers = new Map<string, string[]>();
  for (const sessionId of user.sessionIds()) {
    const response = await client.request("GET", `/conversations/${sessionId}`);
    await response.body?.cancel();
    // Whoever left before their first query was stored has no conversation.
    if (response.status === 404) continue;
    await (await client.events(sessionId)).toEnd();
    const { messages } = await client.conversation(sessionId);
    const said = messages.map(({ role, content }) => `${role}: ${content}`);
    const before = user.branches.find((branch) => branch.sessionId === sessionId)?.said ?? [];
    assert.deepEqual(said.slice(0, before.length), before, `what ${sessionId} began with`);
    for (const { turn_id, role, content } of messages.slice(before.length)) {
      if (role !== "user") continue;
      // A key is free again when its turn was interrupted: whoever did not hear of that end has asked anew.
      const earlier = turns.get(content);
      assert.ok(earlier === undefined || earlier.status === "interrupted", `${content} is stored twice, first as ${JSON.stringify(earlier)}`);
      const turn: Ended = await client.turn(turn_id);
      assert.ok(ENDS.has(turn.status), `the turn of ${content} is ${turn.status}`);
      const own = messages.filter((other) => other.turn_id === turn_id && other.role === "assistant").map((message) => message.content);
      const isAnswer = turn.status === "completed" && turn.steered_into === undefined && !content.startsWith("/compact");
      assert.equal(own.length, isAnswer ? 1 : 0, `answers of the ${turn.status} turn of ${content}`);
      turns.set(content, turn);
      answers.set(turn_id, own);
      counts.ends[turn.status] = (counts.ends[turn.status] ?? 0) + 1;
      if (turn.steered_into !== undefined) counts.steered += 1;
      if (turn.started_at !== null && turn.steered_into === undefined) spans.push({ sessionId, from: turn.started_at, to: turn.finished_at ?? NaN, completed: turn.status === "completed" });
    }
  }
  for (const asked of user.asked) {
    const turn = turns.get(asked.prompt);
    const { prompt, outcome } = asked;
    if (outcome.kind === "answered") assert.equal(turn?.status, "completed", `an answer that a user holds is not stored: ${prompt}`);
    if (turn === undefined) continue;
    const host = turn.steered_into ?? turn.turn_id;
    const steering = user.asked.filter((other) => turns.get(other.prompt)?.steered_into === host);
    // What the model answers is what the last of those says that the turn took in, also of one that was cancelled after that.
    const heard = (other: Asked): boolean => other.sessionId === asked.sessionId && other.fields.when_busy === "steer" && turns.get(other.prompt)?.status === "cancelled";
    const possible = user.asked.filter((other) => other === asked || steering.includes(other) || turns.get(other.prompt)?.turn_id === host || heard(other));
    const stored = answers.get(host) ?? [];
    for (const each of stored) {
      const of = user.asked.find((other) => other.answer === each);
      const ended = JSON.stringify(of && { ...turns.get(of.prompt), asked: of.fields });
      assert.ok(of !== undefined && possible.includes(of), `${each} is stored for ${prompt}; it is of ${ended}`);
    }
    if (outcome.kind === "answered") {
      counts.answered += 1;
      if (asked.isCompaction) counts.compacted += 1;
      if (!asked.isCompaction) assert.deepEqual(stored, [outcome.response], `what the user holds for ${prompt}`);
    }
    // A query in words that a turn takes in can keep it from the value that it was to answer with.
    if (turn.status === "failed" && !(turn.error?.code === "output_invalid" && steering.length > 0)) {
      failures.push(`${turn.turn_id} of ${prompt}: ${turn.error?.code}, ${turn.error?.detail}`);
    }
    if (asked.events === undefined) continue;
    await compareItems(client, turn.turn_id, asked.events);
    counts.streamed += 1;
  }
  return [...answers.keys()];
}

/** What was told live of a turn is what is kept of it, but for the pieces of messages and inputs. */
async function compareItems(client: Client, turnId: string, events: readonly ServerEvent[]): Promise<void> {
  const told = events
    .slice(0, -1)
    .filter(({ event }) => !["turn", "delta", "tool_input"].includes(event))
    .map(({ id, event, data }) => ({ n: Number(id.split(":").at(-1)), type: event, ...data }));
  const { items } = await json<{ items: Item[] }>(await client.request("GET", `/turns/${turnId}?include=items`), 200);
  assert.deepEqual(items, told, `items of ${turnId}`);
}
