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
  asked(asked: Asked): Promise<void>;
  resolved(reference: string, outcome: Outcome): void;
  /** Why the SDK has let go of a question: its process is gone, or it wants no answer any more. */
  letGo(): Promise<"parked" | "withdrawn">;
};

/** `stays`: whether the call can stay open when the turn is parked. */
export type Question = Omit<Asked, "reference"> & { stays: boolean };

type Pending = { reference: string; stays: boolean; resolve: (answer: Answer) => void };

export class Gate {
  #port: GatePort | undefined;
  #pending = new Map<string, Pending>();
  /** Decided ones of this turn: a decision that is sent again changes nothing. */
  #decided = new Set<string>();
  /** Those that stay open in a parked turn. */
  #parked = new Set<string>();
  #parking = false;
  /** Questions that come before the turn of a process that begins one by itself. */
  #expected: PromiseWithResolvers<void> | undefined;

  /** The process begins a turn by itself: what it asks waits until the turn is attached. */
  expect(): void {
    this.#expected = Promise.withResolvers();
  }

  /** The turn that the process began by itself is attached. */
  async ready(): Promise<void> {
    await this.#expected?.promise;
  }

  /** A turn begins: its questions go there. */
  attach(port: GatePort): void {
    this.#port = port;
    this.#decided.clear();
    this.#parked.clear();
    this.#parking = false;
    this.#expected?.resolve();
    this.#expected = undefined;
  }

  /** The turn has ended: nobody is asked any more. */
  detach(): void {
    this.#port = undefined;
    for (const { resolve } of this.#pending.values()) resolve({ decision: "withdrawn" });
    this.#pending.clear();
    this.#expected?.resolve();
    this.#expected = undefined;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** What a parked turn goes on waiting for. */
  get parked(): string[] {
    return [...this.#parked];
  }

  /** Asks, and waits for as long as it takes. */
  async ask({ stays, ...question }: Question, signal: AbortSignal): Promise<Answer> {
    if (this.#expected !== undefined) await this.ready();
    const port = this.#port;
    if (port === undefined || signal.aborted || this.#pending.size >= MAX_PENDING) return { decision: "withdrawn" };
    if (this.#parking && !stays) return { decision: "parked" };
    const reference = this.#nameFor(question);
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#pending.set(reference, { reference, stays, resolve });
    const withdraw = (): void => void port.letGo().then((why) => (why === "parked" ? void this.park() : resolve({ decision: "withdrawn" })));
    signal.addEventListener("abort", withdraw, { once: true });
    await port.asked({ ...question, reference });
    // A turn that is parked tells what it waits for, and waits without a process.
    if (this.#parking) this.#park({ reference, stays, resolve });
    const answer = await promise;
    signal.removeEventListener("abort", withdraw);
    this.#pending.delete(reference);
    if (answer.decision === "withdrawn" || (answer.decision === "parked" && !stays)) port.resolved(reference, "withdrawn");
    else if (answer.decision !== "parked") port.resolved(reference, outcomeOf(answer));
    return answer;
  }

  /** Undefined: nobody asked that. False: it was decided before, or waits on without the process. */
  decide(reference: string, decision: Decision): boolean | undefined {
    if (this.#decided.has(reference) || this.#parked.has(reference)) return false;
    const pending = this.#pending.get(reference);
    if (pending === undefined) return undefined;
    this.#decided.add(reference);
    pending.resolve(decision);
    return true;
  }

  /** Everything that pends gives way, and what comes after it. False where nothing pends. */
  park(): boolean {
    if (this.#pending.size === 0) return false;
    this.#parking = true;
    for (const pending of this.#pending.values()) this.#park(pending);
    return true;
  }

  #park({ reference, stays, resolve }: Pending): void {
    if (this.#decided.has(reference)) return;
    if (stays) this.#parked.add(reference);
    resolve({ decision: "parked" });
  }

  /** A call is named by its id, so that it has the same name when it is told again. */
  #nameFor({ tool_call_id: id, kind }: Omit<Asked, "reference">): string {
    if (id !== undefined && isReference(id) && !this.#pending.has(id) && !this.#decided.has(id)) return id;
    return `${kind}-${randomUUID()}`;
  }
}
