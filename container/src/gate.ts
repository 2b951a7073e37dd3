/*
 * Lets at most so many tasks run at once; the rest wait in line, first come first served, and may leave it.
 */
export class Gate {
  readonly #slots: number;
  #running = 0;
  readonly #line = new Set<() => void>();

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** Rejects with the signal's reason where it is aborted before the task's turn has come. */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#running < this.#slots) this.#running += 1;
    else await this.#wait(signal);
    try {
      return await task();
    } finally {
      this.#leave();
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#line.delete(enter);
        reject(signal?.reason);
      };
      this.#line.add(enter);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The one who leaves hands its slot on. */
  #leave(): void {
    for (const enter of this.#line) {
      this.#line.delete(enter);
      enter();
      return;
    }
    this.#running -= 1;
  }
}
