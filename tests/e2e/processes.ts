/*
 * Looks at the machine's processes through /proc: who descends from whom, who lives. Kills only what it is told to.
 */
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 50;
const MAX_COMMAND_CHARS = 200;

type Stat = { pid: number; parent: number; state: string };

function statOf(pid: number): Stat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name stands in parentheses and may hold spaces.
    const [state = "", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { pid, parent: Number(parent), state };
  } catch {
    return undefined;
  }
}

/** All processes below this one. */
export function descendantsOf(pid: number): number[] {
  const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []));
  const below = new Set([pid]);
  for (let size = 0; size !== below.size; ) {
    size = below.size;
    for (const stat of all) if (below.has(stat.parent)) below.add(stat.pid);
  }
  below.delete(pid);
  return [...below];
}

/** The name of the program that it runs. */
export function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

export function parentOf(pid: number): number {
  return statOf(pid)?.parent ?? 0;
}

/** Whether it runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state !== undefined && state !== "Z";
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, MAX_COMMAND_CHARS);
  } catch {
    return "";
  }
}

/** Waits until a process that is not our child is gone: the kernel offers no event for that. */
export async function gone(pid: number, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    if (performance.now() > deadline) throw new Error(`process ${pid} still runs after ${timeoutMs} ms: ${commandOf(pid)}`);
    await sleep(POLL_MS);
  }
}
