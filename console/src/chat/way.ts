/** How freely the agent works: chosen at the message box and kept in this browser, for every question that is asked here. */
import type { AgentClient } from "claude-agent-service-client";

export type Way = "alone" | "asks" | "plans";
type Query = Parameters<AgentClient["query"]>[0];

const KEY = "console.way";
/**
 * Every tool of the SDK's that does more than read the conversation's folder, and all tools of MCP servers. A subagent's calls are asked about one
 * by one, and tools of the caller's application wait for it anyway.
 */
const ASKS_ABOUT = [
  "Bash", "PowerShell", "Monitor", "Write", "Edit", "MultiEdit", "NotebookEdit", "WebFetch", "WebSearch", "Workflow", "SendMessage", "Skill", "Cron*",
  "ScheduleWakeup", "EnterWorktree", "ExitWorktree", "DesignSync", "mcp__*",
];

export const WAYS: Record<Way, { label: string; what: string; fields: Pick<Query, "permissions" | "permission_mode" | "questions"> }> = {
  alone: { label: "Works by itself", what: "The agent runs commands and changes files without asking", fields: {} },
  asks: { label: "Asks first", what: "The agent asks before it runs a command, changes a file, uses the web or calls a tool of an MCP server, and where it has a question. It reads its files without asking", fields: { permissions: { ask: ASKS_ABOUT }, questions: true } },
  plans: { label: "Plans first", what: "The agent makes a plan, and changes nothing before you have approved it", fields: { permission_mode: "plan", questions: true } },
};

export function storedWay(): Way {
  const stored = localStorage.getItem(KEY);
  return stored !== null && stored in WAYS ? (stored as Way) : "alone";
}

export function storeWay(way: Way): void {
  if (way === "alone") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, way);
}
