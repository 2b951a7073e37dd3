/*
 * The SDK's callbacks of one process, answered by its gate: the hook before tools that need somebody, the question whether a tool may run, and what an MCP
 * server asks. The hook can give a call up and leave it open (`defer`); a permission cannot be left open: its turn is interrupted, and told again by a message.
 */
import type { CanUseTool, ElicitationRequest, HookCallback, OnElicitation, Options, PermissionMode, PermissionResult } from "@anthropic-ai/claude-agent-sdk";
import { clientServer } from "./client-tools.ts";
import type { ClientTool } from "./client-tools.ts";
import { Gate } from "./gate.ts";
import type { GatePort } from "./gate.ts";
import { Grants, suggestionsFor } from "./grants.ts";
import { CLIENT_SERVER, isClientTool, plainName, refusal, smallCall } from "./terms.ts";
import type { ActionKind, ContinueBy, Decision } from "./terms.ts";

const QUESTION = "AskUserQuestion";
const PLAN = "ExitPlanMode";
/** Seconds: the default of the SDK denies after ten minutes. The object parks a turn long before this. */
const HOOK_TIMEOUT_S = 24 * 60 * 60;
const FROM_A_SUBAGENT = "A subagent cannot wait for an answer. Ask again from the main conversation.";
const NOT_ALLOWED = "This call is not allowed here, and nobody is asked about it.";
const NOT_ANSWERED = "The turn ended before anybody answered.";

/** How a turn asks. */
export type Asks = {
  port: GatePort;
  /** Rules that were remembered for the conversation. */
  grants: readonly unknown[];
  /** Calls are asked about that one of `askRules` says to ask about; any other that is not allowed is denied. */
  rulesOnly: boolean;
  askRules: readonly string[];
  /** The mode that an approved plan leads to. */
  afterPlan?: PermissionMode | undefined;
};

export class Callbacks {
  readonly gate = new Gate();
  readonly grants = new Grants();
  #rulesOnly = true;
  #askRules: readonly string[] = [];
  #afterPlan: PermissionMode | undefined;
  /** Decisions of calls that the hook has let through, until the call itself asks for them. */
  #settled = new Map<string, Decision>();
  #parkedBy: ContinueBy = "results";
  readonly #interrupt: () => void;

  /** `interrupt` ends what the process does at the moment. */
  constructor(interrupt: () => void) {
    this.#interrupt = interrupt;
  }

  /** How a turn that was parked goes on. */
  get parkedBy(): ContinueBy {
    return this.#parkedBy;
  }

  beginTurn({ port, grants, rulesOnly, askRules, afterPlan }: Asks): void {
    this.#rulesOnly = rulesOnly;
    this.#askRules = askRules;
    this.#afterPlan = afterPlan;
    this.grants.remember(grants);
    this.#settled.clear();
    this.#parkedBy = "results";
    this.gate.attach(port);
  }

  endTurn(): void {
    this.gate.detach();
    this.grants.endTurn();
    this.#settled.clear();
  }

  /** What a process is started with. */
  get options(): Pick<Options, "hooks" | "canUseTool" | "onElicitation"> {
    return {
      hooks: { PreToolUse: [{ matcher: `mcp__${CLIENT_SERVER}__.*|${QUESTION}|${PLAN}`, timeout: HOOK_TIMEOUT_S, onFailure: "block", hooks: [this.#beforeTool] }] },
      canUseTool: this.#mayUse,
      onElicitation: this.#elicited,
    };
  }

  /** The server of the caller's tools. */
  serverOf(tools: readonly ClientTool[]): ReturnType<typeof clientServer> {
    return clientServer(tools, (id) => this.#resultOf(id));
  }

  readonly #beforeTool: HookCallback = async (input, toolUseID, { signal }) => {
    if (input.hook_event_name !== "PreToolUse") return {};
    const { tool_name: tool, tool_input, agent_id } = input;
    const id = toolUseID ?? input.tool_use_id;
    const stays = agent_id === undefined;
    const answer = await this.gate.ask({ kind: kindOf(tool), tool_call_id: id, tool: plainName(tool), input: smallCall(tool_input), stays }, signal);
    const say = (permissionDecision: "allow" | "deny" | "defer", rest: object = {}): ReturnType<HookCallback> extends Promise<infer T> ? T : never => ({
      hookSpecificOutput: { hookEventName: "PreToolUse", permissionDecision, ...rest },
    });
    switch (answer.decision) {
      case "parked":
        return stays ? say("defer") : say("deny", { permissionDecisionReason: FROM_A_SUBAGENT });
      case "withdrawn":
        return say("deny", { permissionDecisionReason: NOT_ANSWERED });
      case "deny":
      case "expired":
        return say("deny", { permissionDecisionReason: refusal(answer) });
      default:
        this.#settled.set(id, answer);
        return say("allow", answer.decision === "answer" ? { updatedInput: { ...(tool_input as object), answers: labels(answer.answers) } } : {});
    }
  };

  readonly #mayUse: CanUseTool = async (tool, input, options): Promise<PermissionResult> => {
    await this.gate.ready();
    const { signal, suggestions: suggested, toolUseID, agentID, title, decisionReason, description } = options;
    const settled = this.#settled.get(toolUseID);
    if (settled !== undefined) {
      if (!isClientTool(tool)) this.#settled.delete(toolUseID);
      const updatedInput = settled.decision === "answer" ? { ...input, answers: labels(settled.answers) } : input;
      // A process that was started for a plan knows no mode from before it.
      const mode = tool === PLAN ? this.#afterPlan : undefined;
      return { behavior: "allow", updatedInput, ...(mode !== undefined && { updatedPermissions: [{ type: "setMode", mode, destination: "session" }] }) };
    }
    // What needs somebody and did not pass the hook does not run.
    if (kindOf(tool) !== "permission") return { behavior: "deny", message: NOT_ANSWERED };
    if (this.#rulesOnly && !isByRule(options, this.#askRules, tool, input)) return { behavior: "deny", message: NOT_ALLOWED };
    const suggestions = suggestionsFor(tool, suggested, input);
    if (this.grants.takeOnce(tool, input) || this.grants.covers(tool, suggestions)) return { behavior: "allow", updatedInput: input };
    const message = title ?? decisionReason ?? description;
    const stays = agentID === undefined;
    const answer = await this.gate.ask({ kind: "permission", tool_call_id: toolUseID, tool, input: smallCall(input), suggestions, ...(message !== undefined && { message }), stays }, signal);
    switch (answer.decision) {
      case "allow":
        return { behavior: "allow", updatedInput: answer.input ?? input };
      case "parked":
        if (!stays) return { behavior: "deny", message: FROM_A_SUBAGENT };
        this.#parkedBy = "message";
        return { behavior: "deny", message: NOT_ANSWERED, interrupt: true };
      case "withdrawn":
        return { behavior: "deny", message: NOT_ANSWERED };
      default:
        return { behavior: "deny", message: refusal(answer) };
    }
  };

  readonly #elicited: OnElicitation = async (request: ElicitationRequest, { signal }) => {
    const { serverName, message, requestedSchema, url } = request;
    const answer = await this.gate.ask(
      { kind: "elicitation", tool: serverName, message, ...(requestedSchema !== undefined && { schema: requestedSchema }), ...(url !== undefined && { input: { url } }), stays: true },
      signal,
    );
    switch (answer.decision) {
      case "answer":
        return { action: "accept", content: answer.answers as Record<string, string> };
      case "parked":
        this.#parkedBy = "message";
        // Its server would answer the call, and the model go on with that.
        this.#interrupt();
        return { action: "cancel" };
      case "deny":
        return { action: "decline" };
      default:
        return { action: "cancel" };
    }
  };

  #resultOf(id: string | undefined): Extract<Decision, { decision: "result" }> | undefined {
    const settled = id === undefined ? undefined : this.#settled.get(id);
    if (id === undefined || settled?.decision !== "result") return undefined;
    this.#settled.delete(id);
    return settled;
  }
}

/** Its types don't name all of it. */
function isByRule(options: object, askRules: readonly string[], tool: string, input: Record<string, unknown>): boolean {
  const { decisionReasonType, matchedAskRule } = options as { decisionReasonType?: unknown; matchedAskRule?: unknown };
  if (decisionReasonType === "rule" || matchedAskRule !== undefined) return true;
  // Of a command with several parts the SDK does not say which rule one of them met.
  return decisionReasonType === "subcommandResults" && askRules.some((rule) => isAbout(rule, tool, input["command"]));
}

/** Whether a rule is about a tool, and a command has the rule's words somewhere. */
function isAbout(rule: string, tool: string, command: unknown): boolean {
  if (rule === tool) return true;
  if (!rule.startsWith(`${tool}(`) || !rule.endsWith(")")) return false;
  const words = rule.slice(tool.length + 1, -1).replace(/:?\*$/, "").trim();
  return typeof command === "string" && command.includes(words);
}

function kindOf(tool: string): ActionKind {
  if (isClientTool(tool)) return "tool";
  if (tool === QUESTION) return "question";
  return tool === PLAN ? "plan" : "permission";
}

/** Several labels of one answer are one string to the tool. */
export function labels(answers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(answers).map(([question, answer]) => [question, Array.isArray(answer) ? answer.join(", ") : String(answer)]));
}
