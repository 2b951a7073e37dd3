/** State outside of React: components read a snapshot and are told, at most once a frame, that there is another one. */
import { useSyncExternalStore } from "react";

export abstract class Store<State> {
  #state: State;
  #isDue = false;
  readonly #readers = new Set<() => void>();

  protected constructor(state: State) {
    this.#state = state;
  }

  get state(): State {
    return this.#state;
  }

  readonly subscribe = (reader: () => void): (() => void) => {
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  };

  readonly snapshot = (): State => this.#state;

  protected set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    this.#tell();
  }

  /** Dozens of pieces of text arrive between two frames. A page in the background gets no frames, so a timer stands in. */
  #tell(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const tell = (): void => {
      if (!this.#isDue) return;
      this.#isDue = false;
      for (const reader of this.#readers) reader();
    };
    requestAnimationFrame(tell);
    setTimeout(tell, 100);
  }
}

export function useStore<State>(store: Store<State>): State {
  return useSyncExternalStore(store.subscribe, store.snapshot);
}
