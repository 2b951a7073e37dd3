/**
 * What a workspace costs: its first save, a scan that finds nothing, three changed files, a restore; the main loop's longest delay
 * meanwhile, and the memory of a process that holds it. Trees are made of this checkout's node_modules. `TMPDIR` says on which disk.
 *
 *     node bench/workspaces.ts
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { IDLE_MS, Jobs } from "../src/workspace/jobs.ts";
import type { SaveJob, SaveOutcome } from "../src/workspace/work.ts";

const SOURCES = ["../node_modules", "node_modules"].map((path) => join(import.meta.dirname, "..", path));
/** Programs of hundreds of megabytes say nothing about trees of many files. */
const MAX_FILE_BYTES = 1024 * 1024;
const LIMIT_MS = 600_000;
const WORKSPACES = [225, 23_000, 50_000];

const scratch = mkdtempSync(join(tmpdir(), "workspaces-bench-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
// The queue alone keeps no process alive.
setInterval(() => {}, LIMIT_MS);

/** Copies until there are so many files; answers some of them. */
function fill(root: string, files: number): string[] {
  const made: string[] = [];
  const copy = (from: string, to: string): void => {
    mkdirSync(to, { recursive: true });
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      if (made.length === files) return;
      const source = join(from, entry.name);
      if (entry.isDirectory()) copy(source, join(to, entry.name));
      if (!entry.isFile() || lstatSync(source).size > MAX_FILE_BYTES) continue;
      cpSync(source, join(to, entry.name));
      made.push(join(to, entry.name));
    }
  };
  for (let round = 0; made.length < files; round++) for (const [n, source] of SOURCES.entries()) if (existsSync(source)) copy(source, join(root, `${round}-${n}`));
  return made;
}

async function timed<T>(work: Promise<T>): Promise<{ ms: number; delay: number; result: T }> {
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  const begun = performance.now();
  const result = await work;
  const ms = Math.round(performance.now() - begun);
  loop.disable();
  return { ms, delay: Math.round(loop.max / 1e6), result };
}

const rss = (): number => Math.round(process.memoryUsage.rss() / 1024 / 1024);

/** In a process of its own: what one holds is not another's. */
async function measured(files: number): Promise<object> {
  const folder = join(scratch, String(files));
  const where = { root: join(folder, "workspace"), user: undefined, store: join(folder, "store") };
  const [first = "", second = "", third = ""] = fill(where.root, files);
  const jobs = new Jobs();
  const save = (base: number): Promise<SaveOutcome> => {
    const job: SaveJob = { kind: "save", ...where, base, exclude: [], maxFiles: 60_000, maxBytes: 2 ** 32, deadline: Date.now() + LIMIT_MS };
    return jobs.run<"save">(job, LIMIT_MS);
  };
  // The thread's start is not the save's.
  await jobs.run<"drop">({ kind: "drop", store: where.store }, LIMIT_MS);
  const before = rss();
  const built = await timed(save(0));
  if (!("save" in built.result)) throw new Error("nothing was saved");
  const { packs, index_bytes } = built.result.save;
  cpSync(join(where.store, "save"), join(folder, "stored"), { recursive: true });
  await jobs.run<"promote">({ kind: "promote", store: where.store }, LIMIT_MS);
  const unchanged = await timed(save(1));
  for (const file of [first, second, third]) appendFileSync(file, "changed");
  const changed = await timed(save(1));
  if (!("save" in changed.result)) throw new Error("the changes were not saved");
  const other = { root: join(folder, "restored"), user: undefined, store: join(folder, "other-store") };
  mkdirSync(other.root);
  const index = join(folder, "index");
  writeFileSync(index, restoreBody(join(folder, "stored/index"), packs));
  const restored = await timed(restore(jobs, other, index, join(folder, "stored")));
  const most = rss();
  await sleep(2 * IDLE_MS);
  return {
    files,
    MB: Math.round(built.result.save.bytes / 1e6),
    "first save": built.ms,
    unchanged: unchanged.ms,
    "3 changed": changed.ms,
    "sent, KB": Math.round(changed.result.save.packs.reduce((sum, { bytes }) => sum + bytes, 0) / 1e3),
    "stored, MB": Math.round(packs.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6),
    packs: packs.length,
    "index, KB": Math.round(index_bytes / 1e3),
    restore: restored.ms,
    "longest delay": Math.max(built.delay, unchanged.delay, changed.delay, restored.delay),
    "RSS before, MiB": before,
    "at work, MiB": most,
    "held, MiB": rss(),
  };
}

function restoreBody(index: string, packs: object[]): string {
  const [head = "", ...parts] = readFileSync(index, "utf8").split("\n");
  return [JSON.stringify({ ...(JSON.parse(head) as object), packs }), ...parts].join("\n");
}

async function restore(jobs: Jobs, where: { root: string; user: undefined; store: string }, index: string, packs: string): Promise<void> {
  const { need } = await jobs.run<"begin">({ kind: "begin", ...where, index }, LIMIT_MS);
  for (const no of need) await jobs.run<"extract">({ kind: "extract", ...where, no, pack: join(packs, String(no)) }, LIMIT_MS);
}

const [files] = process.argv.slice(2);
if (files !== undefined) process.stdout.write(JSON.stringify(await measured(Number(files))));
else console.table(WORKSPACES.map((each) => JSON.parse(execFileSync(process.execPath, [import.meta.filename, String(each)], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })) as object));
process.exit();
