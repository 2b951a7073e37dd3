/*
 * Reads server-sent events with a third-party parser (eventsource-parser), so that what the service sends is judged
 * by somebody else's reading of the standard. Keeps every event; waits for events, never for time.
 */
import assert from "node:assert/strict";
import { createParser } from "eventsource-parser";
import { TURN_EVENTS, assertDescribedEvent } from "./contract.ts";

export type ServerEvent = { event: string; id: string; data: Record<string, unknown> };

/** Longest wait for one event; above the service's slowest honest answer (a model's retries). */
const EVENT_TIMEOUT_MS = 45_000;

export class EventStream {
  /** Everything that came, in order. */
  readonly events: ServerEvent[] = [];
  comments = 0;
  readonly headers: Headers;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #abort: AbortController;
  readonly #parser = createParser({
    onEvent: ({ event = "message", id = "", data }) => {
      assertDescribedEvent({ ...(id === "" ? {} : { id }), event, data }, this.#path);
      this.events.push({ event, id, data: JSON.parse(data) as Record<string, unknown> });
    },
    onComment: () => {
      this.comments += 1;
    },
    onError: (error) => {
      throw error;
    },
  });

  /** The path of the operation that describes it. */
  readonly #path: string;

  private constructor(response: Response, abort: AbortController, path: string) {
    this.#path = path;
    assert.ok(response.body, "an event stream has a body");
    this.headers = response.headers;
    this.#reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    this.#abort = abort;
  }

  /** Opens the stream; fails unless it is answered with events. */
  static async over(send: (signal: AbortSignal) => Promise<Response>, path = TURN_EVENTS): Promise<EventStream> {
    const abort = new AbortController();
    const response = await send(abort.signal);
    if (response.status !== 200) assert.fail(`no event stream but ${response.status}: ${await response.text()}`);
    assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
    return new EventStream(response, abort, path);
  }

  /** Reads until the predicate holds for an event, which it returns; null when the stream ended or was cut before. */
  async until(predicate: (event: ServerEvent) => boolean): Promise<ServerEvent | null> {
    for (let next = 0; ; ) {
      while (next < this.events.length) {
        const event = this.events[next++] as ServerEvent;
        if (predicate(event)) return event;
      }
      const timer = setTimeout(() => this.#abort.abort(new Error(`no such event; came: ${this.names().join(" ")}`)), EVENT_TIMEOUT_MS);
      try {
        const { done, value } = await this.#reader.read();
        if (done) return null;
        this.#parser.feed(value);
      } catch (error) {
        if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
        if (error instanceof TypeError) return null; // The connection was cut.
        throw error;
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /** Reads until so many deltas have come in all. */
  async untilDeltas(count: number): Promise<void> {
    let seen = 0;
    const found = await this.until((event) => event.event === "delta" && (seen += 1) === count);
    assert.ok(found, `the stream ended before ${count} deltas: ${this.names().join(" ")}`);
  }

  /** Reads to the end and returns the last event, which must be `done` or `error`. */
  async toEnd(): Promise<ServerEvent> {
    await this.until(() => false);
    const last = this.events.at(-1);
    assert.ok(last?.event === "done" || last?.event === "error", `the stream was cut after: ${this.names().join(" ")}`);
    return last;
  }

  /** Goes away without a word, as a client that died. */
  kill(): void {
    this.#abort.abort(new Error("killed"));
  }

  names(): string[] {
    return this.events.map((event) => event.event);
  }

  /** The deltas' texts, joined. */
  text(): string {
    return this.events
      .filter((event) => event.event === "delta")
      .map((event) => String(event.data["text"]))
      .join("");
  }

  lastEventId(): string {
    return this.events.findLast((event) => event.id !== "")?.id ?? "";
  }
}
