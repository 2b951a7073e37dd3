/** When a request that failed is sent again, how often, and after how long. */
import { AgentError, ConnectionError } from "./errors.ts";

export const DEFAULT_MAX_RETRIES = 5;
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;
/** A service that asks to wait for longer than this gets no second request: the caller should know. */
const MAX_RETRY_AFTER_SECONDS = 60;
/** Statuses of responses that say nothing about the request itself. The service's own 502 and 504 end a turn: a proxy's do not. */
const TEMPORARY_STATUSES = new Set([408, 429, 503]);
const TEMPORARY_FOREIGN_CODES = new Set(["http_502", "http_504"]);

/** The failures of one piece of work since it last made progress. */
export class Retries {
  readonly #max: number;
  #failures = 0;

  constructor(max: number) {
    this.#max = max;
  }

  madeProgress(): void {
    this.#failures = 0;
  }

  /** Waits until the work should be tried again; throws `error` if it should not. */
  async waitAfter(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) throw signal.reason;
    if (!isTemporary(error) || this.#failures >= this.#max) throw error;
    const asked = error instanceof AgentError ? error.retryAfter : undefined;
    if (asked !== undefined && asked > MAX_RETRY_AFTER_SECONDS) throw error;
    const longest = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, MAX_DELAY_MS);
    this.#failures += 1;
    // Clients that were cut off together must not come back together.
    await pause((asked ?? 0) * 1000 + longest * Math.random(), signal);
  }
}

function isTemporary(error: unknown): boolean {
  if (error instanceof ConnectionError) return true;
  return error instanceof AgentError && (TEMPORARY_STATUSES.has(error.status) || TEMPORARY_FOREIGN_CODES.has(error.code));
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}
