/**
 * `npm test`: every suite in order, from the quickest to the one that drives the whole product, then a table and the sum.
 * `npm test -- e2e cancel` runs the suites and the tests of these names. A suite that fails does not hide the others.
 */
import { join } from "node:path";
import { run } from "./process.ts";
import { ROOT } from "./tools.mjs";

type Counts = { passed: number; failed: number };
type Suite = {
  name: string;
  what: string;
  command: (pattern: string | undefined) => [program: string, ...args: string[]];
  count: (output: string) => Counts | undefined;
  cwd?: string;
  /** Its files start the product at the same time, and must not build it so. */
  needsBuild?: true;
};

/** For one file of tests: far more than it takes, so that what hangs is named and ended. */
const FILE_TIME_LIMIT_MS = 15 * 60_000;

/** Files that run at the same time. Much of the end-to-end tests is waiting; other suites keep two cores busy one file at a time. */
const END_TO_END_FILES_AT_ONCE = 2;

const nodeTests = (globs: string[], atOnce = 1) => (pattern: string | undefined): [string, ...string[]] => [
  process.execPath,
  "--test",
  "--test-reporter=spec",
  `--test-concurrency=${atOnce}`,
  `--test-timeout=${FILE_TIME_LIMIT_MS}`,
  ...(pattern === undefined ? [] : [`--test-name-pattern=${pattern}`]),
  ...globs,
];

const SUITES: Suite[] = [
  {
    name: "rust",
    what: "domain, store and use cases, on the host",
    command: (pattern) => ["cargo", "test", "--locked", "--no-fail-fast", ...(pattern === undefined ? [] : [pattern])],
    count: countCargo,
  },
  {
    name: "dev",
    what: "the container engine, the stand-in of the model",
    command: nodeTests(["dev/test/**/*.test.ts", "dev/model/test/**/*.test.ts"]),
    count: countNode,
  },
  {
    name: "container",
    what: "the agent server with the real SDK",
    command: nodeTests(["test/**/*.test.ts"]),
    count: countNode,
    cwd: join(ROOT, "container"),
  },
  { name: "client", what: "the TypeScript client, against the product", command: nodeTests(["clients/typescript/test/**/*.test.ts"]), count: countNode },
  { name: "console", what: "the console, in Chromium, against the product", command: nodeTests(["console/test/**/*.test.ts"]), count: countNode },
  { name: "e2e", what: "the whole product, over HTTP", command: nodeTests(["tests/e2e/*.test.ts"], END_TO_END_FILES_AT_ONCE), count: countNode, needsBuild: true },
  { name: "alone", what: "the product, where memory is measured: one file at a time", command: nodeTests(["tests/e2e/alone/*.test.ts"]), count: countNode },
];

/** One line per test binary. */
function countCargo(output: string): Counts | undefined {
  return sum(output.matchAll(/^test result: .*?(?<passed>\d+) passed; (?<failed>\d+) failed/gm));
}

/** The reporter's last lines, where a test that never ended counts as cancelled. */
function countNode(output: string): Counts | undefined {
  const summary = /^ℹ pass (?<passed>\d+)\n^ℹ fail (?<failed>\d+)\n^ℹ cancelled (?<cancelled>\d+)/gm;
  return sum(output.matchAll(summary));
}

function sum(matches: Iterable<RegExpMatchArray>): Counts | undefined {
  let counts: Counts | undefined;
  for (const { groups } of matches) {
    counts ??= { passed: 0, failed: 0 };
    counts.passed += Number(groups?.["passed"]);
    counts.failed += Number(groups?.["failed"]) + Number(groups?.["cancelled"] ?? 0);
  }
  return counts;
}

const words = process.argv.slice(2);
const named = SUITES.filter(({ name }) => words.includes(name));
const pattern = words.find((word) => SUITES.every(({ name }) => name !== word));
const rows: { name: string; counts: Counts; seconds: number; ok: boolean }[] = [];
for (const { name, what, command, count, cwd, needsBuild } of named.length > 0 ? named : SUITES) {
  console.log(`\n━━ ${name}: ${what}\n`);
  if (needsBuild) await run(process.execPath, [join(ROOT, "dev/build.mjs")]);
  const [program, ...args] = command(pattern);
  const { ok, output, seconds } = await run(program, args, { ...(cwd !== undefined && { cwd }) });
  // Without a summary the suite did not run to its end, whatever it printed.
  const counts = count(output) ?? { passed: 0, failed: 1 };
  if (!ok && counts.failed === 0) counts.failed = 1;
  rows.push({ name, counts, seconds, ok: ok && counts.failed === 0 });
}

const total = rows.reduce((all, { counts }) => ({ passed: all.passed + counts.passed, failed: all.failed + counts.failed }), { passed: 0, failed: 0 });
console.log(`\n${"suite".padEnd(12)}${"passed".padStart(8)}${"failed".padStart(8)}${"seconds".padStart(10)}`);
for (const { name, counts, seconds } of rows) {
  console.log(`${name.padEnd(12)}${String(counts.passed).padStart(8)}${String(counts.failed).padStart(8)}${seconds.toFixed(1).padStart(10)}`);
}
const ok = rows.every((row) => row.ok) && total.passed > 0;
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = ok ? 0 : 1;
