/**
 * Ends every process of a container, as the end of a PID namespace would.
 * It finds them by their process group and, on Linux, by the container's directory in their environment,
 * so that a tool's daemon that made its own session is found too. It never touches a process without that mark.
 */
import { readFile, readdir } from "node:fs/promises";

/** A process can fork while its siblings are killed; this many rounds are enough for anything but a fork bomb. */
const MAX_ROUNDS = 10;

export async function killContainer(leader: number, mark: string): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    killGroupNow(leader);
    const left = await markedProcesses(mark);
    if (left.length === 0) return;
    for (const pid of left) tryKill(pid);
  }
}

/** The part of `killContainer` that works in an exit handler: synchronous, group only. */
export function killGroupNow(leader: number): void {
  tryKill(-leader);
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself in the meantime.
  }
}

async function markedProcesses(mark: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const marked = await Promise.all(pids.map(async (pid) => ((await isMarked(pid, mark)) ? pid : 0)));
  return marked.filter((pid) => pid !== 0 && pid !== process.pid);
}

/** A zombie's environment reads as empty: what is dead already doesn't count. */
async function isMarked(pid: number, mark: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/environ`, "latin1")).includes(mark);
  } catch {
    return false;
  }
}
