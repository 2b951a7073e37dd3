/** What a turn looks like on the screen, and how each of its events changes that. Pure. */
import type { AgentEvent, Schemas } from "claude-agent-service-client";
import type { Action, ActionPart } from "../actions/action.ts";
import { stringOf as string } from "../shapes.ts";

export type Usage = Schemas["Usage"];
export type TurnFiles = Schemas["TurnFiles"];
export type Attachment = Partial<Schemas["MessageAttachment"]> & { type: string };

export type TextPart = { kind: "text"; text: string; isWhole: boolean };
export type ThinkingPart = { kind: "thinking"; text: string; isWhole: boolean };
export type ToolPart = { kind: "tool"; id: string; name: string; status: string; input?: unknown; inputJson?: string; result?: unknown; isCut?: boolean; parent?: string };
export type NoticePart = { kind: "notice"; text: string };
export type Part = TextPart | ThinkingPart | ToolPart | NoticePart | ActionPart;

export type Status = "sending" | Schemas["TurnStatus"];

export type TurnView = {
  /** For React: stays the same when the service has given the turn its id. */
  key: string;
  turnId: string | undefined;
  question: string;
  attachments: Attachment[];
  /** What was sent instead of the question alone, to send it again. */
  content?: Schemas["ContentBlock"][];
  status: Status;
  /** How many turns run or wait before it. */
  position: number;
  parts: Part[];
  retrying: { attempt: number; status: number | null } | undefined;
  model: string | undefined;
  usage: Usage | undefined;
  durationMs: number | undefined;
  files: TurnFiles | undefined;
  /** Why it did not complete. */
  error: unknown;
  startedAt: number | undefined;
  /** It goes on in the service, and nothing of it is heard here for now. */
  isUnheard?: boolean;
};

export function newTurn(key: string, question: string, attachments: Attachment[] = []): TurnView {
  return {
    key, question, attachments, turnId: undefined, status: "sending", position: 0, parts: [], retrying: undefined,
    model: undefined, usage: undefined, durationMs: undefined, files: undefined, error: undefined, startedAt: undefined,
  };
}

const OPEN: readonly string[] = ["sending", "queued", "running", "requires_action"] satisfies Status[];
export const isOpen = ({ status }: Pick<TurnView, "status">): boolean => OPEN.includes(status);
/** Whether it goes on only when somebody decides. */
export const isWaiting = ({ status }: TurnView): boolean => status === "requires_action";

/** What it waits for. */
export const pendingOf = ({ parts }: TurnView): Action[] => parts.flatMap((part) => (part.kind === "action" && part.action.status === "pending" ? [part.action] : []));

/** An event as it is live, or an item of a turn that has ended. */
export type Told = { type: string; data: Record<string, unknown> };
/** What turns did, by the id of the turn; null where there was no room for it. */
export type Items = Record<string, Told["data"][] | null>;

export function fold(turn: TurnView, event: AgentEvent | Told): TurnView {
  const { type, data } = event as Told;
  const next = type === "turn" || type === "retry" || turn.retrying === undefined ? turn : { ...turn, retrying: undefined };
  switch (type) {
    case "turn":
      return { ...next, turnId: string(data["turn_id"]), status: data["status"] as Status, position: Number(data["position"]), startedAt: turn.startedAt ?? (data["status"] === "running" ? Date.now() : undefined) };
    case "delta":
      return { ...next, parts: grown(next.parts, "text", string(data["text"])) };
    case "thinking":
      return data["parent"] === undefined ? { ...next, parts: grown(next.parts, "thinking", string(data["text"])) } : next;
    case "message":
      return data["parent"] === undefined ? { ...next, parts: replaced(next.parts, { kind: "text", text: string(data["content"]), isWhole: true }) } : next;
    case "tool_input":
      return { ...next, parts: withTool(next.parts, string(data["id"]), (tool) => ({ ...tool, inputJson: (tool.inputJson ?? "") + string(data["json"]) })) };
    case "tool":
      return { ...next, parts: withTool(closed(next.parts), string(data["id"]), (tool) => told(tool, data)) };
    case "retry":
      return { ...turn, parts: data["retracted"] === true ? withoutUnfinished(turn.parts) : turn.parts, retrying: { attempt: Number(data["attempt"]), status: (data["status"] as number | null) ?? null } };
    case "compacted":
      return { ...next, parts: [...closed(next.parts), { kind: "notice", text: compacted(data) }] };
    case "attachment_removed":
      return { ...next, parts: [...next.parts, { kind: "notice", text: `The model did not take ${string(data["path"]) || "an attachment"}: ${string(data["reason"])}` }] };
    case "notice":
      return { ...next, parts: [...next.parts, { kind: "notice", text: string(data["message"]) }] };
    case "action":
      return withAction({ ...next, parts: closed(next.parts) }, data as unknown as Action);
    case "action_resolved":
      return resolved(next, string(data["action_id"]), (action) => ({ ...action, status: data["status"] as Action["status"], decision: action.decision ?? { decision: data["decision"] } }));
    case "done":
      return ended({ ...next, ...resultOf(data as unknown as Schemas["TurnResult"]) }, "completed");
    default:
      // A later version of the service may tell of more.
      return next;
  }
}

/** The turn with nothing in it that still goes on. */
export function ended(turn: TurnView, status: Status, error?: unknown): TurnView {
  const parts = closed(turn.parts).map((part): Part => {
    if (part.kind === "action" && part.action.status === "pending") return { ...part, action: { ...part.action, status: "cancelled" } };
    return part.kind === "tool" && part.status === "started" ? { ...part, status: "stopped" } : part;
  });
  return { ...turn, parts, status, error, retrying: undefined };
}

/** What is stored of turns that have ended, as the same view. */
export function fromHistory(messages: Schemas["Message"][], turns: Schemas["Turn"][], items: Items = {}): TurnView[] {
  const known = new Map(turns.map((turn) => [turn.turn_id, turn]));
  const views = new Map<string, TurnView>();
  for (const message of messages) {
    const id = message.turn_id;
    const view = views.get(id) ?? { ...newTurn(id, ""), turnId: id, status: "completed" as Status };
    if (message.role === "user") views.set(id, { ...view, question: message.content, attachments: message.attachments ?? [] });
    else views.set(id, { ...view, parts: [{ kind: "text", text: message.content, isWhole: true }] });
  }
  return [...views.values()].map((view) => {
    const turn = known.get(view.turnId ?? "");
    const done = items[view.turnId ?? ""];
    const told = done ? done.reduce<TurnView>((all, item) => fold(all, { type: string(item["type"]), data: item }), { ...view, parts: [] as Part[] }) : view;
    return turn === undefined ? told : withTurn(told, turn);
  });
}

/** The view with all else that is known of its turn. */
export function withTurn(view: TurnView, turn: Schemas["Turn"]): TurnView {
  const { started_at, finished_at, usage, files, error, status } = turn;
  const durationMs = started_at !== null && finished_at !== null ? finished_at - started_at : undefined;
  const whole = { ...view, status: status as Status, usage, files, durationMs, startedAt: started_at ?? undefined };
  return isOpen(whole) ? whole : ended(whole, status, error);
}

/** The turn with an action as the service has it. A decision that is known here is newer than an action that was pending when it was read. */
export function withAction(turn: TurnView, action: Action): TurnView {
  const { action_id: id } = action;
  const at = turn.parts.findIndex((part) => part.kind === "action" && part.id === id);
  const known = turn.parts[at] as ActionPart | undefined;
  if (known !== undefined && known.action.status !== "pending" && action.status === "pending") return turn;
  const part: ActionPart = { kind: "action", id, action };
  return standing({ ...turn, parts: at === -1 ? [...turn.parts, part] : turn.parts.with(at, part) });
}

/** The turn with an action of it changed, if it has that one. */
export function resolved(turn: TurnView, id: string, change: (action: Action) => Action): TurnView {
  return standing({ ...turn, parts: turn.parts.map((part) => (part.kind === "action" && part.id === id ? { ...part, action: change(part.action) } : part)) });
}

/** An open turn requires action as long as one of its actions is pending. */
function standing(turn: TurnView): TurnView {
  if (!isOpen(turn)) return turn;
  if (pendingOf(turn).length > 0) return { ...turn, status: "requires_action" };
  return isWaiting(turn) ? { ...turn, status: "running" } : turn;
}

function resultOf({ model, usage, duration_ms, files, turn_id }: Schemas["TurnResult"]): Partial<TurnView> {
  return { turnId: turn_id, model: model ?? undefined, usage, durationMs: duration_ms ?? undefined, files };
}

/** The last part, if it is of this kind and unfinished, with more text; otherwise a new one. */
function grown(parts: Part[], kind: "text" | "thinking", text: string): Part[] {
  const last = parts.at(-1);
  if (last?.kind === kind && !last.isWhole) return [...parts.slice(0, -1), { ...last, text: last.text + text }];
  return [...closed(parts), { kind, text, isWhole: false }];
}

/** A whole block of text stands for the pieces before it. */
function replaced(parts: Part[], block: TextPart): Part[] {
  const last = parts.at(-1);
  return last?.kind === "text" && !last.isWhole ? [...parts.slice(0, -1), block] : [...closed(parts), block];
}

function closed(parts: Part[]): Part[] {
  const last = parts.at(-1);
  return last !== undefined && "isWhole" in last && !last.isWhole ? [...parts.slice(0, -1), { ...last, isWhole: true }] : parts;
}

function withoutUnfinished(parts: Part[]): Part[] {
  const last = parts.at(-1);
  return last?.kind === "text" && !last.isWhole ? parts.slice(0, -1) : parts;
}

function withTool(parts: Part[], id: string, change: (tool: ToolPart) => ToolPart): Part[] {
  const at = parts.findIndex((part) => part.kind === "tool" && part.id === id);
  const tool = at === -1 ? { kind: "tool" as const, id, name: "", status: "started" } : (parts[at] as ToolPart);
  return at === -1 ? [...parts, change(tool)] : parts.with(at, change(tool));
}

function told(tool: ToolPart, data: Told["data"]): ToolPart {
  const input = data["whole_input"] ?? data["input"] ?? tool.input;
  const result = data["result"] ?? tool.result;
  return {
    ...tool,
    name: string(data["name"]) || tool.name,
    status: string(data["status"]),
    ...(input !== undefined && { input }),
    ...(result !== undefined && { result }),
    ...(data["truncated"] === true && { isCut: true }),
    ...(typeof data["parent"] === "string" && { parent: data["parent"] }),
  };
}

function compacted(data: Told["data"]): string {
  const [before, after] = [Number(data["pre_tokens"]), data["post_tokens"]];
  const sizes = typeof after === "number" ? ` (${before.toLocaleString()} to ${after.toLocaleString()} tokens)` : "";
  return `The conversation was summarised to make room${sizes}`;
}
