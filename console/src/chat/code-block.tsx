/** A block of code with its language and a button to copy it. Colours come when the highlighter has been loaded. */
import { memo, useEffect, useState } from "react";
import type { ReactNode } from "react";
import { CopyButton } from "../ui/controls.tsx";

/** Longer code stays plain: colouring it would hold up the page. */
const MAX_COLOURED_CHARS = 40_000;

type Highlight = (text: string, language: string) => ReactNode | undefined;
let highlighter: Highlight | undefined;

export const CodeBlock = memo(function CodeBlock({ text, language, wrapped = false }: { text: string; language?: string | undefined; wrapped?: boolean }) {
  const [highlight, setHighlight] = useState<Highlight | undefined>(() => highlighter);
  const wanted = language !== undefined && text.length <= MAX_COLOURED_CHARS;
  useEffect(() => {
    if (!wanted || highlight !== undefined) return;
    let isHere = true;
    const coloured = (loaded: { highlight: Highlight }): void => {
      highlighter = loaded.highlight;
      if (isHere) setHighlight(() => loaded.highlight);
    };
    // Without it, the code is there all the same.
    import("./highlight.ts").then(coloured, () => undefined);
    return () => void (isHere = false);
  }, [wanted, highlight]);
  return (
    <figure className={wrapped ? "code wrapped" : "code"}>
      <figcaption>
        <span>{language ?? "text"}</span>
        <CopyButton text={text} label="Copy the code" />
      </figcaption>
      <pre tabIndex={0}>
        <code>{(wanted && highlight?.(text, language)) || text}</code>
      </pre>
    </figure>
  );
});
