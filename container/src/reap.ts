/*
 * Ends every process of a CLI, of a container or of wrangler, as the end of a PID namespace would. They are found by their process
 * group and, on Linux, by a mark that they inherit in their environment through `setsid`, `nohup` and a dead parent alike. What scrubs
 * its own environment escapes, but for its user: where conversations have users of their own, none of a user's processes escapes.
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

/** How the processes are known. */
export type Belonging = {
  /** The process that leads their group; undefined if it did not start. */
  leader: number | undefined;
  /** A string in the environment of each of them, and of no other process. */
  mark: string;
  /** A user whom only these processes have. */
  uid?: number | undefined;
};

/** Kills them; resolves when none runs any more, with the number of those that the mark or the user told. */
export async function killProcesses({ leader, mark, uid }: Belonging): Promise<number> {
  const known = new Set<number>();
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const groupLives = killGroup(leader);
    for (const pid of await processesOf(mark, uid)) {
      known.add(pid);
      kill(pid);
    }
    // What is dying has lost its environment, and its mark, before it is dead.
    const running = await Promise.all([...known].map(isRunning));
    // A group of zombies that nobody reaps still takes signals: on Linux the processes themselves say who lives.
    if (!running.includes(true) && (process.platform === "linux" || !groupLives)) break;
    await sleep(PASS_MS);
  }
  return known.size;
}

/** Kills the group that a process leads; returns whether there was one. Exit handlers can call it: nothing is awaited. */
export function killGroup(leader: number | undefined): boolean {
  // Group 0 would be this process's own.
  return leader !== undefined && leader > 0 && kill(-leader);
}

/** Resolves when the marked ones have ended by themselves, or when the time is over. On Linux only; elsewhere at once. */
export async function processesEnd(mark: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while ((await processesOf(mark)).length > 0 && performance.now() < deadline) await sleep(LOOK_MS);
}

/** A zombie doesn't run. The state stands behind the command's name, which is in parentheses and may hold anything. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  return stat !== "" && stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    // ESRCH: it ended by itself.
    return false;
  }
}

async function processesOf(mark: string, uid?: number): Promise<number[]> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => pid !== process.pid);
  const hits = await Promise.all(pids.map(async (pid) => (uid !== undefined && (await belongsTo(pid, uid))) || carries(pid, mark)));
  return pids.filter((_pid, index) => hits[index]);
}

/** A zombie's environment reads as empty; another user's is read by root alone, and in a container not even by it. */
async function carries(pid: number, mark: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "")).includes(mark);
}

/** By its real user, which its owner in /proc need not be. A zombie has ended. */
async function belongsTo(pid: number, uid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
  return status.includes(`\nUid:\t${uid}\t`) && !status.includes("\nState:\tZ");
}
