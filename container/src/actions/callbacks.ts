/*
 * The SDK's callbacks of one process, answered by its gate: the hook before tools that need somebody, the question whether a tool may run, and what an MCP
 * server asks. The hook can give a call up and leave it open (`defer`); a permission cannot be left open: its turn is interrupted, and told again by a message.
 */
import type { CanUseTool, ElicitationRequest, HookCallback, HookJSONOutput, OnElicitation, Options, PermissionMode, PermissionResult, PreToolUseHookSpecificOutput } from "@anthropic-ai/claude-agent-sdk";
import { clientServer } from "./client-tools.ts";
import type { ClientTool } from "./client-tools.ts";
import { Gate } from "./gate.ts";
import type { Answer, GatePort } from "./gate.ts";
import { Grants, isSameInput, suggestionsFor } from "./grants.ts";
import { asksByMode, isByRule, mayBeAbout, narrowsInputs, rulesAskedFirst } from "./rules.ts";
import type { Ruled } from "./rules.ts";
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
  /** What decides which calls are asked about; any other that is not allowed is denied. */
  options: Ruled;
  /** The mode that an approved plan leads to. */
  afterPlan?: PermissionMode | undefined;
};

export class Callbacks {
  readonly gate = new Gate();
  readonly grants = new Grants();
  /** What the turn decides calls by; none between turns. */
  #options: Ruled | undefined;
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

  beginTurn({ port, grants, options, afterPlan }: Asks): void {
    this.#options = options;
    this.#afterPlan = afterPlan;
    this.grants.remember(grants);
    this.#settled.clear();
    this.#parkedBy = "results";
    this.gate.attach(port);
  }

  endTurn(): void {
    this.#options = undefined;
    this.gate.detach();
    this.grants.endTurn();
    this.#settled.clear();
  }

  /** What a process is started with. `everyCall`: somebody may be asked about any call before the SDK decides about it. */
  optionsFor({ everyCall }: { everyCall: boolean }): Pick<Options, "hooks" | "canUseTool" | "onElicitation"> {
    const matcher = everyCall ? ".*" : `mcp__${CLIENT_SERVER}__.*|${QUESTION}|${PLAN}`;
    return {
      hooks: { PreToolUse: [{ matcher, timeout: HOOK_TIMEOUT_S, onFailure: "block", hooks: [this.#beforeTool] }] },
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
    const kind = kindOf(tool);
    const unasked = kind === "permission" ? await this.#unasked(id, tool, tool_input) : undefined;
    if (unasked !== undefined) return unasked;
    const suggestions = kind === "permission" ? { suggestions: suggestionsFor(tool, undefined, tool_input) } : {};
    const shown = smallCall(tool_input);
    const answer = await this.gate.ask({ kind, tool_call_id: id, tool: plainName(tool), input: shown, ...suggestions, stays }, signal);
    switch (answer.decision) {
      case "parked":
        return stays ? say({ permissionDecision: "defer" }) : denied(FROM_A_SUBAGENT);
      case "withdrawn":
        return denied(NOT_ANSWERED);
      case "deny":
      case "expired":
        return denied(refusal(answer));
      default:
        this.#settled.set(id, answer);
        // Whether it runs, with this input or another, is for the SDK to decide.
        if (kind === "permission") return runningWith(changed(answer, shown));
        return say({ permissionDecision: "allow", ...(answer.decision === "answer" && { updatedInput: { ...(tool_input as object), answers: labels(answer.answers) } }) });
    }
  };

  /** What becomes of a call that nobody is asked about before the SDK decides; undefined for one that somebody is. */
  async #unasked(id: string, tool: string, input: unknown): Promise<HookJSONOutput | undefined> {
    await this.gate.ready();
    if (this.#options === undefined) return denied(NOT_ANSWERED);
    if (!rulesAskedFirst(this.#options).some((rule) => mayBeAbout(rule, tool, input))) return {};
    if (this.grants.takeOnce(tool, input)) this.#settled.set(id, { decision: "allow" });
    else if (!this.grants.covers(tool, suggestionsFor(tool, undefined, input))) return undefined;
    return {};
  }

  readonly #mayUse: CanUseTool = async (tool, input, options): Promise<PermissionResult> => {
    await this.gate.ready();
    const { signal, suggestions: suggested, toolUseID, agentID, title, decisionReason, description } = options;
    const asks = this.#options;
    const isPermission = kindOf(tool) === "permission";
    if (isPermission && (asks === undefined || !(asksByMode(asks) || isByRule(options, asks, tool, input)))) return { behavior: "deny", message: NOT_ALLOWED };
    const settled = this.#settled.get(toolUseID);
    if (settled !== undefined) {
      if (!isClientTool(tool)) this.#settled.delete(toolUseID);
      const updatedInput = settled.decision === "answer" ? { ...input, answers: labels(settled.answers) } : input;
      // A process that was started for a plan knows no mode from before it.
      const mode = tool === PLAN ? this.#afterPlan : undefined;
      return { behavior: "allow", updatedInput, ...(mode !== undefined && { updatedPermissions: [{ type: "setMode", mode, destination: "session" }] }) };
    }
    // What needs somebody and did not pass the hook does not run.
    if (!isPermission || asks === undefined) return { behavior: "deny", message: NOT_ANSWERED };
    const suggestions = suggestionsFor(tool, suggested, input);
    if (this.grants.takeOnce(tool, input) || this.grants.covers(tool, suggestions)) return { behavior: "allow", updatedInput: input };
    const message = title ?? decisionReason ?? description;
    const stays = agentID === undefined;
    const shown = smallCall(input);
    const answer = await this.gate.ask({ kind: "permission", tool_call_id: toolUseID, tool, input: shown, suggestions, ...(message !== undefined && { message }), stays }, signal);
    switch (answer.decision) {
      case "allow": {
        const other = changed(answer, shown);
        // The SDK has decided about the call by the input that it was made with.
        if (other === undefined || !narrowsInputs(asks)) return { behavior: "allow", updatedInput: other ?? input };
        this.grants.allowOnce(tool, other);
        return { behavior: "deny", message: allowedWith(other) };
      }
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

function say(output: Omit<PreToolUseHookSpecificOutput, "hookEventName">): HookJSONOutput {
  return { hookSpecificOutput: { hookEventName: "PreToolUse", ...output } };
}

const denied = (permissionDecisionReason: string): HookJSONOutput => say({ permissionDecision: "deny", permissionDecisionReason });

const runningWith = (updatedInput: Record<string, unknown> | undefined): HookJSONOutput => (updatedInput === undefined ? {} : say({ updatedInput }));

/** The input that a call is allowed with, if it is another than the one that was shown. */
function changed(answer: Answer, shown: object): Record<string, unknown> | undefined {
  return answer.decision === "allow" && answer.input !== undefined && !isSameInput(answer.input, shown) ? answer.input : undefined;
}

const allowedWith = (input: object): string => `Approved by the user with another input. Make the call again, with exactly this input: ${JSON.stringify(input)}`;

function kindOf(tool: string): ActionKind {
  if (isClientTool(tool)) return "tool";
  if (tool === QUESTION) return "question";
  return tool === PLAN ? "plan" : "permission";
}

/** Several labels of one answer are one string to the tool. */
export function labels(answers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(answers).map(([question, answer]) => [question, Array.isArray(answer) ? answer.join(", ") : String(answer)]));
}
