/** How freely the agent works: chosen at the message box and kept in this browser, for every question that is asked here. */
import type { AgentClient } from "claude-agent-service-client";

export type Way = "alone" | "asks" | "plans";
type Query = Parameters<AgentClient["query"]>[0];

const KEY = "console.way";
/** The tools that change something. */
const ASKS_ABOUT = ["Bash", "Write", "Edit", "NotebookEdit"];

export const WAYS: Record<Way, { label: string; what: string; fields: Pick<Query, "permissions" | "permission_mode" | "questions"> }> = {
  alone: { label: "Works by itself", what: "The agent runs commands and changes files without asking", fields: {} },
  asks: { label: "Asks first", what: "The agent asks before it runs a command or changes a file, and where it has a question", fields: { permissions: { ask: ASKS_ABOUT }, questions: true } },
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
