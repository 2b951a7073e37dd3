/*
 * Lets at most so many tasks run at once; the rest wait in line, first come first served.
 */
export class Gate {
  readonly #slots: number;
  #running = 0;
  #line: (() => void)[] = [];

  constructor(slots: number) {
    this.#slots = slots;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#slots) this.#running += 1;
    // The one who leaves hands on its slot.
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#line.shift();
      if (next !== undefined) next();
      else this.#running -= 1;
    }
  }
}
