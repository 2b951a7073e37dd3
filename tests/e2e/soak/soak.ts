/*
 * The soak: users of many accounts at once, while the Worker restarts and containers are killed; then the reckoning.
 * What must hold afterwards, whatever happened: every turn has exactly one end, every answer that a user holds is in its
 * conversation exactly once, no two turns of one conversation ran at once, and no more of one account than may.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../../../dev/stack.ts";
import { isAlive } from "../processes.ts";
import type { Service } from "../support.ts";
import { Random } from "./random.ts";
import { User } from "./user.ts";

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

export type Reckoning = { turns: number; restarts: number; kills: number; ends: Record<string, number>; answered: number; atOnce: number };

/** A turn that ran: its conversation, and from when to when. */
type Span = { sessionId: string; from: number; to: number };

const ENDS = new Set(["completed", "failed", "cancelled", "interrupted"]);

export async function soak(service: Service, options: SoakOptions): Promise<Reckoning> {
  const random = new Random(options.seed);
  const run = `soak-${options.seed}-${Date.now().toString(36)}`;
  const users = Array.from({ length: options.accounts }, (_, n) => new User(service.url, `${run}-${n}`, random.fork(), options.concurrency));
  for (const user of users) await user.client.query("[[say warm]]", { session_id: "warm-up" });
  const chaos = new Chaos(service.stack, random.fork(), options);
  const disturbing = chaos.run();
  try {
    await Promise.all(users.map((user) => user.ask(options.turns)));
  } finally {
    chaos.end();
    await disturbing;
  }
  options.say(`${chaos.restarts} restarts, ${chaos.kills} kills; now the reckoning`);
  const ends: Record<string, number> = {};
  const failures: string[] = [];
  let answered = 0;
  let atOnce = 0;
  for (const user of users) {
    const spans: Span[] = [];
    answered += await reckon(user, ends, failures, spans);
    atOnce = Math.max(atOnce, mostAtOnce(spans));
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
  const turns = Object.values(ends).reduce((sum, count) => sum + count, 0);
  return { turns, restarts: chaos.restarts, kills: chaos.kills, ends, answered, atOnce };
}

/** One that begins when another ends does not run beside it. */
function mostAtOnce(spans: readonly Span[]): number {
  const beside = (at: number): number => spans.filter(({ from, to }) => from <= at && at < to).length;
  return Math.max(0, ...spans.map(({ from }) => beside(from)));
}

/** Checks one user's account; counts its turns' ends, notes those that failed and when all ran, and returns how many answers the user held. */
async function reckon(user: User, ends: Record<string, number>, failures: string[], spans: Span[]): Promise<number> {
  const stored = new Map<string, string[]>();
  for (const sessionId of user.sessionIds()) {
    const response = await user.client.request("GET", `/conversations/${sessionId}`);
    await response.body?.cancel();
    // Whoever left before their first query was stored has no conversation.
    if (response.status === 404) continue;
    await (await user.client.events(sessionId)).toEnd();
    const { messages } = await user.client.conversation(sessionId);
    for (const message of messages) {
      if (message.role === "user") {
        assert.ok(!stored.has(message.content), `${message.content} is stored twice`);
        const answers = messages.filter((other) => other.turn_id === message.turn_id && other.role === "assistant");
        stored.set(message.content, answers.map((answer) => answer.content));
        const turn = await user.client.turn(message.turn_id);
        assert.ok(ENDS.has(turn.status), `the turn of ${message.content} is ${turn.status}`);
        assert.equal(answers.length, turn.status === "completed" ? 1 : 0, `answers of the ${turn.status} turn of ${message.content}`);
        ends[turn.status] = (ends[turn.status] ?? 0) + 1;
        if (turn.status === "failed") failures.push(`${turn.turn_id} of ${message.content}: ${turn.error?.code}, ${turn.error?.detail}`);
        if (turn.started_at !== null) spans.push({ sessionId, from: turn.started_at, to: turn.finished_at ?? NaN });
      }
    }
  }
  let answered = 0;
  for (const { prompt, answer, outcome } of user.asked) {
    const answers = stored.get(prompt);
    if (answers !== undefined && answers.length > 0) assert.deepEqual(answers, [answer], `what is stored for ${prompt}`);
    if (outcome.kind === "answered") {
      answered += 1;
      assert.equal(outcome.response, answer, `what the user holds for ${prompt}`);
      assert.deepEqual(answers, [answer], `an answer that a user holds is not stored: ${prompt}`);
    }
  }
  return answered;
}

/** Disturbs a stack until it is told to end. */
class Chaos {
  restarts = 0;
  kills = 0;
  readonly #stack: Stack;
  readonly #random: Random;
  readonly #options: SoakOptions;
  readonly #ended = new AbortController();

  constructor(stack: Stack, random: Random, options: SoakOptions) {
    this.#stack = stack;
    this.#random = random;
    this.#options = options;
  }

  async run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const pause = this.#options.disturbEveryMs * (0.5 + this.#random.next());
      // The pause is the soak's own rhythm; its end is the only event that matters.
      await sleep(pause, undefined, { signal: this.#ended.signal }).catch(() => undefined);
      if (this.#ended.signal.aborted) return;
      if (this.#random.next() < 0.4) {
        this.#options.say("restarting the Worker");
        await this.#stack.restartWorker();
        this.restarts += 1;
      } else {
        this.#killContainer();
      }
    }
  }

  end(): void {
    this.#ended.abort();
  }

  #killContainer(): void {
    const running = (this.#stack.engine?.containers() ?? []).filter(({ running, pid }) => running && isAlive(pid));
    if (running.length === 0) return;
    const victim = this.#random.pick(running);
    this.#options.say(`killing the container of process ${victim.pid}`);
    process.kill(victim.pid, "SIGKILL");
    this.kills += 1;
  }
}
