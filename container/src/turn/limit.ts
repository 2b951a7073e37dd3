/*
 * How long a turn may run. Waiting for somebody does not count: the time starts anew whenever somebody is asked, and whenever that has an answer.
 */
export class RunningLimit {
  readonly #ms: number;
  readonly #over: () => void;
  #timer: NodeJS.Timeout;

  /** `over` is called once nothing was asked or answered for so long. */
  constructor(ms: number, over: () => void) {
    this.#ms = ms;
    this.#over = over;
    this.#timer = setTimeout(over, ms);
  }

  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#over, this.#ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
