/**
 * What the files of a conversation cost its turns, through the whole stack with R2 as miniflare has it: their save at a turn's end, their
 * restore into a new container, their way over HTTP, and the memory of workerd and of the agent server meanwhile. The last part is what a
 * turn without files pays for the bucket: nothing.
 */
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { IDLE_MS as THREAD_IDLE_MS } from "../../container/src/workspace/jobs.ts";
import { startModel } from "../model/server.ts";
import type { Model } from "../model/server.ts";
import { ROOT } from "../tools.mjs";
import { AgentFiles } from "./agent-files.ts";
import type { Saved } from "./agent-files.ts";
import type { Turned } from "./client.ts";
import { compare, median, ms, table, verdict } from "./figures.ts";
import type { Pair } from "./figures.ts";
import { descendantsOf, forgetPeak, residentMib } from "./processes.ts";

const SMALL = { files: 225, largest: 9_000, smallest: 1_500 };
const LARGE = { files: 23_257, largest: 8 * 1024 * 1024, smallest: 0 };
/** As many as a workspace may have. */
const MOST_FILES = 50_000;
const BIG_FILE_BYTES = 200_000_000;
const UPLOAD_BYTES = 90_000_000;
const SMALL_ROUNDS = 7;
const LARGE_ROUNDS = 5;
const SMALL_RESTORES = 5;
const LARGE_RESTORES = 1;
const PROMPT = "What is 2+2?";
const WARM_UP = 40;
const WARM_ROUNDS = 200;

const MAX_LATER_MS = 800;
const MAX_WORKERD_MIB = 64;
const MAX_SERVER_MIB = 300;
/** What a measured time may be of the design's, which were taken on another day. */
const ALLOWED = 1.3;

export async function run(): Promise<void> {
  if (residentMib(process.pid) === undefined) return console.log("workspaces: is left out: it needs Linux");
  const scratch = await mkdtemp(join(tmpdir(), "agent-bench-"));
  const closing: (() => Promise<void>)[] = [() => rm(scratch, { recursive: true, force: true, maxRetries: 5 })];
  try {
    const model = await startModel();
    closing.push(() => model.close());
    const agent = await AgentFiles.start(model);
    const stop = (): Promise<void> => agent.stack.stop();
    closing.push(stop);
    await measure(agent, scratch);
    await stop();
    await warmTurns(model, closing);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

type Row = { name: string; figure: string; target?: string };

async function measure(agent: AgentFiles, scratch: string): Promise<void> {
  const empty = await agent.client.query("[[say hello]]");
  const memory = new WorkerdMemory();
  await warmUp(agent);
  memory.begin();
  const rows: Row[] = [];

  say(`${SMALL.files} files`);
  const small = await tree(agent, await lists(scratch, SMALL), SMALL_ROUNDS, { first: 65, same: 30, changed: 70 });
  rows.push(...small.rows, await restores(agent, small.last, empty.sessionId, SMALL_RESTORES, 170));
  memory.phase(`${SMALL.files} files: saves and restores`);

  say(`${LARGE.files} files`);
  const large = await tree(agent, await lists(scratch, LARGE), LARGE_ROUNDS, { first: 4_400, same: 300, changed: 630 });
  rows.push(...large.rows);
  memory.phase(`${LARGE.files} files: saves`);
  rows.push(await restores(agent, large.last, empty.sessionId, LARGE_RESTORES, 15_000));
  memory.phase(`${LARGE.files} files: restore`);
  rows.push(...(await reads(agent, large.last)));
  memory.phase(`${LARGE.files} files: list and archive`);

  say("large files");
  rows.push(...(await bigFile(agent, empty.sessionId, memory)));
  const upload = randomBytes(UPLOAD_BYTES);
  rows.push({ name: `upload of ${mb(UPLOAD_BYTES)}`, figure: seconds(await agent.upload(empty.sessionId, "upload.bin", upload)) });
  const returned = await agent.download(empty.sessionId, "upload.bin");
  same(returned.sha256, createHash("sha256").update(upload).digest("hex"), "an upload");
  memory.phase("upload and its download");

  say(`${MOST_FILES} files`);
  const held = await serverMemory(agent, large.last, scratch);
  memory.phase(`${MOST_FILES} files: save`);

  console.log(`
workspaces: medians; a save is from a turn's last text to its end; targets are ${ALLOWED} × the design's figures

${table(["", "measured", "target"], rows.map(({ name, figure, target = "" }) => [name, figure, target]))}

workspaces: resident memory of workerd in MiB, one part after the other; miniflare's R2 and what V8 has not collected yet are in it

${table(["", "before", "at its peak", "more", "target"], memory.rows())}

${held}`);
}

/** The first use of all that is measured; what it compiles and allocates is not counted. */
async function warmUp(agent: AgentFiles): Promise<void> {
  const { sessionId } = await agent.run("head -c 3000000 /dev/urandom > warm; touch up");
  await agent.run("echo more >> up", sessionId);
  const restarted = await agent.restart(await agent.run("true", sessionId), sessionId);
  await agent.archive(restarted.sessionId);
  await agent.download(restarted.sessionId, "warm");
  await agent.upload(restarted.sessionId, "upload", randomBytes(1_000_000));
}

type Lists = { copy: string; changed: readonly string[]; bytes: number };

/** Files of this checkout's packages, as often as it takes, as lists that a shell's command copies by. */
async function lists(scratch: string, { files, smallest, largest }: typeof SMALL, from = 0): Promise<Lists> {
  const trees = ["node_modules", "container/node_modules"].map((path) => join(ROOT, path));
  const found = trees.map((tree) => {
    const all = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = all.map((entry) => relative(tree, join(entry.parentPath, entry.name))).sort();
    return { tree, paths: paths.filter((path) => isBetween(lstatSync(join(tree, path)).size, smallest, largest)) };
  });
  const copies: string[] = [];
  const changed: string[] = [];
  let [left, bytes] = [files, 0];
  for (let round = from; left > 0; round++) {
    for (const [n, { tree, paths }] of found.entries()) {
      const taken = paths.slice(0, left);
      if (taken.length === 0) continue;
      left -= taken.length;
      const [list, folder] = [join(scratch, `${files}-${round}-${n}`), `copy-${round}-${n}`];
      await writeFile(list, taken.join("\n"));
      copies.push(`mkdir -p ${folder} && tar -C ${tree} -cf - -T ${list} | tar -C ${folder} -xf -`);
      bytes += taken.reduce((sum, path) => sum + lstatSync(join(tree, path)).size, 0);
      const texts = taken.filter((path) => path.endsWith(".js") || path.endsWith(".ts") || path.endsWith(".json"));
      for (const share of [0.1, 0.5, 0.9]) changed.push(join(folder, texts[Math.floor(texts.length * share)] ?? taken[0] ?? ""));
    }
  }
  return { copy: copies.join(" && "), changed: changed.slice(0, 3), bytes };
}

function isBetween(size: number, smallest: number, largest: number): boolean {
  return size >= smallest && size <= largest;
}

type Design = { first: number; same: number; changed: number };

/** A tree in a conversation of its own: its first save, then turns that change nothing and turns that change three files, one after the other. */
async function tree(agent: AgentFiles, { copy, changed, bytes }: Lists, rounds: number, design: Design): Promise<{ rows: Row[]; last: Saved }> {
  const { sessionId } = await agent.client.query("[[say hello]]");
  const first = await agent.run(copy, sessionId);
  const [files, build, packs, stored] = ["files", "ms", "packs", "pack_bytes"].map((field) => first.build?.[field]);
  const write = changed.map((file) => `echo '// changed' >> '${file}'`).join("; ");
  const [same, written]: [Saved[], Saved[]] = [[], []];
  let last = first;
  for (let round = 0; round < rounds; round++) {
    same.push(await agent.run("true", sessionId));
    last = await agent.run(write, sessionId);
    written.push(last);
  }
  const [calm, scanned, saved] = [await withoutTools(agent, sessionId, rounds), median(same.map(savingMs)), median(written.map(savingMs))];
  const later = median(written.map((turn, round) => turn.savingMs - (same[round]?.savingMs ?? NaN)));
  const named = `${String(files)} files, ${mb(bytes)}`;
  const sent = written.map((turn) => Number(turn.build?.["pack_bytes"]));
  return {
    last,
    rows: [
      { name: `${named}: first save`, figure: `${seconds(first.savingMs)} (packing ${seconds(Number(build))}), ${String(packs)} objects`, target: within(first.savingMs, design.first) },
      { name: "  stored", figure: mb(Number(stored)) },
      { name: "  a turn without tools", figure: seconds(calm) },
      { name: "  nothing changed", figure: seconds(scanned), target: within(scanned, design.same) },
      { name: "  3 files changed", figure: `${seconds(saved)}, ${kb(median(sent))}`, target: within(saved, design.changed) },
      { name: "  3 files changed, against nothing", figure: seconds(later), target: verdict({ text: `≤ + ${seconds(MAX_LATER_MS)}`, met: later <= MAX_LATER_MS }) },
    ],
  };
}

async function withoutTools(agent: AgentFiles, sessionId: string, rounds: number): Promise<number> {
  const turns: number[] = [];
  for (let round = 0; round < rounds; round++) turns.push(savingMs(await agent.client.stream("[[say hello]]", sessionId)));
  return median(turns);
}

function savingMs({ ms, lastTextMs }: Turned): number {
  return ms - lastTextMs;
}

/** An answer in a new container, against one in a conversation without files: they take turns. */
async function restores(agent: AgentFiles, last: Turned, empty: string, rounds: number, design: number): Promise<Row> {
  const more: number[] = [];
  let before = last;
  for (let round = 0; round < rounds; round++) {
    const without = await agent.restart(before, empty);
    before = await agent.restart(without, last.sessionId);
    more.push(before.ms - without.ms);
  }
  const restored = median(more);
  return { name: "  restore, against a new container without files", figure: seconds(restored), target: within(restored, design) };
}

async function reads(agent: AgentFiles, { sessionId }: Turned): Promise<Row[]> {
  const list = await agent.download(sessionId);
  const archive = await agent.archive(sessionId);
  same(archive.files, LARGE.files, "the files of the archive");
  return [
    { name: "  100 of them listed", figure: seconds(list.ms) },
    { name: `  as an archive of ${mb(archive.bytes)}`, figure: seconds(archive.ms) },
  ];
}

async function bigFile(agent: AgentFiles, empty: string, memory: WorkerdMemory): Promise<Row[]> {
  const { sessionId } = await agent.client.query("[[say hello]]");
  const first = await agent.run(`head -c ${BIG_FILE_BYTES} /dev/urandom > big.bin`, sessionId);
  const write = `printf '\\377' | dd of=big.bin bs=1 seek=${BIG_FILE_BYTES / 2 + 1} conv=notrunc status=none`;
  const changed = await agent.run(`printf '\\0' | dd of=big.bin bs=1 seek=${BIG_FILE_BYTES / 2} conv=notrunc status=none; ${write}; sha256sum big.bin`, sessionId, "");
  memory.phase(`a file of ${mb(BIG_FILE_BYTES)}: saves`);
  const sent = Number(changed.build?.["pack_bytes"]);
  const read = await agent.download(sessionId, "big.bin");
  same(read.sha256, /[0-9a-f]{64}/.exec(changed.response)?.[0], "the large file");
  memory.phase(`a file of ${mb(BIG_FILE_BYTES)}: download`);
  const restored = await restores(agent, changed, empty, 1, 1_400);
  memory.phase(`a file of ${mb(BIG_FILE_BYTES)}: restore`);
  return [
    { name: `one file of ${mb(BIG_FILE_BYTES)}: first save`, figure: `${seconds(first.savingMs)} (packing ${seconds(Number(first.build?.["ms"]))})`, target: within(first.savingMs, 4_800) },
    { name: "  a byte of it changed", figure: `${seconds(changed.savingMs)}, ${mb(sent)}`, target: verdict({ text: "≤ 1.1 MB", met: sent <= 1_100_000 }) },
    { name: "  download, hash as in the container", figure: seconds(read.ms), target: within(read.ms, 750) },
    restored,
  ];
}

/** The agent server while it saves as many files as it may hold, and when it has nothing to do. */
async function serverMemory(agent: AgentFiles, { sessionId }: Turned, scratch: string): Promise<string> {
  const { copy } = await lists(scratch, { ...LARGE, files: MOST_FILES - LARGE.files }, 10);
  const before = await agent.run("true", sessionId);
  const pid = await agent.serverPid(before.turnId);
  forgetPeak(pid);
  const { turnId, savingMs: saving, build } = await agent.run(copy, sessionId);
  same(await agent.serverPid(turnId), pid, "the agent server");
  const peak = residentMib(pid)?.peak ?? NaN;
  // The thread of the save ends, and with it the memory that only its work took.
  await sleep(2 * THREAD_IDLE_MS);
  const held = residentMib(pid)?.now ?? NaN;
  return `workspaces: resident memory of the agent server with ${String(build?.["files"])} files, MiB; their save took ${seconds(saving)}

${table(["", "MiB", "target"], [
  ["at its peak, in the save", peak.toFixed(0), ""],
  ["held, when it has nothing to do", held.toFixed(0), verdict({ text: `< ${MAX_SERVER_MIB} MiB`, met: held < MAX_SERVER_MIB })],
])}`;
}

/** A turn without file tools on the Worker as it is and on one without the bucket: they take turns. */
async function warmTurns(model: Model, closing: (() => Promise<void>)[]): Promise<void> {
  say("warm turns with and without a bucket");
  const agent = await AgentFiles.start(model);
  closing.push(() => agent.stack.stop());
  const bare = await AgentFiles.start(model, { without: ["r2_buckets"] });
  closing.push(() => bare.stack.stop());
  const pair: Pair = { name: "warm turn without tools", product: [], floor: [] };
  const sides = [{ of: agent, times: pair.product }, { of: bare, times: pair.floor }];
  const sessions = await Promise.all(sides.map(async ({ of }) => (await of.client.query("[[say hello]]")).sessionId));
  let scans = 0;
  // Only after the first turn is it known that the folder is what is stored.
  for (let n = 0; n < WARM_UP; n++) for (const [side, { of }] of sides.entries()) await of.client.query(PROMPT, sessions[side]);
  agent.events.onEach((line) => {
    if (line.event.startsWith("workspace_")) scans += 1;
  });
  for (let round = 0; round < WARM_ROUNDS; round++) {
    // Each goes first as often as the other.
    for (const n of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const { of, times } = sides[n] as (typeof sides)[number];
      times.push((await of.client.query(PROMPT, sessions[n])).ms);
    }
  }
  const { product, floor, more, ratio, ratioInterval } = compare(pair);
  const slower = verdict({ text: "no slower", met: ratioInterval[0] <= 1 });
  console.log(`
workspaces: what a turn without tools pays for the bucket; medians in ms of ${WARM_ROUNDS} rounds in which both had their turn

${table(["", "with", "without", "more", "ratio", "with 95 %", "scans", "target"], [
  [pair.name, ms(product), ms(floor), ms(more), ratio.toFixed(3), ratioInterval.map((end) => end.toFixed(3)).join(" to "), String(scans), `${slower}, ${verdict({ text: "no scan", met: scans === 0 })}`],
])}`);
}

/** Of all of a stack's workerds together. */
class WorkerdMemory {
  readonly #pids = descendantsOf(process.pid, "workerd");
  readonly #phases: { name: string; before: number; peak: number }[] = [];
  #before = NaN;

  begin(): void {
    this.#before = this.#sum("now");
    this.#forget();
  }

  /** Since the last one. */
  phase(name: string): void {
    this.#phases.push({ name, before: this.#before, peak: this.#sum("peak") });
    this.begin();
  }

  rows(): string[][] {
    return this.#phases.map(({ name, before, peak }) => {
      const more = peak - before;
      return [name, before.toFixed(0), peak.toFixed(0), more.toFixed(0), verdict({ text: `< ${MAX_WORKERD_MIB} MiB`, met: more < MAX_WORKERD_MIB })];
    });
  }

  #sum(of: "now" | "peak"): number {
    return this.#pids.reduce((sum, pid) => sum + (residentMib(pid)?.[of] ?? NaN), 0);
  }

  #forget(): void {
    for (const pid of this.#pids) forgetPeak(pid);
  }
}

function same(found: unknown, expected: unknown, what: string): void {
  if (found !== expected) throw new Error(`${what}: ${String(found)}, and not ${String(expected)}`);
}

function within(value: number, design: number): string {
  return verdict({ text: `≤ ${seconds(design * ALLOWED)}`, met: value <= design * ALLOWED });
}

function say(what: string): void {
  console.log(`workspaces: measuring ${what}`);
}

function seconds(value: number): string {
  return `${(value / 1000).toFixed(value < 100 ? 3 : 2)} s`;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 10_000_000 ? 2 : 0)} MB`;
}

function kb(bytes: number): string {
  return `${(bytes / 1e3).toFixed(0)} kB`;
}
