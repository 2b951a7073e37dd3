/** What a page reads from the service, and when it reads it again. */
import { useCallback, useEffect, useState } from "react";

export type Loaded<Value> = { phase: "loading" } | { phase: "ready"; value: Value } | { phase: "failed"; error: unknown };

/** How often a page reads what changes while it is watched. */
export const POLL_MS = 1500;
/** The longest time that a browser's timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a request returns, and a function that sends it again. */
export function useLoaded<Value>(load: (signal: AbortSignal) => Promise<Value>): [Loaded<Value>, () => void] {
  const [loaded, setLoaded] = useState<Loaded<Value>>({ phase: "loading" });
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal).then(
      (value) => setLoaded({ phase: "ready", value }),
      (error: unknown) => void (abort.signal.aborted ? undefined : setLoaded({ phase: "failed", error })),
    );
    return () => abort.abort();
  }, [load, asked]);
  return [loaded, useCallback(() => setAsked((count) => count + 1), [])];
}

export type Pages<Item> = { phase: "loading" | "ready" | "failed"; items: Item[]; hasMore: boolean; error: unknown };
type Page<Item, Next> = { items: Item[]; next: Next | undefined };

/** A page of a filtered list may be empty and yet not the last. */
const MAX_EMPTY_PAGES = 20;

/** A list that comes in pages; the first function loads the next one, the second all of it again. */
export function usePages<Item, Next>(load: (next: Next | undefined, signal: AbortSignal) => Promise<Page<Item, Next>>): [Pages<Item>, () => void, () => void] {
  const [pages, setPages] = useState<Pages<Item>>({ phase: "loading", items: [], hasMore: false, error: undefined });
  const [next, setNext] = useState<Next>();
  const [asked, setAsked] = useState(0);
  const read = useCallback(
    async (from: Next | undefined, before: Item[], signal: AbortSignal): Promise<void> => {
      try {
        let page = await load(from, signal);
        for (let count = 0; page.items.length === 0 && page.next !== undefined && count < MAX_EMPTY_PAGES; count += 1) page = await load(page.next, signal);
        setNext(page.next);
        setPages({ phase: "ready", items: [...before, ...page.items], hasMore: page.next !== undefined, error: undefined });
      } catch (error) {
        if (!signal.aborted) setPages({ phase: "failed", items: before, hasMore: false, error });
      }
    },
    [load],
  );
  useEffect(() => {
    const abort = new AbortController();
    void read(undefined, [], abort.signal);
    return () => abort.abort();
  }, [read, asked]);
  return [pages, () => void read(next, pages.items, new AbortController().signal), useCallback(() => setAsked((count) => count + 1), [])];
}

/** Reads it again at the time that `at` finds in what was read, and at the earliest after `POLL_MS`. */
export function useReloadAt<Value>(loaded: Loaded<Value>, at: (value: Value) => number | undefined, reload: () => void): void {
  useEffect(() => {
    if (loaded.phase !== "ready") return;
    const time = at(loaded.value);
    if (time === undefined) return;
    const timer = setTimeout(reload, Math.min(Math.max(time - Date.now(), POLL_MS), MAX_TIMER_MS));
    return () => clearTimeout(timer);
    // `at` is made anew with each rendering and looks at the value alone.
  }, [loaded, reload]);
}
