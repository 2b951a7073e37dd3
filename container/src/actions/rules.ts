/*
 * Whose rules hold, and who looks at them. A request's ask rules narrow what the operator allows: a call that only they are about must be one that the
 * operator's mode and rules let run. Under a mode that restricts, somebody is therefore asked about it before the SDK decides, which then decides as if
 * nobody had been asked.
 */

/** Of a turn's options, those that decide which calls run. */
export type Ruled = {
  permission_mode?: string;
  after_plan?: string;
  allowed_tools?: readonly string[];
  disallowed_tools?: readonly string[];
  ask_tools?: readonly string[];
  operator_ask_tools?: readonly string[];
  deny_tools?: readonly string[];
};

const COMMAND_TOOL = "Bash";
const EDIT_TOOLS: readonly string[] = ["Write", "Edit", "NotebookEdit"];
/** A rule about paths for one of them may be about calls of the others. */
const FILE_TOOLS: readonly string[] = ["Read", "Glob", "Grep", ...EDIT_TOOLS];
/** The tool's former name. */
const ALIASES: Record<string, string> = { Task: "Agent" };

/** The mode of the turn before a plan narrows it. */
function operatorsMode({ permission_mode, after_plan, allowed_tools }: Ruled): string {
  return after_plan ?? permission_mode ?? (allowed_tools === undefined ? "bypassPermissions" : "dontAsk");
}

/** Whether calls that only the mode wants asked about are asked about, too: else they are denied. */
export function asksByMode(options: Ruled): boolean {
  return operatorsMode(options) === "default";
}

/** Those that the operator has set; all of them, if nobody says whose they are. */
export function operatorsAskRules({ ask_tools = [], operator_ask_tools = ask_tools }: Ruled): readonly string[] {
  return operator_ask_tools;
}

/** Whether the mode asks about every call that it does not let run, or denies none. */
const restrictsNothing = (options: Ruled): boolean => ["default", "bypassPermissions"].includes(operatorsMode(options));

/** The rules that are asked about before the SDK decides about a call. */
export function rulesAskedFirst(options: Ruled): string[] {
  if (restrictsNothing(options)) return [];
  const operators = operatorsAskRules(options);
  return (options.ask_tools ?? []).filter((rule) => !operators.includes(rule));
}

/** The rules that the SDK asks about. */
export function rulesAskedBySdk(options: Ruled): string[] {
  return [...(restrictsNothing(options) ? (options.ask_tools ?? []) : operatorsAskRules(options))];
}

/** Whether another input than the model's may be one that the model could not have run. */
export function narrowsInputs(options: Ruled): boolean {
  const { allowed_tools = [], disallowed_tools = [], deny_tools = [] } = options;
  return !restrictsNothing(options) || [...allowed_tools, ...disallowed_tools, ...deny_tools].some((rule) => rule.includes("("));
}

/**
 * Whether a rule may be about a call: never false for a call that the SDK takes it to be about. A rule about paths may be about any call of the tools for
 * files, and one about commands about any that has its words.
 */
export function mayBeAbout(rule: string, tool: string, input: unknown): boolean {
  const [given = "", about] = rule.split(/\((.*)\)$/s);
  const name = ALIASES[given] ?? given;
  if (about !== undefined && FILE_TOOLS.includes(name) && FILE_TOOLS.includes(tool)) return true;
  const isTool = name.includes("*") ? matches(name, tool) : name === tool || (name.startsWith("mcp__") && tool.startsWith(`${name}__`));
  if (!isTool || about === undefined || tool !== COMMAND_TOOL) return isTool;
  const { command } = input as { command?: unknown };
  if (typeof command !== "string") return true;
  const said = unquoted(command);
  return unquoted(about.replace(/:\*$/, "")).split(/[\s*]+/).every((word) => said.includes(word));
}

/** `*` stands for anything. */
function matches(pattern: string, name: string): boolean {
  return new RegExp(`^${pattern.split("*").map((part) => part.replace(/[^\w]/g, "\\$&")).join(".*")}$`).test(name);
}

/** A shell reads `"to"u\ch` as `touch`. */
const unquoted = (command: string): string => command.replace(/\\\n|["'\\]/g, "");

/**
 * Whether the SDK asks about a call because of a rule. What is `unsafe` to the SDK no mode lets run, but for edits: there a rule of the operator's is
 * needed.
 */
export function isByRule(asked: object, { ask_tools = [], ...options }: Ruled, tool: string, input: Record<string, unknown>): boolean {
  const { decisionReasonType: why, matchedAskRule: matched } = asked as { decisionReasonType?: unknown; matchedAskRule?: { toolName: string; ruleContent?: string } };
  if (why === "rule") return true;
  if (matched !== undefined) {
    const rule = matched.ruleContent === undefined ? matched.toolName : `${matched.toolName}(${matched.ruleContent})`;
    return why !== "safetyCheck" || EDIT_TOOLS.includes(tool) || operatorsAskRules({ ask_tools, ...options }).includes(rule);
  }
  // Of a command with several parts the SDK does not say which rule one of them met.
  return why === "subcommandResults" && rulesAskedBySdk({ ask_tools, ...options }).some((rule) => hasWordsOf(rule, tool, input["command"]));
}

/** Whether a rule is about a tool, and a command has the rule's words somewhere. */
function hasWordsOf(rule: string, tool: string, command: unknown): boolean {
  if (rule === tool) return true;
  if (!rule.startsWith(`${tool}(`) || !rule.endsWith(")")) return false;
  const words = rule.slice(tool.length + 1, -1).replace(/:?\*$/, "").trim();
  return typeof command === "string" && command.includes(words);
}
