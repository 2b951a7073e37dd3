/** The icons: outlines of 24 × 24 that take the text's colour. They say nothing to a screen reader; what they stand on does. */
import type { ReactNode } from "react";

const PATHS = {
  plus: <path d="M12 5v14M5 12h14" />,
  search: <path d="m20 20-4.2-4.2M18 11a7 7 0 1 1-14 0 7 7 0 0 1 14 0Z" />,
  menu: <path d="M4 7h16M4 12h16M4 17h10" />,
  close: <path d="m6 6 12 12M18 6 6 18" />,
  more: <path d="M5.5 12h.01M12 12h.01M18.5 12h.01" strokeWidth="3" />,
  send: <path d="M12 19V5m-6 6 6-6 6 6" />,
  stop: <rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor" />,
  folder: <path d="M3.5 18V6.5A1.5 1.5 0 0 1 5 5h4l2 2.5h8A1.5 1.5 0 0 1 20.5 9v9a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 18Z" />,
  file: <path d="M14 3.5H7A1.5 1.5 0 0 0 5.5 5v14A1.5 1.5 0 0 0 7 20.5h10a1.5 1.5 0 0 0 1.5-1.5V8zm0 0V8h4.5" />,
  download: <path d="M12 4v11m-5-5 5 5 5-5M5 20h14" />,
  upload: <path d="M12 16V5m-5 5 5-5 5 5M5 20h14" />,
  trash: <path d="M4.5 7h15M10 7V4.5h4V7m-7.5 0 .8 12a1.5 1.5 0 0 0 1.5 1.5h6.4a1.5 1.5 0 0 0 1.5-1.5l.8-12" />,
  pencil: <path d="m4 20 1-4.5L16 4.5a2.1 2.1 0 0 1 3 3L8 18.5z" />,
  copy: <path d="M9 9h10.5v10.5H9zM5.5 15H4.5V4.5H15v1" />,
  check: <path d="m5 12.5 4.5 4.5L19 7.5" />,
  warning: <path d="M12 9v4.5m0 3.2v.1M10.3 4.7 2.9 17.5A2 2 0 0 0 4.6 20.5h14.8a2 2 0 0 0 1.7-3L13.7 4.7a2 2 0 0 0-3.4 0Z" />,
  terminal: <path d="m5 7 5 5-5 5m7 .5h7" />,
  globe: <path d="M20.5 12a8.5 8.5 0 1 1-17 0 8.5 8.5 0 0 1 17 0Zm-17 0h17M12 3.5c4.5 5 4.5 12 0 17-4.5-5-4.5-12 0-17Z" />,
  tool: <path d="M14.5 6.5a4 4 0 0 1 5-1l-2.8 2.8.3 1.7 1.7.3L21.5 7.5a4.5 4.5 0 0 1-6 5.2L8 20.2a2 2 0 0 1-3-.2 2 2 0 0 1 0-2.8l7.2-7.3a4.5 4.5 0 0 1 2.3-3.4Z" />,
  spark: <path d="M12 4c.6 4.6 3.4 7.4 8 8-4.6.6-7.4 3.4-8 8-.6-4.6-3.4-7.4-8-8 4.6-.6 7.4-3.4 8-8Z" />,
  branch: <path d="M7 5v14M7 13c6 0 10-1 10-6.5M9 5a2 2 0 1 1-4 0 2 2 0 0 1 4 0Zm0 14a2 2 0 1 1-4 0 2 2 0 0 1 4 0ZM19 5a2 2 0 1 1-4 0 2 2 0 0 1 4 0Z" />,
  rewind: <path d="M4.5 12a7.5 7.5 0 1 0 2.6-5.7L4.5 8.5m0-4v4h4" />,
  compact: <path d="M12 4v5m0 0L9 6.5M12 9l3-2.5M12 20v-5m0 0-3 2.5m3-2.5 3 2.5M4.5 12h15" />,
  chat: <path d="M4.5 19.5V8A2.5 2.5 0 0 1 7 5.5h10A2.5 2.5 0 0 1 19.5 8v6a2.5 2.5 0 0 1-2.5 2.5H8.5z" />,
  shield: <path d="M12 3.5 5 6v5.5c0 4.3 2.9 7.5 7 9 4.1-1.5 7-4.7 7-9V6z" />,
  clock: <path d="M20.5 12a8.5 8.5 0 1 1-17 0 8.5 8.5 0 0 1 17 0ZM12 7v5l3.5 2" />,
  hook: <path d="M9.5 8.5a3.5 3.5 0 1 1 4.4 3.4L11 17m-1-3H6.5a3 3 0 1 0 2.9 3.8M11 17h6a2.5 2.5 0 1 1-1.8 4.2" transform="translate(0 -2)" />,
  play: <path d="M8 5.5v13l10.5-6.5z" />,
  pause: <path d="M8.5 6v12m7-12v12" />,
  gauge: <path d="M4 18a9 9 0 1 1 16 0M12 14l4-5" />,
  code: <path d="m8.5 7-5 5 5 5m7-10 5 5-5 5" />,
  clip: <path d="m19.5 11.5-7.7 7.7a4.7 4.7 0 0 1-6.6-6.6l8-8a3.2 3.2 0 0 1 4.5 4.5l-7.8 7.8a1.5 1.5 0 0 1-2.2-2.2l7-7" />,
  compare: <path d="M7.5 4.5v7M4 8h7M4 16h7m-6.5 4L19.5 4M14 17h6" />,
  chevron: <path d="m9 6 6 6-6 6" />,
  out: <path d="M14 4.5h5.5V10M19 5l-8 8M17 14v4.5A1.5 1.5 0 0 1 15.5 20h-10A1.5 1.5 0 0 1 4 18.5v-10A1.5 1.5 0 0 1 5.5 7H10" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {PATHS[name]}
    </svg>
  );
}
