/*
 * What a turn waits for: each question pends until it is decided, the turn is parked, or the SDK takes it back. Nothing that was not allowed runs:
 * without a turn, over a bound, or after an error the answer is no. Knows nothing of HTTP, and of the SDK only the shape of its callbacks.
 */
import { randomUUID } from "node:crypto";
import { isReference, outcomeOf } from "./terms.ts";
import type { Asked, Decision, Outcome } from "./terms.ts";

/** Questions of one turn that pend at once; more are answered with no. */
export const MAX_PENDING = 256;

/** How a question ends: decided, given up because the turn is parked, or taken back by the SDK. */
export type Answer = Decision | { decision: "parked" } | { decision: "withdrawn" };

export type GatePort = {
  /** Before anybody is asked: what the transcript has of the call goes first. */
  asked(asked: Asked): void;
  resolved(reference: string, outcome: Outcome): void;
};

type Pending = { asked: Asked; resolve: (answer: Answer) => void };

export class Gate {
  #port: GatePort | undefined;
  #pending = new Map<string, Pending>();
  /** Decided ones of this turn: a decision that is sent again changes nothing. */
  #decided = new Set<string>();
  #parking = false;

  /** A turn begins: its questions go there. */
  attach(port: GatePort): void {
    this.#port = port;
    this.#decided.clear();
    this.#parking = false;
  }

  /** The turn has ended: nobody is asked any more. */
  detach(): void {
    this.#port = undefined;
    for (const { resolve } of this.#pending.values()) resolve({ decision: "withdrawn" });
    this.#pending.clear();
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Whether the turn gives up its process: what comes now is not held. */
  get parking(): boolean {
    return this.#parking;
  }

  /** Asks, and waits for as long as it takes. */
  async ask(question: Omit<Asked, "reference">, signal: AbortSignal): Promise<Answer> {
    const port = this.#port;
    if (port === undefined || signal.aborted || this.#pending.size >= MAX_PENDING) return { decision: "withdrawn" };
    const asked: Asked = { ...question, reference: this.#nameFor(question) };
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#pending.set(asked.reference, { asked, resolve });
    const withdraw = (): void => resolve({ decision: "withdrawn" });
    signal.addEventListener("abort", withdraw, { once: true });
    port.asked(asked);
    // A turn that is parked tells what it waits for, and waits without a process.
    if (this.#parking) resolve({ decision: "parked" });
    const answer = await promise;
    signal.removeEventListener("abort", withdraw);
    this.#pending.delete(asked.reference);
    if (answer.decision === "withdrawn") port.resolved(asked.reference, "withdrawn");
    else if (answer.decision !== "parked") port.resolved(asked.reference, outcomeOf(answer));
    return answer;
  }

  /** Undefined: nobody asked that. False: it was decided before. */
  decide(reference: string, decision: Decision): boolean | undefined {
    const pending = this.#pending.get(reference);
    if (pending === undefined) return this.#decided.has(reference) ? false : undefined;
    if (this.#decided.has(reference)) return false;
    this.#decided.add(reference);
    pending.resolve(decision);
    return true;
  }

  /** Everything that pends gives way, and what comes after it. False where nothing pends. */
  park(): boolean {
    if (this.#pending.size === 0) return false;
    this.#parking = true;
    for (const { resolve } of this.#pending.values()) resolve({ decision: "parked" });
    return true;
  }

  /** A call is named by its id, so that it has the same name when it is told again. */
  #nameFor({ tool_call_id: id, kind }: Omit<Asked, "reference">): string {
    if (id !== undefined && isReference(id) && !this.#pending.has(id) && !this.#decided.has(id)) return id;
    return `${kind}-${randomUUID()}`;
  }
}
