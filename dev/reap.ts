/**
 * Ends every process of a container or of wrangler, as the end of a PID namespace would.
 * Finds them by their process group and, on Linux, by a directory's name in their environment, so that a daemon that made
 * its own session is found too. It never touches a process without that mark.
 */
import { readFile, readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** A process can fork while its siblings are killed, and takes a moment to die. */
const MAX_ROUNDS = 100;
const ROUND_MS = 10;
const LOOK_MS = 100;

/** Resolves when none of them runs any more. */
export async function killProcesses(leader: number, mark: string): Promise<void> {
  let dying: number[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const groupLives = killGroupNow(leader);
    const marked = await markedProcesses(mark);
    for (const pid of marked) kill(pid);
    // What is dying has lost its environment, and its mark, before it is dead.
    const known = new Set([...dying, ...marked]);
    dying = [];
    for (const pid of known) if (await isRunning(pid)) dying.push(pid);
    // A group of zombies that nobody reaps still takes signals: on Linux the processes themselves say who lives.
    if (dying.length === 0 && (process.platform === "linux" || !groupLives)) return;
    await sleep(ROUND_MS);
  }
}

/** Resolves when the marked ones have ended by themselves, or when they had long enough. On Linux only; elsewhere at once. */
export async function processesEnd(mark: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while ((await markedProcesses(mark)).length > 0 && performance.now() < deadline) await sleep(LOOK_MS);
}

/** The part of `killProcesses` that works in an exit handler. Says whether there was someone to kill. */
export function killGroupNow(leader: number): boolean {
  return kill(-leader);
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

async function markedProcesses(mark: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const marked = await Promise.all(pids.map(async (pid) => ((await isMarked(pid, mark)) ? pid : 0)));
  return marked.filter((pid) => pid !== 0 && pid !== process.pid);
}

async function isMarked(pid: number, mark: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/environ`, "latin1")).includes(mark);
  } catch {
    return false;
  }
}

/** A zombie doesn't run. The state stands behind the command's name, which is in parentheses and may hold anything. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
  } catch {
    return false;
  }
}
