/*
 * How a parked turn goes on: by the results of its open calls, or by a message that says what was decided. A permission that was given meanwhile cannot
 * make the SDK run the call that it was asked for: the model is told to make it again, and that same call runs once.
 */
import { randomUUID } from "node:crypto";
import type { Message } from "../attachments.ts";
import type { Entry } from "../frames.ts";
import { labels } from "./callbacks.ts";
import type { Grants } from "./grants.ts";
import { EXPIRED, refusal } from "./terms.ts";
import type { Block, Continuation, Decision } from "./terms.ts";

type Continued = Continuation["actions"][number];
type Result = { content: string | Block[]; is_error?: true };

/** Of a call that nobody was asked about, where the turn was parked before its result was recorded. */
const UNKNOWN = "The session was restarted before the result of this call was recorded, so its outcome is unknown.";
const AGAIN = "The session was restarted since: make the call again";

/** The calls that were approved run once when they are made again. */
export function allowOnce({ actions }: Continuation, grants: Grants): void {
  for (const { kind, tool, input, decision } of actions) {
    if (kind === "permission" && decision.decision === "allow" && tool !== undefined) grants.allowOnce(tool, decision.input ?? input ?? {});
  }
}

/** For a live process whose calls are open. */
export function resultMessage({ actions }: Continuation): Message {
  const blocks = actions.flatMap((action) => (action.tool_call_id === undefined ? [] : [block(action.tool_call_id, resultOf(action))]));
  return blocks as Message;
}

/** For a process whose calls are closed. */
export function decisionMessage({ actions }: Continuation): Message {
  const said = actions.map((action) => {
    const about = `${action.tool ?? action.kind}${action.input === undefined ? "" : ` ${JSON.stringify(action.input)}`}`;
    const { content } = resultOf(action);
    return `- ${about}\n  ${typeof content === "string" ? content : JSON.stringify(content)}`;
  });
  return `The conversation was paused until these were decided:\n${said.join("\n")}\nGo on from there.`;
}

/**
 * The lines behind a transcript that close all its open calls; undefined where it ends with none, or not with those that were decided.
 * Its process then goes on by itself.
 */
export function resultEntries(entries: readonly Entry[], { actions }: Continuation): Entry[] | undefined {
  const open = openCalls(entries);
  const decided = new Map(actions.flatMap((action) => (action.tool_call_id === undefined ? [] : [[action.tool_call_id, action] as const])));
  if (open.length === 0 || decided.size < actions.length || [...decided.keys()].some((id) => open.every((call) => call.id !== id))) return undefined;
  let parent = open.at(-1)?.entry["uuid"];
  return open.map(({ id, entry }) => {
    const action = decided.get(id);
    const result: Result = action === undefined ? { content: UNKNOWN, is_error: true } : resultOf(action);
    const { sessionId, cwd, version, userType, gitBranch, uuid } = entry;
    const line = {
      type: "user",
      uuid: randomUUID(),
      parentUuid: parent,
      sourceToolAssistantUUID: uuid,
      isSidechain: false,
      userType: userType ?? "external",
      cwd,
      sessionId,
      version,
      ...(gitBranch === undefined ? {} : { gitBranch }),
      timestamp: new Date().toISOString(),
      message: { role: "user", content: [block(id, result)] },
    };
    parent = line.uuid;
    return line;
  });
}

/** The calls of the main conversation that have no result, with the entries that make them. */
function openCalls(entries: readonly Entry[]): { id: string; entry: Entry }[] {
  const open = new Map<string, Entry>();
  for (const entry of entries) {
    const content = (entry["message"] as { content?: unknown } | undefined)?.content;
    if (entry["isSidechain"] === true || !Array.isArray(content)) continue;
    for (const { type, id, tool_use_id } of content as { type?: unknown; id?: unknown; tool_use_id?: unknown }[]) {
      if (type === "tool_use" && typeof id === "string") open.set(id, entry);
      if (type === "tool_result" && typeof tool_use_id === "string") open.delete(tool_use_id);
    }
  }
  return [...open].map(([id, entry]) => ({ id, entry }));
}

function block(tool_use_id: string, { content, is_error }: Result): object {
  return { type: "tool_result", tool_use_id, content, ...(is_error === undefined ? {} : { is_error }) };
}

/** What the model reads of a decision. */
function resultOf({ kind, decision }: Continued): Result {
  switch (decision.decision) {
    case "allow":
      return { content: allowed(kind, decision) };
    case "answer":
      return { content: `The user has answered: ${JSON.stringify(labels(decision.answers))}.` };
    case "result":
      return { content: decision.content, ...(decision.is_error === true && { is_error: true }) };
    case "expired":
      return { content: EXPIRED, is_error: true };
    default:
      return { content: refusal(decision), is_error: true };
  }
}

function allowed(kind: Continued["kind"], { input }: Extract<Decision, { decision: "allow" }>): string {
  if (kind === "plan") return "The user has approved the plan. Carry it out.";
  if (input === undefined) return `Approved by the user. ${AGAIN}, unchanged.`;
  return `Approved by the user with another input. ${AGAIN}, with exactly this input: ${JSON.stringify(input)}`;
}
