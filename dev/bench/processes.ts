/** What Linux says in /proc about processes: processor time, memory, descent. Elsewhere it says nothing: undefined. */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

/** USER_HZ: fixed at 100 on every Linux that Node runs on. */
const TICK_US = 10_000;
const KIB_PER_MIB = 1024;

/** User and system time of all its threads since it started. */
export function cpuMicros(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** Processor time of its threads since they started, to the nanosecond: for differences over moments in which none ends. */
export function threadsMicros(pid: number): number | undefined {
  if (process.platform !== "linux") return undefined;
  const ran = readdirSync(`/proc/${pid}/task`).map((thread) => Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0]));
  const ns = ran.reduce((sum, each) => sum + each, 0);
  return ns > 0 ? ns / 1000 : undefined;
}

/** Its resident memory, with pages that it shares counted in part (`Pss`). */
export function memoryMib(pid: number): number | undefined {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1];
  return kib === undefined ? undefined : Number(kib) / KIB_PER_MIB;
}

/** Its resident memory, and the most that this was since `forgetPeak`. */
export function residentMib(pid: number): { now: number; peak: number } | undefined {
  const status = read(`/proc/${pid}/status`);
  const mib = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / KIB_PER_MIB;
  return status === "" ? undefined : { now: mib("VmRSS"), peak: mib("VmHWM") };
}

/** proc(5): 5 in clear_refs sets the peak to what is resident now. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

export function childrenOf(pid: number): number[] {
  if (process.platform !== "linux") return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((child) => Number(statFields(child)?.[1]) === pid);
}

/** All below this one that run a program of that name. */
export function descendantsOf(pid: number, name: string): number[] {
  return childrenOf(pid).flatMap((child) => [...(read(`/proc/${child}/comm`).trim() === name ? [child] : []), ...descendantsOf(child, name)]);
}

/** From the state on: the name before it stands in parentheses and may hold anything. */
function statFields(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === "" ? undefined : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
