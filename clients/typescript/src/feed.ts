/** The account's feed: what changes in it, over as many connections as it takes. */
import type { FeedData } from "./api.ts";
import { ConnectionError } from "./errors.ts";
import { readEvents } from "./event-source.ts";
import { Retries } from "./retries.ts";

export type FeedEvent = { [Name in keyof FeedData]: { type: Name; data: FeedData[Name] } }[keyof FeedData];

export async function* readFeed(open: () => Promise<Response>, maxRetries: number, signal: AbortSignal | undefined): AsyncGenerator<FeedEvent, void, undefined> {
  const retries = new Retries(maxRetries);
  for (;;) {
    try {
      const { body } = await open();
      if (body === null) throw new ConnectionError("the feed has no body");
      for await (const { event, data } of readEvents(body, signal)) {
        if (event === undefined) continue;
        retries.madeProgress();
        yield { type: event, data: JSON.parse(data) } as FeedEvent;
      }
      throw new ConnectionError("the feed was cut");
    } catch (error) {
      await retries.waitAfter(error, signal);
    }
  }
}
