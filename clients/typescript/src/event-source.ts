/** Reads a response's server-sent events. */
import { createParser } from "eventsource-parser";
import type { EventSourceMessage } from "eventsource-parser";
import { ConnectionError } from "./errors.ts";

/** The service sends a comment line every 15 s; after three that did not come the connection is taken for dead. */
const MAX_SILENCE_MS = 45_000;
/** Longest event; the service's own bound is 4 MiB for all events of a turn that it keeps. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024;

/** The events in order, until the stream ends. Throws `ConnectionError` if it is cut or goes silent. Leaving the loop closes the connection. */
export async function* readEvents(body: ReadableStream<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<EventSourceMessage, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events: EventSourceMessage[] = [];
  let broken: Error | undefined;
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: (event) => events.push(event),
    // A field of a later version is skipped, as the standard says.
    onError: (error) => void (error.type === "max-buffer-size-exceeded" && (broken = error)),
  });
  try {
    for (;;) {
      const { done, value } = await soon(reader.read(), signal);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      if (broken !== undefined) throw new Error(`An event is longer than ${MAX_EVENT_CHARS} characters`, { cause: broken });
      yield* events.splice(0);
    }
  } finally {
    // Not awaited: a connection that hangs may never confirm.
    reader.cancel().catch(() => undefined);
  }
}

function soon<T>(read: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new ConnectionError("the connection went silent")), MAX_SILENCE_MS);
    read.then(resolve, (error: unknown) => reject(signal?.aborted === true ? signal.reason : new ConnectionError("the connection was cut", { cause: error }))).finally(() => clearTimeout(timer));
  });
}
