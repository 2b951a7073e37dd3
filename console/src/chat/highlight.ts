/** Colours code, in ten languages. A chunk of its own: most first pages need none. */
import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import bash from "highlight.js/lib/languages/bash";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import { createLowlight } from "lowlight";
import type { ReactNode } from "react";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";

const lowlight = createLowlight({ bash, css, diff, go, json, python, rust, sql, typescript, xml });
lowlight.registerAlias({ bash: ["sh", "shell", "console", "zsh"], typescript: ["js", "jsx", "ts", "tsx", "mjs", "javascript"], xml: ["html", "svg", "vue"], python: ["py"], rust: ["rs"], json: ["json5", "jsonc"] });

export function highlight(text: string, language: string): ReactNode | undefined {
  if (!lowlight.registered(language)) return undefined;
  return toJsxRuntime(lowlight.highlight(language, text), { Fragment, jsx, jsxs });
}
