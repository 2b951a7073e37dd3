/** What was said: the newest at the end, where it stays while it is written; what came before is loaded where somebody looks for it. */
import { useEffect, useLayoutEffect, useRef } from "react";
import type { RefObject } from "react";
import { Button, Failure } from "../ui/controls.tsx";
import { useReached } from "../ui/reached.ts";
import { TurnRow } from "./turn-row.tsx";
import type { TurnActions } from "./turn-row.tsx";
import { isOpen } from "./turns.ts";
import type { TurnView } from "./turns.ts";

type Props = {
  turns: TurnView[];
  isAtRest: boolean;
  actions: TurnActions;
  /** Loads the turns before these, if there are any. */
  earlier: (() => void) | undefined;
  earlierError: unknown;
};

/** Below this distance from its end, the log follows what is being written. */
const NEAR_END_PX = 120;

export function Log({ turns, isAtRest, actions, earlier, earlierError }: Props) {
  const log = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const column = useRef<HTMLDivElement>(null);
  const last = turns.at(-1);
  usePlace(log, column, turns[0]?.key);
  useRest(column, `${turns[0]?.key} ${turns.length} ${last?.key}`);
  const isGrowing = last !== undefined && isOpen(last);
  // What opens at somebody's click stays where it is.
  useEnd(log, isGrowing ? column : undefined, isAtEnd);
  // One's own question is always worth seeing.
  useEffect(() => {
    isAtEnd.current = true;
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [last?.key]);
  const onScroll = (): void => {
    const { scrollHeight, scrollTop, clientHeight } = log.current ?? { scrollHeight: 0, scrollTop: 0, clientHeight: 0 };
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  };
  return (
    <>
      <div className="log" ref={log} role="log" aria-label="Messages" tabIndex={0} data-scrolls onScroll={onScroll}>
        <div className="column" ref={column}>
          {earlier !== undefined && <Earlier count={turns.length} error={earlierError} onEarlier={earlier} />}
          {turns.map((turn) => (
            <TurnRow key={turn.key} turn={turn} isLast={turn === last} isAtRest={isAtRest} actions={actions} />
          ))}
        </div>
      </div>
      <p className="hidden" role="status">
        {last === undefined ? "" : saidOf(last)}
      </p>
    </>
  );
}

function Earlier({ count, error, onEarlier }: { count: number; error: unknown; onEarlier: () => void }) {
  const reached = useReached<HTMLDivElement>(count, onEarlier);
  return (
    <div className="earlier" ref={reached}>
      {error === undefined ? (
        <Button onClick={onEarlier}>Earlier messages</Button>
      ) : (
        <Failure error={error} onRetry={onEarlier} />
      )}
    </div>
  );
}

/** Keeps what is seen where it is when turns come before it. */
function usePlace(log: RefObject<HTMLElement | null>, column: RefObject<HTMLElement | null>, key: string | undefined): void {
  const known = useRef<{ key: string | undefined; element: HTMLElement | null; top: number }>(undefined);
  useLayoutEffect(() => {
    const { current: before } = known;
    if (log.current !== null && before?.element?.isConnected === true && before.key !== key) log.current.scrollTop += before.element.offsetTop - before.top;
    const element = column.current?.querySelector<HTMLElement>(".turn") ?? null;
    known.current = { key, element, top: element?.offsetTop ?? 0 };
  });
}

/** Stays at the end while what is in the log grows, and when there is less room for the log. */
function useEnd(log: RefObject<HTMLElement | null>, growing: RefObject<HTMLElement | null> | undefined, isAtEnd: RefObject<boolean>): void {
  useEffect(() => {
    const { current } = log;
    if (current === null) return;
    const observer = new ResizeObserver(() => {
      if (isAtEnd.current) current.scrollTop = current.scrollHeight;
    });
    for (const element of [current, growing?.current]) if (element) observer.observe(element);
    return () => observer.disconnect();
  }, [log, growing, isAtEnd]);
}

/** The browser leaves turns alone that are out of sight, once it is known how high they are. The last one still grows. */
function useRest(column: RefObject<HTMLElement | null>, turns: string): void {
  useEffect(() => {
    const fresh = [...(column.current?.querySelectorAll<HTMLElement>(".turn:not(:last-child)") ?? [])].filter(({ style }) => style.contentVisibility === "");
    // What is given is the height of what is inside.
    const heights = fresh.map((element) => element.offsetHeight - 2 * Number.parseFloat(getComputedStyle(element).paddingTop));
    for (const [index, { style }] of fresh.entries()) {
      style.containIntrinsicBlockSize = `auto ${heights[index]}px`;
      style.contentVisibility = "auto";
    }
  }, [column, turns]);
}

/** For those who do not see the screen. */
function saidOf(turn: TurnView): string {
  switch (turn.status) {
    case "sending":
      return "Sending";
    case "queued":
      return "Waiting for its turn";
    case "running":
      return "The agent is working";
    case "requires_action":
      return "The agent waits for your answer";
    case "completed":
      return "The answer is complete";
    case "cancelled":
      return "Stopped";
    default:
      return "The answer failed";
  }
}
