/*
 * Ends every process of a CLI, a container or wrangler, as the end of a PID namespace would. The processes are found by their process
 * group and, on Linux, by a mark in their environment, which they inherit even through `setsid`, `nohup` and a dead parent. A process
 * that clears its environment escapes, unless its conversation has a user of its own: none of that user's processes escapes.
 * The agent server and the development programs in dev/ share this file.
 */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** The environment variable in which a CLI process carries its mark. */
export const MARK = "AGENT_PROCESS";

/** A process can fork while its siblings are killed, and takes a moment to die. */
const MAX_PASSES = 100;
const PASS_MS = 10;
const LOOK_MS = 100;

/** How the processes are recognised. */
export type Belonging = {
  /** The process that leads their group; undefined if it did not start. */
  leader: number | undefined;
  /** A string in the environment of each of them, and of no other process. */
  mark: string;
  /** A user under whom no other process runs. */
  uid?: number | undefined;
};

/** Kills the processes. Resolves when none of them runs any more, with the number of those found by mark or user. */
export async function killProcesses({ leader, mark, uid }: Belonging): Promise<number> {
  const known = new Set<number>();
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const groupLives = killGroup(leader);
    for (const pid of await marked(mark, uid)) {
      known.add(pid);
      kill(pid);
    }
    // A dying process loses its environment, and with it the mark, before it is dead.
    const running = await Promise.all([...known].map(isRunning));
    // A group of zombies still accepts signals. On Linux, the processes' own states tell who lives.
    if (!running.includes(true) && (process.platform === "linux" || !groupLives)) break;
    await sleep(PASS_MS);
  }
  return known.size;
}

/** Kills the group that a process leads, and returns whether there was one. Synchronous, so that exit handlers can call it. */
export function killGroup(leader: number | undefined): boolean {
  // Group 0 would be this process's own.
  return leader !== undefined && leader > 0 && kill(-leader);
}

/** Resolves when the marked processes have ended by themselves or the time is over. Without /proc, resolves at once. */
export async function processesEnd(mark: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while ((await marked(mark)).length > 0 && performance.now() < deadline) await sleep(LOOK_MS);
}

/** A zombie doesn't run. The state follows the command's name, which is in parentheses and may contain anything. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  return stat !== "" && stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    // ESRCH: it has ended already.
    return false;
  }
}

/** The processes that carry the mark or are the user's. */
export async function marked(mark: string, uid?: number): Promise<number[]> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => pid !== process.pid);
  const hits = await Promise.all(pids.map(async (pid) => (uid !== undefined && (await belongsTo(pid, uid))) || carries(pid, mark)));
  return pids.filter((_pid, index) => hits[index]);
}

/** A zombie's environment is empty. Only root can read another user's, and in a container not even root can. */
async function carries(pid: number, mark: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "")).includes(mark);
}

/** Compares the real user: a process's owner in /proc can be another one. A zombie has ended. */
async function belongsTo(pid: number, uid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
  return status.includes(`\nUid:\t${uid}\t`) && !status.includes("\nState:\tZ");
}
