/*
 * What a turn may wait for, and what may be decided: the words of the protocol, checked once. A decision that is not one lets nothing run.
 */

import { cutInput } from "../pieces.ts";

export type ActionKind = "permission" | "question" | "plan" | "elicitation" | "tool";

export type Decision =
  | { decision: "allow"; input?: Record<string, unknown> }
  | { decision: "deny"; message?: string }
  | { decision: "answer"; answers: Record<string, unknown> }
  | { decision: "result"; content: string | Block[]; is_error?: boolean }
  /** Nobody decided in time. */
  | { decision: "expired" };

export type Block = { type: string; [field: string]: unknown };

/** What is asked; `reference` names it in its turn. */
export type Asked = {
  reference: string;
  kind: ActionKind;
  tool_call_id?: string;
  tool?: string;
  input?: object;
  message?: string;
  suggestions?: object[];
  schema?: object;
};

/** What became of it. */
export type Outcome = "allowed" | "denied" | "answered" | "expired" | "withdrawn";

/** A parked turn that goes on: its run among those of the turn, how its calls were left, and what was decided. */
export type Continuation = { run: number; by: ContinueBy; actions: (Asked & { decision: Decision })[] };
export type ContinueBy = "results" | "message";

/** What the model is told of a call that nobody decided about. */
export const EXPIRED = "Nobody answered in time. This is not a refusal: the question was not seen.";
const DENIED = "The user does not allow this.";

/** The server of the caller's tools: the model sees them as `mcp__client__<name>`. */
export const CLIENT_SERVER = "client";
const CLIENT_PREFIX = `mcp__${CLIENT_SERVER}__`;

export const isClientTool = (tool: string): boolean => tool.startsWith(CLIENT_PREFIX);
/** As the caller named it. */
export const plainName = (tool: string): string => (isClientTool(tool) ? tool.slice(CLIENT_PREFIX.length) : tool);

const KINDS: readonly ActionKind[] = ["permission", "question", "plan", "elicitation", "tool"];
const REFERENCE = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_CONTINUED = 256;

/** A decision or a continuation of another shape than the protocol's. */
export class InvalidDecision extends Error {}

/** Longest input of a call that somebody is asked about, in bytes of JSON: a longer one has its strings cut. */
const MAX_INPUT_BYTES = 256 * 1024;
const INPUT_STRING_CUTS = [64 * 1024, 16 * 1024, 4096, 1024, 256, 64];

/** The input as it is shown. */
export function smallCall(input: unknown): object {
  return cutInput(input, INPUT_STRING_CUTS, (json) => Buffer.byteLength(json) <= MAX_INPUT_BYTES) ?? {};
}

export const isReference = (text: string): boolean => REFERENCE.test(text);

/** Why a call does not run, in the words that the model reads. */
export function refusal(decision: Decision): string {
  if (decision.decision === "expired") return EXPIRED;
  return (decision.decision === "deny" && decision.message) || DENIED;
}

export function outcomeOf(decision: Decision): Outcome {
  switch (decision.decision) {
    case "allow":
      return "allowed";
    case "deny":
      return "denied";
    case "expired":
      return "expired";
    default:
      return "answered";
  }
}

export function parseDecision(value: unknown): Decision {
  if (!isObject(value)) throw new InvalidDecision("a decision must be an object");
  const { decision, input, message, answers, content, is_error } = value;
  switch (decision) {
    case "allow":
      if (input === undefined || input === null) return { decision };
      if (!isObject(input)) throw new InvalidDecision("input must be an object");
      return { decision, input };
    case "deny":
      if (typeof (message ?? "") !== "string") throw new InvalidDecision("message must be a string");
      return typeof message === "string" ? { decision, message } : { decision };
    case "answer":
      if (!isObject(answers)) throw new InvalidDecision("answers must be an object");
      return { decision, answers };
    case "result":
      if (typeof content !== "string" && !(Array.isArray(content) && content.every(isBlock))) throw new InvalidDecision("content must be a string or content blocks");
      return { decision, content, ...(is_error === true ? { is_error } : {}) };
    case "expired":
      return { decision };
    default:
      throw new InvalidDecision("decision must be allow, deny, answer, result or expired");
  }
}

export function parseContinuation(value: unknown): Continuation {
  if (!isObject(value)) throw new InvalidDecision("continuation must be an object");
  const { run, by, actions } = value;
  if (!Number.isSafeInteger(run) || (run as number) < 1) throw new InvalidDecision("continuation.run must be a whole number from 1");
  if (by !== "results" && by !== "message") throw new InvalidDecision("continuation.by must be results or message");
  if (!Array.isArray(actions) || actions.length === 0 || actions.length > MAX_CONTINUED) throw new InvalidDecision(`continuation.actions must have 1 to ${MAX_CONTINUED} actions`);
  return { run: run as number, by, actions: actions.map(continued) };
}

function continued(value: unknown): Continuation["actions"][number] {
  if (!isObject(value)) throw new InvalidDecision("an action must be an object");
  const { reference, kind, tool_call_id, tool, input, decision } = value;
  if (typeof reference !== "string" || !isReference(reference) || !KINDS.includes(kind as ActionKind)) throw new InvalidDecision("an action needs its reference and its kind");
  return {
    reference,
    kind: kind as ActionKind,
    ...(typeof tool_call_id === "string" && { tool_call_id }),
    ...(typeof tool === "string" && { tool }),
    ...(isObject(input) && { input }),
    decision: parseDecision(decision),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isBlock(value: unknown): value is Block {
  return isObject(value) && typeof value["type"] === "string";
}
