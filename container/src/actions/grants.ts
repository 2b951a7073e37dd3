/*
 * Which calls run unasked: those that rules remembered for the conversation cover, and a call that was approved while it waited without a process.
 * A call is covered by the very rules that the SDK suggested for it: nothing here interprets a rule.
 */
import type { PermissionUpdate } from "@anthropic-ai/claude-agent-sdk";

/** Longest command that a rule is suggested for, in characters. */
const MAX_RULE_CHARS = 4_096;

/**
 * What the SDK suggests so that a call is not asked about again. Its suggestions are alternatives: where there are rules for the call, a mode, which
 * would cover other tools, is left out. If it suggests nothing: the whole tool, but of a command that very command, since
 * the whole tool would be every command.
 */
export function suggestionsFor(tool: string, suggested: readonly PermissionUpdate[] | undefined, input: unknown = {}): PermissionUpdate[] {
  const rules = (suggested ?? []).filter((update) => update.type === "addRules" && update.behavior === "allow");
  const useful = rules.length > 0 ? rules : (suggested ?? []).filter((update) => update.type === "setMode");
  if (useful.length > 0) return useful.map((update) => ({ ...update, destination: "session" }));
  const { command } = input as { command?: unknown };
  if (typeof command === "string" && command.length > MAX_RULE_CHARS) return [];
  const rule = typeof command === "string" ? { toolName: tool, ruleContent: command } : { toolName: tool };
  return [{ type: "addRules", rules: [rule], behavior: "allow", destination: "session" }];
}

export class Grants {
  #keys = new Set<string>();
  /** Calls that run once, as the key of the tool and its input. */
  #once = new Set<string>();

  /** The rules of the conversation, as they were suggested. Whatever is no rule covers nothing. */
  remember(rules: readonly unknown[]): void {
    this.#keys = new Set(rules.flatMap((rule) => keysOf(rule)));
  }

  covers(tool: string, suggestions: readonly PermissionUpdate[]): boolean {
    if (this.#keys.has(ruleKey({ toolName: tool }))) return true;
    const needed = suggestions.flatMap((update) => keysOf(update));
    return needed.length > 0 && needed.every((key) => this.#keys.has(key));
  }

  allowOnce(tool: string, input: unknown): void {
    this.#once.add(callKey(tool, input));
  }

  /** Whether this call was allowed once; it is not any more. */
  takeOnce(tool: string, input: unknown): boolean {
    return this.#once.delete(callKey(tool, input));
  }

  /** What was allowed once and not used is not allowed in a later turn. */
  endTurn(): void {
    this.#once.clear();
  }
}

function keysOf(update: unknown): string[] {
  if (typeof update !== "object" || update === null) return [];
  const { type, behavior, rules, mode } = update as Record<string, unknown>;
  if (type === "setMode" && typeof mode === "string") return [`mode ${mode}`];
  if (type !== "addRules" || behavior !== "allow" || !Array.isArray(rules)) return [];
  return rules.map((rule) => ruleKey(rule as { toolName?: unknown; ruleContent?: unknown }));
}

function ruleKey({ toolName, ruleContent }: { toolName?: unknown; ruleContent?: unknown }): string {
  return `rule ${JSON.stringify([toolName, ruleContent ?? null])}`;
}

export const isSameInput = (one: unknown, other: unknown): boolean => callKey("", one) === callKey("", other);

/** The order of an input's fields says nothing. */
function callKey(tool: string, input: unknown): string {
  return JSON.stringify([tool, sorted(input)]);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, sorted(field)]),
  );
}
