/*
 * The one place that says how the Claude Agent SDK is set up for a conversation.
 * What is not the caller's to choose is fixed here: no settings from files, no expansion of prompts, no environment but the given one.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { renameSync } from "node:fs";
import type { McpServerConfig, Options, PermissionMode, SessionStore, SpawnOptions } from "@anthropic-ai/claude-agent-sdk";
import { operatorsAskRules } from "./actions/rules.ts";
import { CLIENT_SERVER } from "./actions/terms.ts";
import { handOver } from "./folders.ts";
import type { Paths } from "./folders.ts";
import type { Entry } from "./frames.ts";
import { log, reason } from "./log.ts";
import { liveOptions } from "./options.ts";
import type { TurnOptions } from "./options.ts";
import { MARK } from "./reap.ts";
import type { User } from "./users.ts";

const DEFAULT_TOOLS = ["Bash", "Read", "Write", "Edit", "Glob", "Grep"];
const DEFAULT_SYSTEM_PROMPT = "You are a Claude agent, built on Anthropic's Claude Agent SDK.";
/** With the first it asks the user questions, with the second for approval of its plan. */
const QUESTION_TOOL = "AskUserQuestion";
const PLAN_TOOL = "ExitPlanMode";
const TRANSCRIPT_LOAD_LIMIT_MS = 10_000;
const MAX_EXIT_LISTENERS = 32;

export type Setup = {
  session: string;
  /** A conversation that has a transcript is resumed; a new one is begun under its id. */
  resume: boolean;
  options: TurnOptions;
  paths: Paths;
  /** Whom the CLI runs as; undefined: as the server. */
  user: User | undefined;
  env: Record<string, string>;
  mark: string;
  store: SessionStore;
  /** Who is asked about calls, and the tools that the caller runs. */
  asks: Pick<Options, "hooks" | "canUseTool" | "onElicitation">;
  clientServer?: McpServerConfig | undefined;
  /** It goes on by itself with a turn whose open calls have got their results. */
  goesOn?: boolean;
  /** `left` is where the CLI's configuration will be when it has ended. */
  onSpawn: (child: ChildProcess, left: string) => void;
};

export function sdkOptions(setup: Setup): Options {
  const { options, paths } = setup;
  const sdk: Options = {
    cwd: paths.workspace,
    ...(setup.resume ? { resume: setup.session } : { sessionId: setup.session }),
    ...toolAccess(options),
    systemPrompt: systemPrompt(options.system_prompt),
    settingSources: [],
    // A process keeps the rules that it is started with. One that waits for its first message is told of them before that, and can be told otherwise.
    // What a plan may not do is denied or asked about: no model is asked whether it is safe.
    settings: { attribution: { commit: "", pr: "" }, useAutoModeDuringPlan: false, ...(setup.goesOn === true && { permissions: rulesOf(liveOptions(options)) }) },
    strictMcpConfig: true,
    // Each message says so itself: see `userMessage`.
    verbatimPrompts: false,
    ...setup.asks,
    includePartialMessages: true,
    forwardSubagentText: true,
    sessionStore: setup.store,
    // Each entry leaves at once: what a killed process had done is in the transcript.
    sessionStoreFlush: "eager",
    loadTimeoutMs: TRANSCRIPT_LOAD_LIMIT_MS,
    env: { ...setup.env, ...RESUME, ...(setup.goesOn === true ? GO_ON : {}), HOME: paths.home, TMPDIR: paths.tmp, CLAUDE_CONFIG_DIR: paths.config, [MARK]: setup.mark },
    spawnClaudeCodeProcess: (how) => spawnInOwnGroup(how, setup),
  };
  if (options.model !== undefined) sdk.model = options.model;
  if (options.max_turns !== undefined) sdk.maxTurns = options.max_turns;
  if (options.max_budget_usd !== undefined) sdk.maxBudgetUsd = options.max_budget_usd;
  if (options.output_schema !== undefined) sdk.outputFormat = { type: "json_schema", schema: options.output_schema as Record<string, unknown> };
  if (options.mcp_servers !== undefined || setup.clientServer !== undefined) {
    sdk.mcpServers = { ...(options.mcp_servers as Record<string, McpServerConfig>), ...(setup.clientServer !== undefined && { [CLIENT_SERVER]: setup.clientServer }) };
    // Not on the command line, where every process could read their headers and environment.
    sdk.mcpServersDelivery = "initialize";
  }
  return sdk;
}

/** What the SDK hands over goes to `append`, in order; a resume reads what `load` has. The key's project is its folder: ignored. */
export function sessionStore(ports: {
  append(subpath: string | null, entries: Entry[]): void;
  load(subpath: string | null): Promise<Entry[]>;
  subpaths(): Promise<string[]>;
}): SessionStore {
  return {
    async append(key, entries) {
      ports.append(key.subpath ?? null, entries);
    },
    async load(key) {
      const entries = await ports.load(key.subpath ?? null);
      return entries.length === 0 ? null : entries;
    },
    listSubkeys: () => ports.subpaths(),
  };
}

/** Rendered anew with each process, so that the prompt a turn names is the one that holds. */
function systemPrompt(given: TurnOptions["system_prompt"]): NonNullable<Options["systemPrompt"]> {
  if (typeof given === "object") return { type: "preset", preset: "claude_code", append: given.append, snapshot: false };
  return { type: "custom", prompt: given ?? DEFAULT_SYSTEM_PROMPT, snapshot: false };
}

/** Left alone, the CLI would run a call that a parked turn left open when it resumes, before anybody is asked. */
const RESUME = { CLAUDE_CODE_DISABLE_DEFERRED_TOOL_RESUME: "1" };
/** Without a message it goes on where the transcript ends with results. */
const GO_ON = { CLAUDE_CODE_RESUME_INTERRUPTED_TURN: "1" };

/** The rules that hold in every mode, as the CLI's settings have them. */
export function rulesOf({ ask_tools = [], deny_tools = [] }: Pick<TurnOptions, "ask_tools" | "deny_tools">): { ask: string[]; deny: string[] } {
  return { ask: ask_tools, deny: deny_tools };
}

/** `dontAsk` would deny what a rule of the operator's says to ask about: such a turn runs in `default`, and what no rule asks about is denied where it is asked. */
export function modeOf({ permission_mode, allowed_tools, ...rules }: Pick<TurnOptions, "permission_mode" | "allowed_tools" | "ask_tools" | "operator_ask_tools">): PermissionMode {
  const mode = permission_mode ?? (allowed_tools === undefined ? "bypassPermissions" : "dontAsk");
  return mode === "dontAsk" && operatorsAskRules(rules).length > 0 ? "default" : mode;
}

/** The mode that an approved plan leads to. */
export function modeAfterPlan({ after_plan, ...options }: TurnOptions): PermissionMode | undefined {
  return after_plan === undefined ? undefined : modeOf({ ...options, permission_mode: after_plan });
}

/** A list of allowed tools is the whole list: others are not offered, and a call outside its rules is denied. */
function toolAccess(options: TurnOptions): Options {
  const allowed = options.allowed_tools;
  const mode = modeOf(options);
  const access: Options = { permissionMode: mode, tools: DEFAULT_TOOLS };
  const after = modeAfterPlan(options);
  if (mode === "bypassPermissions" || after === "bypassPermissions") access.allowDangerouslySkipPermissions = true;
  if (allowed !== undefined) {
    access.allowedTools = allowed;
    access.tools = [...new Set(allowed.map(toolName))].filter((name) => !name.startsWith("mcp__"));
  }
  const more = [...(options.questions === true ? [QUESTION_TOOL] : []), ...(after === undefined ? [] : [PLAN_TOOL])];
  if (more.length > 0) access.tools = [...new Set([...(access.tools as string[]), ...more])];
  if (options.disallowed_tools !== undefined) access.disallowedTools = options.disallowed_tools;
  return access;
}

/** `Bash(git:*)` is a rule about `Bash`. */
function toolName(rule: string): string {
  return rule.split("(", 1)[0] ?? rule;
}

/** A group of its own: a signal to it reaches the CLI and whatever it has not moved elsewhere. */
function spawnInOwnGroup(how: SpawnOptions, { user, paths, onSpawn }: Setup): ReturnType<NonNullable<Options["spawnClaudeCodeProcess"]>> {
  // A resume lays out a folder of its own.
  const config = how.env["CLAUDE_CONFIG_DIR"] ?? paths.config;
  if (user !== undefined) handOver(config, user);
  const child = spawn(how.command, how.args, {
    ...(how.cwd === undefined ? {} : { cwd: how.cwd }),
    ...user,
    env: how.env,
    signal: how.signal,
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
  });
  // The SDK waits for the exit in several places at once when it closes a query.
  child.setMaxListeners(MAX_EXIT_LISTENERS);
  // A process that dies leaves writes in its pipe; its exit says all there is to say.
  child.stdin.on("error", () => {});
  onSpawn(child, user === undefined || config === paths.config ? config : outOfReach(child, config));
  return child;
}

/** The SDK removes the folder of a resume at the exit, as the server's user: whatever is another user's has been moved away by then. */
function outOfReach(child: ChildProcess, config: string): string {
  const left = `${config}-left`;
  child.prependOnceListener("exit", () => {
    try {
      renameSync(config, left);
    } catch (error) {
      log("config_move_failed", { reason: reason(error) });
    }
  });
  return left;
}
