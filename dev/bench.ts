/**
 * `npm run bench`: measures the product and prints what it found beside its targets. `npm run bench -- reads` runs one part.
 * A measurement, not a test: it fails where it cannot measure, never where a target is missed.
 */
import { run as build } from "./process.ts";
import { ROOT } from "./tools.mjs";
import { join } from "node:path";

const PARTS = ["turns", "reads", "memory", "purge", "workspaces"] as const;

const named = process.argv.slice(2);
const unknown = named.filter((name) => !PARTS.some((part) => part === name));
if (unknown.length > 0) {
  console.error(`bench: there is no part "${unknown.join('", "')}"; the parts are ${PARTS.join(", ")}`);
  process.exit(2);
}
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) process.once(signal, () => process.exit(code));

const { ok } = await build(process.execPath, [join(ROOT, "dev/build.mjs")]);
if (!ok) throw new Error("the Worker does not build; what the build said is above");
for (const part of PARTS) {
  if (named.length > 0 && !named.includes(part)) continue;
  const { run } = (await import(`./bench/${part}.ts`)) as { run(): Promise<void> };
  await run();
}
