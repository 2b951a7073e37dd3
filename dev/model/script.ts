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
  /** What it thinks before it says that; undefined: nothing. */
  thinking: string | undefined;
  answer: { kind: "text"; text: string } | { kind: "tool"; calls: ToolCall[] };
  /** The input tokens that it reports; undefined: those it counted. */
  inputTokens: number | undefined;
};

export const MAX_WORDS = 100_000;
export const MAX_LETTERS = 8_000_000;
export const MAX_DELAY_MS = 600_000;
export const MAX_USAGE = 10_000_000;
/** The tool that the SDK offers where its caller wants an answer of a given schema. */
const STRUCTURED_OUTPUT = "StructuredOutput";
const BASH = "Bash";
const ASKS_TO_RUN = /^\s*(?:please )?run `([^`]+)`/i;

type Directive = { name: string; argument: string };

const OPENING = /\[\[([a-z-]+)/g;

/** Finds the directives of a prompt. The JSON of a call may itself hold "]]": the first end that parses counts. */
function directivesIn(prompt: string): Directive[] {
  const found: Directive[] = [];
  let read = 0;
  for (const opening of prompt.matchAll(OPENING)) {
    if (opening.index < read) continue;
    const name = opening[1] ?? "";
    const from = opening.index + opening[0].length;
    let to = prompt.indexOf("]]", from);
    if (name === "tool" || name === "also" || name === "structured") {
      const read = name === "structured" ? structuredCall : toolCall;
      while (to !== -1 && read(prompt.slice(from, to)) === undefined) to = prompt.indexOf("]]", to + 1);
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

function structuredCall(argument: string): ToolCall | undefined {
  return toolCall(`${STRUCTURED_OUTPUT} ${argument}`);
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

/** A plan as the agent makes it: written into the file that the CLI names, then put up for approval. */
function planCalls(text: string, file: string | undefined): ToolCall[][] {
  if (file === undefined) throw new InvalidRequest("stand-in: [[plan TEXT]] wants a request in plan mode");
  return [[{ name: "Write", input: { file_path: file, content: text } }], [{ name: "ExitPlanMode", input: {} }]];
}

/** The calls of the next message. Results of one message's calls come together. */
function nextCalls(steps: ToolCall[][], results: number): ToolCall[] | undefined {
  let before = 0;
  return steps.find((calls) => (before += calls.length) > results);
}

/** What a request gets. Tool calls come first, one message a step; all directives but those of thinking, delay and usage concern the answer after them. */
export function planFor(request: MessagesRequest): Plan {
  const plan: Plan = {
    failure: undefined,
    hang: false,
    delayMs: 0,
    ending: "whole",
    thinking: undefined,
    answer: { kind: "text", text: "" },
    inputTokens: undefined,
  };
  const calls: ToolCall[][] = [];
  const structured: ToolCall[] = [];
  const thoughts: string[] = [];
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
      case "usage": plan.inputTokens = number(argument, "usage", MAX_USAGE); break;
      case "thinking": thoughts.push(argument); break;
      case "tool": calls.push([toolCall(argument) as ToolCall]); break;
      case "also": (calls.at(-1) ?? calls[calls.push([]) - 1])?.push(toolCall(argument) as ToolCall); break;
      case "plan": calls.push(...planCalls(argument, request.planFile)); break;
      case "structured": structured.push(structuredCall(argument) as ToolCall); break;
      case "fail": answerFailure = failure(argument); break;
      case "hang": hang = true; break;
      case "hang-midway": ending = "stalled"; break;
      case "cut": ending = "cut"; break;
      case "malformed": ending = "malformed"; break;
      default: throw new InvalidRequest(`stand-in: there is no directive [[${name}]]`);
    }
  }

  const command = commandIn(request);
  if (command !== undefined && calls.length === 0) calls.push([{ name: BASH, input: { command } }]);
  const step = request.toolResults.length;
  // The first thought comes before the first step, the second before the second.
  if (request.thinking !== null && request.thinking !== "disabled") plan.thinking = thoughts[step];
  const next = nextCalls(calls, step);
  if (next !== undefined) return { ...plan, answer: { kind: "tool", calls: next } };
  const outputs = request.toolResults.map((result) => result.text).join("\n\n");
  const say = text ?? (calls.length > 0 ? outputs : defaultAnswer(request));
  return { ...plan, failure: answerFailure, hang, ending, answer: structuredAnswer(request, structured, step - calls.flat().length) ?? { kind: "text", text: say } };
}

/** What a prompt without directives wants to be run, so that somebody who knows none sees a tool call. */
function commandIn({ userTexts, toolNames }: MessagesRequest): string | undefined {
  const prompt = userTexts.at(-1) ?? "";
  return toolNames.includes(BASH) && !prompt.includes("[[") ? ASKS_TO_RUN.exec(prompt)?.[1] : undefined;
}

/** The next of the structured answers, and the last one again as long as it is not taken. */
function structuredAnswer(request: MessagesRequest, answers: ToolCall[], answered: number): Plan["answer"] | undefined {
  const call = answers[Math.min(answered, answers.length - 1)];
  if (call === undefined) return undefined;
  if (!request.toolNames.includes(STRUCTURED_OUTPUT)) return { kind: "text", text: JSON.stringify(call.input) };
  const taken = answered > 0 && request.toolResults.at(-1)?.isError === false;
  return taken ? undefined : { kind: "tool", calls: [call] };
}

function numberedWords(count: number): string {
  return Array.from({ length: count }, (_, index) => `word${index + 1}`).join(" ");
}
