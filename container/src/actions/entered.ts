/*
 * Which calls the transcript has: whoever is asked about one hears of it when its entry is there, so that nothing is lost with the process.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry } from "../frames.ts";

/** An entry leaves the CLI before it asks: longer than this, its caller is not left without the question. */
const ENTRY_LIMIT_MS = 1_000;

export class Entered {
  readonly #calls = new Set<string>();
  #changed = Promise.withResolvers<void>();

  entries(entries: readonly Entry[]): void {
    for (const { message } of entries as readonly { message?: { content?: unknown } }[]) {
      if (!Array.isArray(message?.content)) continue;
      for (const { type, id } of message.content as { type?: unknown; id?: unknown }[]) if (type === "tool_use" && typeof id === "string") this.#calls.add(id);
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** The transcript has the call, or does not get it. */
  async call(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    const limit = new AbortController();
    const expired = sleep(ENTRY_LIMIT_MS, "expired", { signal: limit.signal, ref: false }).catch(() => "expired");
    while (!this.#calls.has(id)) if ((await Promise.race([this.#changed.promise, expired])) === "expired") break;
    limit.abort();
  }
}
