/** Text that grows, not oftener than the page can show it: the longer it is, the longer it takes to read it as markdown. */
import { useEffect, useRef, useState } from "react";

/** Shorter text is shown with every frame. */
const FREE_CHARS = 4_000;
const CHARS_PER_MS = 100;

export function usePaced(text: string, isWhole: boolean): string {
  const [shown, setShown] = useState(text);
  const latest = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  latest.current = text;
  const isFree = isWhole || text.length < FREE_CHARS;
  useEffect(() => {
    if (isFree || timer.current !== undefined) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      setShown(latest.current);
    }, text.length / CHARS_PER_MS);
  }, [text, isFree]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return isFree || shown.length < FREE_CHARS ? text : shown;
}
