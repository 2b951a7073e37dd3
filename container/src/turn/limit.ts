/*
 * How long a turn may run. Waiting for somebody does not count: the time starts again whenever somebody is asked, and whenever that has an answer.
 */
export class RunningLimit {
  readonly #ms: number;
  readonly #over: () => void;
  #timer: NodeJS.Timeout;

  /** `over` is called once nothing was asked or answered for so long. */
  constructor(ms: number, over: () => void) {
    this.#ms = ms;
    this.#over = over;
    this.#timer = this.#start();
  }

  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  /** It keeps no process alive. */
  #start(): NodeJS.Timeout {
    return setTimeout(this.#over, this.#ms).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
