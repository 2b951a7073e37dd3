/*
 * What the stand-in says to a prompt without directives: arithmetic, what was said before, the CLI's own
 * side requests (titles, summaries), and else an honest echo. Pure; knows nothing of HTTP or streams.
 */
import type { MessagesRequest } from "./request.ts";

const TITLE_WORDS = 6;
const ECHO_CHARS = 200;

const ARITHMETIC = /-?\d+(?:\.\d+)?(?:\s*[-+*/×÷]\s*-?\d+(?:\.\d+)?)+/;
const ASKS_FOR_A_NUMBER = /what(?:'s| is)|how much|calculate|compute|=\s*\??\s*$/i;
const ASKS_FOR_A_REPETITION = /repeat everything I said/i;

/** The answer to the last thing the user said. Never empty. */
export function defaultAnswer(request: MessagesRequest): string {
  const prompt = request.userTexts.at(-1) ?? "";
  if (ASKS_FOR_A_REPETITION.test(prompt)) {
    return request.userTexts.slice(0, -1).join("\n") || "You said nothing before this.";
  }
  return sideAnswer(request, prompt) ?? arithmeticAnswer(prompt) ?? `The stand-in model heard: ${prompt.slice(0, ECHO_CHARS)}`;
}

/** The CLI asks without tools for a conversation's title, and for a summary of it when it compacts. */
function sideAnswer(request: MessagesRequest, prompt: string): string | undefined {
  if (/create a detailed summary of (?:the|this|our) conversation/i.test(prompt)) {
    return `<summary>\nThe user said:\n${request.userTexts.slice(0, -1).join("\n")}\n</summary>`;
  }
  if (request.toolNames.length === 0 && /\btitle\b/i.test(request.system)) {
    return JSON.stringify({ title: prompt.split(/\s+/).slice(0, TITLE_WORDS).join(" ") });
  }
  return undefined;
}

function arithmeticAnswer(prompt: string): string | undefined {
  const expression = ARITHMETIC.exec(prompt)?.[0];
  if (expression === undefined) return undefined;
  const isWholePrompt = prompt.replace(/[\s?.!]+$/, "") === expression;
  return isWholePrompt || ASKS_FOR_A_NUMBER.test(prompt) ? String(evaluate(expression)) : undefined;
}

/** A chain of numbers and operators, products before sums. */
function evaluate(expression: string): number {
  const tokens = [...expression.matchAll(/\s*([-+*/×÷])?\s*(-?\d+(?:\.\d+)?)/g)];
  const terms: number[] = [];
  for (const [, operator = "+", digits] of tokens) {
    const value = Number(digits);
    const last = terms.length - 1;
    if (operator === "*" || operator === "×") terms[last] = (terms[last] ?? 0) * value;
    else if (operator === "/" || operator === "÷") terms[last] = (terms[last] ?? 0) / value;
    else terms.push(operator === "-" ? -value : value);
  }
  // Twelve digits hide what binary fractions add (0.1+0.2).
  return Number(terms.reduce((sum, term) => sum + term, 0).toPrecision(12));
}
