/** The events of one turn, over as many connections as it takes. */
import type { EventData } from "./api.ts";
import { AgentError, ConnectionError } from "./errors.ts";
import type { Problem } from "./errors.ts";
import { readEvents } from "./event-source.ts";
import { Retries } from "./retries.ts";

/** An event of a turn. The event `error` is not among them: it is thrown, as an `AgentError`. */
export type AgentEvent = { [Name in Exclude<keyof EventData, "error">]: { type: Name; id: string; data: EventData[Name] } }[Exclude<keyof EventData, "error">];
export type TurnResult = EventData["done"];

export interface Source {
  /** The first request: whatever it responds with are the turn's events from their beginning, or from `lastEventId` on. */
  open(): Promise<Response>;
  /** The later ones. */
  resume(sessionId: string, lastEventId: string): Promise<Response>;
  /** The conversation, if it is known before the first event. */
  sessionId?: string | undefined;
  lastEventId?: string | undefined;
  maxRetries: number;
  signal?: AbortSignal | undefined;
}

/**
 * An async iterable of a turn's events. Reading it sends the request; a connection that is cut is opened again after the last event, and no
 * event comes twice. Leaving the loop closes the connection and not the turn; a new loop, or `result()`, goes on after the last event.
 */
export class TurnStream implements AsyncIterable<AgentEvent> {
  readonly #source: Source;
  #lastId: string | undefined;
  #lastTurnEvent = "";
  #turnId: string | undefined;
  #sessionId: string | undefined;
  #result: TurnResult | undefined;
  #hasEnded = false;
  #isPaused = false;
  #isRead = false;

  constructor(source: Source) {
    this.#source = source;
    this.#lastId = source.lastEventId;
    this.#sessionId = source.sessionId;
  }

  /** The conversation; undefined until the first event if the service chooses its id. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** The turn; undefined until the first event. */
  get turnId(): string | undefined {
    return this.#turnId;
  }

  /** For `followConversation`, to go on in another process. */
  get lastEventId(): string | undefined {
    return this.#lastId;
  }

  /** Reads to the end and returns the turn's result. Throws an `AgentError` if the turn did not complete. */
  async result(): Promise<TurnResult> {
    for await (const _ of this);
    if (this.#isPaused) throw new Error("the turn waits for somebody: decide its actions, then follow the conversation");
    if (this.#result === undefined) throw new Error("the turn had ended before the event that was named as the last one");
    return this.#result;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AgentEvent, void, undefined> {
    if (this.#isRead) throw new TypeError("a turn's events are read by one loop at a time");
    this.#isRead = true;
    try {
      yield* this.#read();
    } finally {
      this.#isRead = false;
    }
  }

  async *#read(): AsyncGenerator<AgentEvent, void, undefined> {
    const { signal, maxRetries } = this.#source;
    const retries = new Retries(maxRetries);
    while (!this.#hasEnded) {
      try {
        const response = await this.#open();
        if (response.status === 204 || response.body === null) {
          this.#hasEnded = true;
          return;
        }
        for await (const { event, id, data } of readEvents(response.body, signal)) {
          if (event === undefined || id === undefined || !this.#isNew(event, id, data)) continue;
          retries.madeProgress();
          const next = { type: event, id, data: JSON.parse(data) } as AgentEvent | { type: "error"; data: Problem };
          if (next.type === "error") {
            this.#hasEnded = true;
            throw new AgentError(next.data);
          }
          if (next.type === "turn") this.#sessionId ??= next.data.session_id;
          if (next.type === "paused") this.#hasEnded = this.#isPaused = true;
          if (next.type === "done") {
            this.#hasEnded = true;
            this.#result = next.data;
          }
          yield next;
          if (this.#hasEnded) return;
        }
        throw new ConnectionError("the stream was cut before the turn's end");
      } catch (error) {
        if (this.#hasEnded) throw error;
        await retries.waitAfter(error, signal);
      }
    }
  }

  #open(): Promise<Response> {
    const { open, resume } = this.#source;
    return this.#lastId === undefined || this.#sessionId === undefined ? open() : resume(this.#sessionId, this.#lastId);
  }

  /** Whether the event was not seen before; then it is the last one. */
  #isNew(event: string, id: string, data: string): boolean {
    const turnId = turnOf(id);
    if (this.#turnId !== undefined && turnId !== this.#turnId) {
      this.#hasEnded = true;
      throw new Error("the turn is gone: its conversation was deleted, or went on without it");
    }
    // The id that `followConversation` was called with may be of another turn.
    if (this.#turnId === undefined && turnId !== turnOf(this.#lastId)) this.#lastId = undefined;
    this.#turnId = turnId;
    if (event === "turn") {
      // It has the id of the event before it, and comes again with every connection.
      this.#lastId ??= id;
      const isNews = data !== this.#lastTurnEvent;
      this.#lastTurnEvent = data;
      return isNews;
    }
    const isEnd = event === "done" || event === "error" || event === "paused";
    if (!isEnd && this.#lastId !== undefined && numberOf(id) <= numberOf(this.#lastId)) return false;
    this.#lastId = id;
    return true;
  }
}

function turnOf(id: string | undefined): string | undefined {
  return id?.slice(0, id.lastIndexOf(":"));
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf(":") + 1));
}
