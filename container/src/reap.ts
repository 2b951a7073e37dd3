/*
 * Ends what a CLI process leaves behind. Every process it starts inherits its mark in the environment, through
 * `setsid`, `nohup` and a dead parent alike; on Linux the mark is found in /proc. What scrubs its own environment escapes,
 * but for its user: where conversations have users of their own, none of a user's processes escapes.
 */
import { readdir, readFile } from "node:fs/promises";

/** The environment variable that carries the mark. */
export const MARK = "AGENT_PROCESS";

/** A process that forks while it is looked for is found by the next pass. */
const MAX_PASSES = 5;

/** Kills the process group that `pid` leads. Gone already is fine. */
export function killGroup(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: nothing is left of it.
  }
}

/** Kills every process that carries the mark or is the user's; answers how many there were. */
export async function killMarked(mark: string, uid?: number): Promise<number> {
  const killed = new Set<number>();
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const found = (await marked(mark, uid)).filter((pid) => !killed.has(pid));
    if (found.length === 0) break;
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
  }
  return killed.size;
}

/** The processes that carry the mark or are the user's. */
export async function marked(mark: string, uid: number | undefined): Promise<number[]> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const hits = await Promise.all(pids.map(async (pid) => (uid !== undefined && (await belongsTo(pid, uid))) || carries(pid, `${MARK}=${mark}`)));
  return pids.filter((_pid, index) => hits[index]);
}

/** A zombie's environment reads as empty; another user's is read by root alone, and in a container not even by it. */
async function carries(pid: number, variable: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
  return environment.split("\0").includes(variable);
}

/** By its real user, which its owner in /proc need not be. A zombie has ended. */
async function belongsTo(pid: number, uid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
  return status.includes(`\nUid:\t${uid}\t`) && !status.includes("\nState:\tZ");
}
