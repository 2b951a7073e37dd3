/*
 * Turns what the user said into a plan: what this request gets, when, and how it ends.
 * Pure: reads no clock, counts no requests (`times` is the server's to count) and sends nothing.
 *
 * Directives are written in double square brackets inside the prompt; ./README.md lists them.
 */
import { defaultAnswer } from "./answers.ts";
import { InvalidRequest } from "./request.ts";
import type { MessagesRequest } from "./request.ts";

export type Failure = { status: number; retryAfterSeconds?: number; times?: number };
export type ToolCall = { name: string; input: Record<string, unknown> };
/** How the answer's stream ends: whole, stalled after its first piece, cut there, or unreadable. */
export type Ending = "whole" | "stalled" | "cut" | "malformed";

export type Plan = {
  failure: Failure | undefined;
  /** Accept the request and answer nothing until released. */
  hang: boolean;
  delayMs: number;
  ending: Ending;
  answer: { kind: "text"; text: string } | { kind: "tool"; call: ToolCall };
};

export const MAX_WORDS = 100_000;
export const MAX_LETTERS = 8_000_000;
export const MAX_DELAY_MS = 600_000;

type Directive = { name: string; argument: string };

const OPENING = /\[\[([a-z-]+)/g;

/** Finds the directives of a prompt. A tool's JSON may itself hold "]]": the first end that parses counts. */
function directivesIn(prompt: string): Directive[] {
  const found: Directive[] = [];
  let read = 0;
  for (const opening of prompt.matchAll(OPENING)) {
    if (opening.index < read) continue;
    const name = opening[1] ?? "";
    const from = opening.index + opening[0].length;
    let to = prompt.indexOf("]]", from);
    if (name === "tool") {
      while (to !== -1 && toolCall(prompt.slice(from, to)) === undefined) to = prompt.indexOf("]]", to + 1);
    }
    if (to === -1) throw new InvalidRequest(`stand-in: the directive [[${name} … is not closed or not valid`);
    found.push({ name, argument: prompt.slice(from, to).trim() });
    read = to;
  }
  return found;
}

function toolCall(argument: string): ToolCall | undefined {
  const [, name, json] = /^\s*(\S+)\s*([\s\S]*)$/.exec(argument) ?? [];
  if (name === undefined) return undefined;
  try {
    const input: unknown = JSON.parse(json === "" || json === undefined ? "{}" : json);
    return typeof input === "object" && input !== null ? { name, input: input as Record<string, unknown> } : undefined;
  } catch {
    return undefined;
  }
}

function number(argument: string, name: string, max: number): number {
  const value = Number(argument);
  if (argument === "" || !Number.isInteger(value) || value < 0 || value > max) {
    throw new InvalidRequest(`stand-in: [[${name} N]] wants a whole number from 0 to ${max}, not "${argument}"`);
  }
  return value;
}

function failure(argument: string): Failure {
  const [status = "", ...settings] = argument.split(/\s+/);
  const result: Failure = { status: number(status, "fail", 599) };
  for (const setting of settings) {
    const [key, value = ""] = setting.split("=");
    if (key === "retry-after") result.retryAfterSeconds = number(value, "fail … retry-after", 86_400);
    else if (key === "times") result.times = number(value, "fail … times", 1_000);
    else throw new InvalidRequest(`stand-in: [[fail]] knows no setting "${setting}"`);
  }
  return result;
}

/** What a request gets. Tool calls come first, one a step; all other directives concern the answer after them. */
export function planFor(request: MessagesRequest): Plan {
  const plan: Plan = {
    failure: undefined,
    hang: false,
    delayMs: 0,
    ending: "whole",
    answer: { kind: "text", text: "" },
  };
  const calls: ToolCall[] = [];
  let text: string | undefined;
  let answerFailure: Failure | undefined;
  let hang = false;
  let ending: Ending = "whole";

  for (const { name, argument } of directivesIn(request.userTexts.at(-1) ?? "")) {
    switch (name) {
      case "say": text = argument; break;
      case "words": text = numberedWords(number(argument, "words", MAX_WORDS)); break;
      case "letters": text = "a".repeat(number(argument, "letters", MAX_LETTERS)); break;
      case "delay": plan.delayMs = number(argument, "delay", MAX_DELAY_MS); break;
      case "tool": calls.push(toolCall(argument) as ToolCall); break;
      case "fail": answerFailure = failure(argument); break;
      case "hang": hang = true; break;
      case "hang-midway": ending = "stalled"; break;
      case "cut": ending = "cut"; break;
      case "malformed": ending = "malformed"; break;
      default: throw new InvalidRequest(`stand-in: there is no directive [[${name}]]`);
    }
  }

  const next = calls[request.toolResults.length];
  if (next !== undefined) return { ...plan, answer: { kind: "tool", call: next } };
  const outputs = request.toolResults.map((result) => result.text).join("\n\n");
  return {
    ...plan,
    failure: answerFailure,
    hang,
    ending,
    answer: { kind: "text", text: text ?? (calls.length > 0 ? outputs : defaultAnswer(request)) },
  };
}

function numberedWords(count: number): string {
  return Array.from({ length: count }, (_, index) => `word${index + 1}`).join(" ");
}
