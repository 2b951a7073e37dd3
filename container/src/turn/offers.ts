/*
 * Messages that are offered to a running turn. Each is held until a tool of the top level runs, because only then the CLI folds a message
 * into the turn; it is pushed then, and called back where the CLI has not folded it in by the model's next request.
 * Owns the proof of which were taken in, and that none of the others runs as a turn of its own.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Message } from "../attachments.ts";
import type { Block } from "../content.ts";
import type { Entry } from "../frames.ts";
import type { Steering, SteeringPort } from "../process.ts";
import { log, reason } from "../log.ts";
import { STRUCTURED_OUTPUT } from "./output.ts";

/** That wait, of one turn. */
export const MAX_OFFERS = 8;
/** Their content together, files as they are sent. */
export const MAX_OFFERED_BYTES = 32 * 1024 * 1024;
/** What one turn takes in, and what it cannot. */
export const MAX_TAKEN = 64;
/** How long the end of a turn waits to hear what became of a message that was pushed too late. */
const SETTLE_LIMIT_MS = 500;

export type Refused = "turn_ended" | "too_many_offers";

/** What becomes of a message. The SDK's types don't name it. */
type Lifecycle = { type: "command_lifecycle"; command_uuid: string; state: "queued" | "started" | "completed" | "cancelled" };

type Offer = {
  turnId: string;
  content: string | readonly Block[];
  bytes: number;
  /** Its files are being read. */
  reading: boolean;
  /** The turn cannot take it in: the CLI would leave out a document, or a file cannot be had. */
  unusable: boolean;
  /** Set while the CLI has it. */
  uuid?: string;
  taken: boolean;
  /** The turn's transcript has it. */
  entered: boolean;
  withdrawn: boolean;
  calledBack: boolean;
};

type Compose = (blocks: readonly Block[]) => Promise<Message>;

export class Offers implements Steering {
  readonly #offers = new Map<string, Offer>();
  readonly #signal: AbortSignal;
  #port: SteeringPort | undefined;
  #compose: Compose | undefined;
  #maxSteps = Infinity;
  /** The calls of the top level that run, by their ids. */
  readonly #running = new Map<string, string>();
  readonly #steps = new Set<string>();
  #over = false;
  /** One of them runs as a turn of its own. */
  #stray = false;
  #changed = Promise.withResolvers<void>();

  /** After the signal nothing is pushed any more. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Undefined: it is offered. One that was offered before still is, as it was. */
  offer(turnId: string, content: string | readonly Block[]): Refused | undefined {
    if (this.#over || this.#signal.aborted) return "turn_ended";
    if (this.#offers.has(turnId)) return undefined;
    const waiting = [...this.#offers.values()].filter((offer) => !offer.taken && !offer.unusable);
    const bytes = bytesOf(content);
    const together = waiting.reduce((sum, offer) => sum + offer.bytes, bytes);
    if (waiting.length >= MAX_OFFERS || together > MAX_OFFERED_BYTES || this.#offers.size >= MAX_TAKEN) return "too_many_offers";
    const unusable = typeof content !== "string" && content.some((block) => block.type === "document");
    const kept = unusable ? "" : content;
    this.#offers.set(turnId, { turnId, content: kept, bytes, reading: false, unusable, taken: false, entered: false, withdrawn: false, calledBack: false });
    this.#pushHeld();
    return undefined;
  }

  /** True: the turn does not take it in. False: it has, or may have; its end tells. */
  async withdraw(turnId: string): Promise<boolean> {
    const offer = this.#offers.get(turnId);
    if (offer === undefined) return true;
    if (this.#over || offer.taken) return !offer.taken;
    if (offer.uuid === undefined) return this.#offers.delete(turnId);
    offer.withdrawn = true;
    await this.#callBack(offer);
    return !this.#offers.has(turnId);
  }

  /** Who makes messages of blocks, in the turn's conversation. */
  composedBy(compose: Compose): void {
    this.#compose = compose;
  }

  /** The process has the turn's message. `maxSteps`: the model's calls with which the turn ends, whatever waits. */
  begin(port: SteeringPort, maxSteps = Infinity): void {
    this.#port = port;
    this.#maxSteps = maxSteps;
    this.#over = false;
    this.#running.clear();
    this.#steps.clear();
  }

  /** The CLI has some that it may still run. */
  get pushed(): boolean {
    return this.#pushedOffers.length > 0;
  }

  /** Everything that the process says, also after the turn's end. */
  message(message: SDKMessage | Lifecycle): void {
    switch (message.type) {
      case "command_lifecycle":
        return this.#became(message.command_uuid, message.state);
      case "assistant":
        if (message.parent_tool_use_id === null) this.#called(message);
        return;
      case "user":
        if (message.parent_tool_use_id === null && typeof message.message.content !== "string") {
          for (const block of message.message.content) if (block.type === "tool_result") this.#running.delete(block.tool_use_id);
        }
        return;
      case "system":
        // While a tool runs it is a subagent that asks the model.
        if (message.subtype === "status" && message.status === "requesting" && this.#running.size === 0) this.#missed();
        return;
      default:
    }
  }

  /** The turn has ended, with this result if it has one: nothing is offered or taken in any more. */
  end(result?: SDKResultMessage): void {
    if (this.#over) return;
    this.#over = true;
    const named = result?.user_message_uuids;
    for (const offer of this.#offers.values()) {
      // What a process that is gone had taken in was not answered.
      if (result === undefined) delete offer.uuid;
      offer.taken = offer.uuid !== undefined && (offer.entered || (named?.includes(offer.uuid) ?? offer.taken));
    }
    for (const offer of this.#pushedOffers) void this.#callBack(offer);
  }

  /** Those that the turn took in, in the order in which they came. */
  get taken(): string[] {
    return this.#over ? [...this.#offers.values()].filter((offer) => offer.taken).map((offer) => offer.turnId) : [];
  }

  /** Those that a turn which goes on has taken in by now: whatever it says next, it says with them. */
  get entered(): string[] {
    return [...this.#offers.values()].filter((offer) => offer.uuid !== undefined && (offer.entered || offer.taken)).map((offer) => offer.turnId);
  }

  /** What of these entries is the turn's: none from the message on that the CLI runs as a turn of its own. */
  own(entries: Entry[]): Entry[] {
    if (this.#stray) return [];
    for (const [at, entry] of this.pushed ? entries.entries() : []) {
      const { uuid, attachment } = entry as { uuid?: unknown; attachment?: { source_uuid?: unknown } };
      const offer = this.#pushedOffers.find((pushed) => pushed.uuid === uuid || pushed.uuid === attachment?.source_uuid);
      if (offer === undefined) continue;
      if (entry.type !== "user") {
        offer.entered = true;
        continue;
      }
      this.#strayed();
      return entries.slice(0, at);
    }
    return entries;
  }

  /** True: nothing that was offered can run by itself. Else the process must end, and what it knows with it. */
  async settled(): Promise<boolean> {
    if (!this.pushed) return !this.#stray;
    const limit = new AbortController();
    const expired = sleep(SETTLE_LIMIT_MS, "expired", { signal: limit.signal }).catch(() => "expired");
    while (!this.#stray && this.pushed) {
      if ((await Promise.race([this.#changed.promise, expired])) === "expired") break;
    }
    limit.abort();
    return !this.#stray && !this.pushed;
  }

  get #pushedOffers(): Offer[] {
    return [...this.#offers.values()].filter((offer) => offer.uuid !== undefined && !offer.taken);
  }

  #called({ message }: Extract<SDKMessage, { type: "assistant" }>): void {
    for (const block of message.content) {
      if (block.type !== "tool_use") continue;
      this.#running.set(block.id, block.name);
      this.#steps.add(message.id);
    }
    if (this.#foldsIn) this.#pushHeld();
    else if (this.#running.size > 0) for (const offer of this.#pushedOffers) void this.#callBack(offer);
  }

  /** The model is asked again after the tools that run. */
  get #foldsIn(): boolean {
    return this.#running.size > 0 && this.#steps.size < this.#maxSteps && ![...this.#running.values()].includes(STRUCTURED_OUTPUT);
  }

  #pushHeld(): void {
    if (this.#port === undefined || this.#over || this.#signal.aborted || !this.#foldsIn) return;
    for (const offer of this.#offers.values()) {
      if (offer.uuid !== undefined || offer.taken || offer.reading || offer.unusable) continue;
      if (typeof offer.content === "string") this.#push(offer, offer.content);
      else void this.#readAndPush(offer, offer.content);
    }
  }

  #push(offer: Offer, message: Message): void {
    offer.uuid = randomUUID();
    offer.calledBack = false;
    this.#port?.push(offer.uuid, message);
  }

  /** The tool may have ended when the files are read: they are read again for the next one then. */
  async #readAndPush(offer: Offer, blocks: readonly Block[]): Promise<void> {
    offer.reading = true;
    try {
      const message = await this.#compose?.(blocks);
      const still = this.#offers.get(offer.turnId) === offer && !this.#over && !this.#signal.aborted && this.#foldsIn;
      if (still && message !== undefined) this.#push(offer, message);
    } catch (error) {
      offer.unusable = true;
      offer.content = "";
      log("offer_unusable", { turn: offer.turnId, reason: reason(error) });
    } finally {
      offer.reading = false;
    }
  }

  /** The model is asked without those that are not named as taken in by now. */
  #missed(): void {
    for (const offer of this.#pushedOffers) void this.#callBack(offer);
  }

  async #callBack(offer: Offer): Promise<void> {
    const { uuid } = offer;
    if (uuid === undefined || (offer.calledBack && !offer.withdrawn)) return;
    offer.calledBack = true;
    const cancelled = await this.#port?.cancel(uuid);
    if (cancelled === true) this.#back(uuid);
  }

  #became(uuid: string, state: string): void {
    const offer = this.#pushedOffers.find((pushed) => pushed.uuid === uuid);
    if (offer === undefined) return;
    if (state === "cancelled") this.#back(uuid);
    else if (state === "started" && this.#over) this.#strayed();
    else if (state === "started") offer.taken = true;
  }

  /** The CLI does not have it any more. */
  #back(uuid: string): void {
    const offer = this.#pushedOffers.find((pushed) => pushed.uuid === uuid);
    if (offer === undefined) return;
    delete offer.uuid;
    if (offer.withdrawn) this.#offers.delete(offer.turnId);
    this.#tell();
    // A tool may have begun to run since.
    this.#pushHeld();
  }

  #strayed(): void {
    this.#stray = true;
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

function bytesOf(content: string | readonly Block[]): number {
  if (typeof content === "string") return Buffer.byteLength(content);
  const ofFile = (block: Block): number => (block.type !== "text" && block.source.type === "file" ? Math.ceil((block.source.size * 4) / 3) : 0);
  return content.reduce((sum, block) => sum + Buffer.byteLength(JSON.stringify(block)) + ofFile(block), 0);
}
