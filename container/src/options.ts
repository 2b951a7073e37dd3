/*
 * The options of a turn, read by their types. The Worker is the only caller, and it has checked every value: which models, how many turns,
 * which tools. What a newer Worker adds, an option or a value, is not this server's to refuse.
 * Decides which options a live process can take on and which need a new one. Knows nothing of the SDK's types.
 */
import type { ClientTool } from "./actions/client-tools.ts";
import { rulesAskedBySdk, rulesAskedFirst } from "./actions/rules.ts";
import { isDeeperThan } from "./turn/schema.ts";

export type TurnOptions = {
  model?: string;
  /** How much work the model puts into its answers; its own default if absent. */
  effort?: Effort;
  /** A whole prompt, or words appended to Claude Code's own. */
  system_prompt?: string | { append: string };
  max_turns?: number;
  /** The only tools there are, and the only ones that run; rules such as `Bash(git:*)` are allowed. */
  allowed_tools?: string[];
  disallowed_tools?: string[];
  permission_mode?: PermissionMode;
  /** The mode that an approved plan leads to; without one, no plan is asked about. */
  after_plan?: PermissionMode;
  /** Of this turn alone: such a turn has a process of its own. */
  max_budget_usd?: number;
  mcp_servers?: Record<string, McpServer>;
  /** The JSON Schema of the turn's answer, which is then a value. */
  output_schema?: object;
  /** Whether the model thinks before it answers; some models always do. */
  thinking?: Thinking;
  /** The turn compacts the conversation; its prompt says what the summary should keep. */
  compact?: boolean;
  /** Rules about calls that somebody has to allow, and about calls that are refused, in every mode. */
  ask_tools?: string[];
  /** Those of `ask_tools` that are the operator's, where the request brought some. */
  operator_ask_tools?: string[];
  deny_tools?: string[];
  /** Tools that the caller runs. */
  client_tools?: ClientTool[];
  /** The agent may ask the user questions. */
  questions?: boolean;
  /** The trace that the turn belongs to (W3C Trace Context), for what the agent runs. */
  traceparent?: string;
};

export type Thinking = "on" | "off";

/** The SDK's levels. */
export type Effort = "low" | "medium" | "high" | "xhigh" | "max";

/** The SDK's modes. One that it does not know fails the turn. */
export type PermissionMode = "default" | "acceptEdits" | "bypassPermissions" | "plan" | "dontAsk";
export type McpServer =
  | { type?: "stdio"; command: string; args?: string[]; env?: Record<string, string> }
  | { type: "http" | "sse"; url: string; headers?: Record<string, string> };

/** An option of another type than the protocol's; `message` names it. */
export class InvalidOptions extends Error {}

/** What a live process takes on from turn to turn. */
export type LiveOptions = Pick<TurnOptions, "model" | "effort" | "thinking" | "ask_tools" | "deny_tools" | "client_tools" | "traceparent">;

export const liveOptions = ({ model, effort, thinking, deny_tools, client_tools, traceparent, ...options }: TurnOptions): LiveOptions => ({
  ...(model !== undefined && { model }),
  ...(effort !== undefined && { effort }),
  ...(thinking !== undefined && { thinking }),
  ...(options.ask_tools !== undefined && { ask_tools: rulesAskedBySdk(options) }),
  ...(deny_tools !== undefined && { deny_tools }),
  ...(client_tools !== undefined && { client_tools }),
  ...(traceparent !== undefined && { traceparent }),
});

/** Two turns with the same key can share a process. What is changed live, or said with the message, is not in it. */
export function processKey(options: TurnOptions): string {
  const { model: _model, effort: _effort, thinking: _thinking, compact: _compact, ask_tools: _ask, operator_ask_tools: _operators, deny_tools: _deny, client_tools: _tools, traceparent: _trace, permission_mode, ...rest } = options;
  // Whether a plan is made or was approved is a mode, which changes live.
  const all = { ...rest, ...(rest.after_plan === undefined && { permission_mode }), ...(rulesAskedFirst(options).length > 0 && { asks_first: true }) };
  return JSON.stringify(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Two turns with the same rules can share a process that was started with them. */
export const rulesKey = ({ ask_tools = [], deny_tools = [] }: TurnOptions): string => JSON.stringify([ask_tools, deny_tools]);

/** A budget counts for the life of a process, so its process serves one turn. */
export function servesOneTurn(options: TurnOptions): boolean {
  return options.max_budget_usd !== undefined;
}

/** As deep as the Worker's own parser goes. */
const MAX_NESTING = 128;

type Is = (value: unknown) => boolean;
const isString: Is = (value) => typeof value === "string";
const isNumber: Is = (value) => typeof value === "number";
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isList: Is = (value) => Array.isArray(value) && value.every(isString);

const TYPES: Record<keyof TurnOptions, Is> = {
  model: isString,
  effort: isString,
  system_prompt: (value) => isString(value) || (isObject(value) && isString(value["append"])),
  max_turns: isNumber,
  allowed_tools: isList,
  disallowed_tools: isList,
  permission_mode: isString,
  after_plan: isString,
  max_budget_usd: isNumber,
  mcp_servers: (value) => isObject(value) && Object.values(value).every(isObject),
  output_schema: (value) => isObject(value) && !isDeeperThan(value, MAX_NESTING),
  thinking: isString,
  compact: (value) => typeof value === "boolean",
  ask_tools: isList,
  operator_ask_tools: isList,
  deny_tools: isList,
  client_tools: (value) => Array.isArray(value) && value.every(isClientTool) && !isDeeperThan(value, MAX_NESTING),
  questions: (value) => typeof value === "boolean",
  traceparent: isString,
};

function isClientTool(value: unknown): boolean {
  return isObject(value) && isString(value["name"]) && isString(value["description"]) && isObject(value["input_schema"]);
}

/** Null counts as absent. An option that this server does not know is left out, and `unknown` gets its name. */
export function readOptions(value: unknown, unknown: string[] = []): TurnOptions {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new InvalidOptions("options must be an object");
  const options: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(value)) {
    if (given === null) continue;
    if (!isKnown(name)) unknown.push(name);
    else if (TYPES[name](given)) options[name] = given;
    else throw new InvalidOptions(`${name} has another type than the protocol's`);
  }
  return options;
}

function isKnown(name: string): name is keyof TurnOptions {
  return Object.hasOwn(TYPES, name);
}
