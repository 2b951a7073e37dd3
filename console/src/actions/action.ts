/** Actions: what a turn waits for until somebody decides. Reads what the agent sent with them, which may have any shape. Pure. */
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { fieldsOf, listOf, plainName, stringOf } from "../shapes.ts";

export type Action = Schemas["Action"];
export type Decision = Parameters<AgentClient["decideAction"]>[1];
export type ActionPart = { kind: "action"; id: string; action: Action };
/** What the form of each kind gets. */
export type FormProps = { action: Action; isBusy: boolean; decide: (decision: Decision) => void };

export type Option = { label: string; description: string };
export type Question = { header: string; question: string; options: Option[]; isMultiple: boolean };

/** The questions of `AskUserQuestion`; none if they cannot be shown as a form. */
export function questionsOf(input: unknown): Question[] {
  const found: Question[] = [];
  for (const each of listOf(fieldsOf(input)["questions"])) {
    const { question, header, multiSelect, options } = fieldsOf(each);
    if (typeof question !== "string" || question === "") return [];
    const choices = listOf(options).flatMap((option) => {
      const { label, description } = fieldsOf(option);
      return typeof label === "string" && label !== "" ? [{ label, description: stringOf(description) }] : [];
    });
    found.push({ question, header: stringOf(header), options: choices, isMultiple: multiSelect === true });
  }
  return found;
}

/** What `remember` would allow, in words: the rules and modes that the action suggests. */
export function suggestedRules(suggestions: unknown): string[] {
  return listOf(suggestions).flatMap((suggestion) => {
    const { type, rules, mode } = fieldsOf(suggestion);
    if (type === "setMode") return mode === "acceptEdits" ? ["all changes of files"] : [stringOf(mode)];
    return listOf(rules).map((rule) => {
      const { toolName, ruleContent } = fieldsOf(rule);
      return typeof ruleContent === "string" ? `${stringOf(toolName)}: ${ruleContent}` : `every call of ${plainName(stringOf(toolName))}`;
    });
  });
}

/** How an action that is not pending any more ended, in a few words. */
export function outcomeOf({ kind, status, decision }: Action): string {
  if (status === "expired") return "Nobody answered in time, so the agent went on without it";
  if (status === "cancelled") return "Not answered: the turn had ended";
  const { decision: word, message, remember } = fieldsOf(decision);
  const why = stringOf(message) === "" ? "" : `: ${stringOf(message)}`;
  switch (word) {
    case "allow":
      return kind === "plan" ? "Plan approved" : remember === "conversation" ? "Allowed for this conversation" : "Allowed";
    case "deny":
      return `${kind === "plan" ? "Plan not approved" : kind === "permission" ? "Denied" : "Not answered"}${why}`;
    case "answer":
      return "Answered";
    case "result":
      return "Result given";
    default:
      return "Decided";
  }
}

/** The answers that were given, by question. */
export function answersOf({ decision }: Action): [question: string, answer: string][] {
  return Object.entries(fieldsOf(fieldsOf(decision)["answers"])).map(([question, answer]) => [question, Array.isArray(answer) ? answer.join(", ") : String(answer)]);
}
