/*
 * One account's user in the soak: asks, waits, leaves in the middle, cancels, and sends again what the network lost,
 * with the same idempotency key. Writes down what it asked and was told; judges nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "../client.ts";
import type { Problem } from "../client.ts";
import { EventStream } from "../event-stream.ts";
import type { Random } from "./random.ts";

/** How a turn was asked for, and what came of it for the user. */
export type Asked = {
  prompt: string;
  answer: string;
  sessionId: string;
  how: "json" | "stream" | "async" | "leave" | "cancel";
  /** `answered`: the user holds the answer. `refused`: a problem document with this code. `unknown`: the user left. */
  outcome: { kind: "answered"; response: string } | { kind: "refused"; code: string } | { kind: "unknown" };
};

/** More than are asked at once: some rest, and questions meet in one conversation too. */
const SPARE_CONVERSATIONS = 2;
const WAYS = ["json", "json", "stream", "stream", "async", "leave", "cancel"] as const;
const MAX_PATIENCE_MS = 900;
/** While the Worker restarts nobody answers. */
const MAX_ATTEMPTS = 60;
const RETRY_MS = 500;
/** Refusals that a client is told to try again later. */
const TRY_AGAIN = new Set(["queue_full", "internal"]);

export class User {
  readonly client: Client;
  readonly asked: Asked[] = [];
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
      for (let n = lane; n < turns; n += lanes.length) await this.#askOnce(`${this.client.accountId}-${n}`, random);
    };
    await Promise.all(lanes.map(askInTurn));
  }

  async #askOnce(mark: string, random: Random): Promise<void> {
    const answer = `answer-${mark}`;
    const pace = random.pick(["", "", "[[delay 20]] ", '[[tool Bash {"command":"sleep 0.1"}]] ']);
    const asked: Asked = {
      prompt: `${pace}[[say ${answer}]] ask-${mark}`,
      answer,
      sessionId: `soak-${random.between(1, this.#atOnce + SPARE_CONVERSATIONS)}`,
      how: random.pick(WAYS),
      outcome: { kind: "unknown" },
    };
    const patienceMs = random.between(0, MAX_PATIENCE_MS);
    this.asked.push(asked);
    for (let attempt = 1; ; attempt += 1) {
      try {
        asked.outcome = await this.#send(asked, mark, patienceMs);
        if (asked.outcome.kind !== "refused" || !TRY_AGAIN.has(asked.outcome.code)) return;
      } catch (error) {
        if (asked.how === "leave") return;
        if (attempt >= MAX_ATTEMPTS) throw new Error(`no answer to ${asked.prompt} in ${attempt} attempts`, { cause: error });
      }
      await sleep(RETRY_MS);
    }
  }

  async #send(asked: Asked, key: string, patienceMs: number): Promise<Asked["outcome"]> {
    const { prompt, sessionId, how } = asked;
    const headers = { "idempotency-key": key };
    const fields = { session_id: sessionId };
    const leave = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    if (how === "leave") timer = setTimeout(() => leave.abort(), patienceMs);
    if (how === "cancel") timer = setTimeout(() => void this.client.cancel(sessionId).catch(() => undefined), patienceMs);
    try {
      if (how === "async") {
        const response = await this.client.post(prompt, fields, { ...headers, prefer: "respond-async" });
        if (response.status !== 202) return await refusal(response);
        await response.body?.cancel();
        return { kind: "unknown" };
      }
      if (how !== "stream") {
        const response = await this.client.post(prompt, fields, headers, leave.signal);
        if (response.status !== 200) return await refusal(response);
        return { kind: "answered", response: ((await response.json()) as { response: string }).response };
      }
      return await this.#stream(asked, headers);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A stream that is cut is asked for again as the same query: its idempotency key makes it the same turn. */
  async #stream({ prompt, sessionId }: Asked, headers: Record<string, string>): Promise<Asked["outcome"]> {
    const response = await this.client.post(prompt, { session_id: sessionId, stream: true }, headers);
    if (response.status !== 200) return refusal(response);
    const events = await EventStream.over(() => Promise.resolve(response));
    const last = await events.toEnd();
    return last.event === "done"
      ? { kind: "answered", response: String(last.data["response"]) }
      : { kind: "refused", code: String(last.data["code"]) };
  }
}

async function refusal(response: Response): Promise<Asked["outcome"]> {
  const text = await response.text();
  // Between the restart's death and birth the proxy of the dev server may answer in its own words: no refusal of ours.
  if (!(response.headers.get("content-type") ?? "").startsWith("application/problem+json")) throw new Error(text.slice(0, 200));
  return { kind: "refused", code: (JSON.parse(text) as Problem).code };
}
