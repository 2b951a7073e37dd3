/** Does something whenever an element comes near to what is seen of the list around it. */
import { useEffect, useRef } from "react";
import type { RefObject } from "react";

const NEAR_PX = 500;

/** `count` is that of the list: with each change of it the element may be near still. */
export function useReached<Kind extends HTMLElement>(count: number, onReached: () => void): RefObject<Kind | null> {
  const element = useRef<Kind>(null);
  const reached = useRef(onReached);
  reached.current = onReached;
  useEffect(() => {
    const { current } = element;
    if (current === null) return;
    const observer = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && reached.current(), { root: current.closest("[data-scrolls]"), rootMargin: `${NEAR_PX}px 0px` });
    observer.observe(current);
    return () => observer.disconnect();
  }, [count]);
  return element;
}
