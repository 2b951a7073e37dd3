/*
 * One account's user in the soak: asks in every way, waits, leaves in the middle, cancels, forks, and sends again what the network lost,
 * with the same idempotency key. Writes down what it asked and was told; judges nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, EVERYTHING } from "../client.ts";
import type { Conversation, Headers, Problem } from "../client.ts";
import { EventStream } from "../event-stream.ts";
import type { ServerEvent } from "../event-stream.ts";
import { question } from "./kinds.ts";
import type { Question } from "./kinds.ts";
import type { Random } from "./random.ts";

/** How a turn was asked for, and what came of it for the user. */
export type Asked = Question & {
  sessionId: string;
  how: "json" | "stream" | "async" | "leave" | "cancel";
  /** `answered`: the user holds the answer. `refused`: a problem document with this code. `unknown`: the user left. */
  outcome: { kind: "answered"; response: string } | { kind: "refused"; code: string } | { kind: "unknown" };
  /** Every event of a stream that came to its end. */
  events?: readonly ServerEvent[];
};

/** A fork, and what was said in it before anybody asked in it. */
export type Branch = { sessionId: string; said: string[] };

/** More than are asked at once: some rest, and questions meet in one conversation too. */
const SPARE_CONVERSATIONS = 2;
const WAYS = ["json", "json", "stream", "stream", "async", "leave", "cancel"] as const;
const BRANCH_EVERY = 25;
const MAX_PATIENCE_MS = 900;
/** While the Worker restarts nobody answers. */
const MAX_ATTEMPTS = 60;
const RETRY_MS = 500;
/** Refusals that a client is told to try again later. */
const TRY_AGAIN = new Set(["queue_full", "internal"]);

export class User {
  readonly client: Client;
  readonly asked: Asked[] = [];
  readonly branches: Branch[] = [];
  readonly #random: Random;
  /** Questions that the user asks without waiting for the others. */
  readonly #atOnce: number;

  constructor(url: string, accountId: string, random: Random, atOnce: number) {
    this.client = new Client(url, accountId);
    this.#random = random;
    this.#atOnce = atOnce;
  }

  sessionIds(): string[] {
    return [...new Set(this.asked.map((asked) => asked.sessionId))];
  }

  async ask(turns: number): Promise<void> {
    const lanes = Array.from({ length: this.#atOnce }, () => (this.#atOnce === 1 ? this.#random : this.#random.fork()));
    const askInTurn = async (random: Random, lane: number): Promise<void> => {
      for (let n = lane; n < turns; n += lanes.length) {
        const mark = `${this.client.accountId}-${n}`;
        const sessionId = `soak-${random.between(1, this.#atOnce + SPARE_CONVERSATIONS)}`;
        if (random.between(1, BRANCH_EVERY) === 1) await this.#branch(sessionId, mark, random);
        else await this.#askOnce(mark, sessionId, random);
      }
    };
    await Promise.all(lanes.map(askInTurn));
  }

  /** Forks a conversation, takes the fork back to before its last turn now and then, and asks in it. */
  async #branch(source: string, mark: string, random: Random): Promise<void> {
    const sessionId = `branch-${mark}`;
    const goesBack = random.next() < 0.5;
    const made = await this.#patiently(mark, () => this.client.act(source, "fork", { session_id: sessionId }));
    // The source may have no turn that ended; and of a fork that was made, a restart may have lost the answer.
    if (made.status === 201 || (await refusal(made)).code === "conversation_exists") {
      const [last] = (await (await this.#patiently(mark, () => this.client.request("GET", `/conversations/${sessionId}/turns`))).json()) as { turn_id: string }[];
      if (goesBack && last !== undefined) await this.#patiently(mark, () => this.client.act(sessionId, "rewind", { before: last.turn_id }));
      const { messages } = (await (await this.#patiently(mark, () => this.client.request("GET", `/conversations/${sessionId}`))).json()) as Conversation;
      this.branches.push({ sessionId, said: messages.map(({ role, content }) => `${role}: ${content}`) });
      await this.#askOnce(mark, sessionId, random);
    }
  }

  async #askOnce(mark: string, sessionId: string, random: Random): Promise<void> {
    const asked: Asked = { ...question(mark, random), sessionId, how: random.pick(WAYS), outcome: { kind: "unknown" } };
    const patienceMs = random.between(0, MAX_PATIENCE_MS);
    this.asked.push(asked);
    await this.#patiently(asked.prompt, async () => {
      try {
        asked.outcome = await this.#send(asked, mark, patienceMs);
      } catch (error) {
        if (asked.how !== "leave") throw error;
      }
      return asked.outcome;
    });
  }

  /** Sends until somebody answers, and does not tell to try again. */
  async #patiently<T extends Response | Asked["outcome"]>(what: string, send: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const came = await send();
        if (came instanceof Response && came.status >= 500) throw new Error(await came.text());
        if (!("kind" in came) || came.kind !== "refused" || !TRY_AGAIN.has(came.code)) return came;
      } catch (error) {
        if (attempt >= MAX_ATTEMPTS) throw new Error(`no answer to ${what} in ${attempt} attempts`, { cause: error });
      }
      await sleep(RETRY_MS);
    }
  }

  async #send(asked: Asked, key: string, patienceMs: number): Promise<Asked["outcome"]> {
    const { sessionId, how } = asked;
    const headers = { "idempotency-key": key };
    const leave = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    if (how === "leave") timer = setTimeout(() => leave.abort(), patienceMs);
    if (how === "cancel") timer = setTimeout(() => void this.client.cancel(sessionId).catch(() => undefined), patienceMs);
    try {
      if (how === "async") {
        const response = await this.#post(asked, { ...headers, prefer: "respond-async" });
        if (response.status !== 202) return await refusal(response);
        await response.body?.cancel();
        return { kind: "unknown" };
      }
      if (how !== "stream") {
        const response = await this.#post(asked, headers, false, leave.signal);
        if (response.status !== 200) return await refusal(response);
        return { kind: "answered", response: ((await response.json()) as { response: string }).response };
      }
      return await this.#stream(asked, headers);
    } finally {
      clearTimeout(timer);
    }
  }

  #post({ prompt, said, fields, sessionId, isCompaction }: Asked, headers: Headers, stream = false, signal?: AbortSignal): Promise<Response> {
    if (isCompaction) return this.client.act(sessionId, "compact", { instructions: prompt.slice("/compact ".length), ...(stream && { stream }) }, headers);
    return this.client.post(said, { ...fields, session_id: sessionId, ...(stream && { stream, include: EVERYTHING }) }, headers, signal);
  }

  /** A stream that is cut is asked for again as the same query: its idempotency key makes it the same turn. */
  async #stream(asked: Asked, headers: Record<string, string>): Promise<Asked["outcome"]> {
    const response = await this.#post(asked, headers, true);
    if (response.status !== 200) return refusal(response);
    const events = await EventStream.over(() => Promise.resolve(response));
    const last = await events.toEnd();
    asked.events = events.events;
    return last.event === "done"
      ? { kind: "answered", response: String(last.data["response"]) }
      : { kind: "refused", code: String(last.data["code"]) };
  }
}

async function refusal(response: Response): Promise<{ kind: "refused"; code: string }> {
  const text = await response.text();
  // Between the restart's death and birth the proxy of the dev server may answer in its own words: no refusal of ours.
  if (!(response.headers.get("content-type") ?? "").startsWith("application/problem+json")) throw new Error(text.slice(0, 200));
  return { kind: "refused", code: (JSON.parse(text) as Problem).code };
}
