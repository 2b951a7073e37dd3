/**
 * `npm run check`: everything that is checked without running the product: formatting, lints on the host and on wasm32,
 * types, the size of the WASM, and a deployment's dry run. Runs all of it, shows what failed, and exits 1 if anything did.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { dryRun } from "./dry-run.ts";
import { run } from "./process.ts";
import type { Outcome } from "./process.ts";
import { buildEnvironment, ROOT, WASM_TARGET, wasmToolchain } from "./tools.mjs";
import { NOTICES, wasmSize } from "./build.mjs";
import { notices } from "./notices.mjs";

/** The Worker has to stay quick to load: a cap that a new dependency runs into, not one that grows with it. The platform takes 10 MB. */
const MAX_GZIPPED_WASM_BYTES = 750_000;
const TSC = join(ROOT, "node_modules/.bin/tsc");

const toolchain = wasmToolchain() ?? "default";
const checks: [name: string, check: () => Promise<Outcome>][] = [
  ["cargo fmt", () => run("cargo", ["fmt", "--check"], { quiet: true })],
  ["cargo fmt, dev/bindgen", () => run("cargo", ["fmt", "--check", "--manifest-path", "dev/bindgen/Cargo.toml"], { quiet: true })],
  ["clippy, host", () => run("cargo", ["clippy", "--quiet", "--locked", "--all-targets", "--", "-D", "warnings"], { quiet: true })],
  [
    `clippy, ${WASM_TARGET}`,
    () =>
      run("cargo", ["clippy", "--quiet", "--locked", "--lib", "--release", "--target", WASM_TARGET, "--", "-D", "warnings"], {
        quiet: true,
        env: buildEnvironment(toolchain),
      }),
  ],
  ["types, dev and end-to-end tests", () => run(TSC, ["--noEmit", "-p", "."], { quiet: true })],
  ["types, agent server", () => run(TSC, ["--noEmit", "-p", "container"], { quiet: true })],
  ["types, TypeScript client", () => run(TSC, ["--noEmit", "-p", "clients/typescript"], { quiet: true })],
  ["types, console", () => run(TSC, ["--noEmit", "-p", "console"], { quiet: true })],
  ["types, tests of the console", () => run(TSC, ["--noEmit", "-p", "console/test"], { quiet: true })],
  ["the TypeScript client's types are openapi.json's", () => run(process.execPath, [join(ROOT, "clients/typescript/generate.ts"), "--check"], { quiet: true })],
  ["openapi.json breaks no client of the last release", () => run(process.execPath, [join(ROOT, "dev/openapi-compatibility.ts")], { quiet: true })],
  ["the Worker builds", () => run(process.execPath, [join(ROOT, "dev/build.mjs")], { quiet: true })],
  ["size of the WASM", checkSize],
  ["third-party notices", checkNotices],
  ["wrangler deploy --dry-run", dryRun],
];

async function checkSize(): Promise<Outcome> {
  const { rawBytes, gzippedBytes } = wasmSize();
  const output = `${rawBytes} bytes, ${gzippedBytes} gzipped, at most ${MAX_GZIPPED_WASM_BYTES}\n`;
  return { ok: gzippedBytes <= MAX_GZIPPED_WASM_BYTES, output, seconds: 0 };
}

/** Beside the WASM stands what is true now, and no licence is unknown. */
async function checkNotices(): Promise<Outcome> {
  const ok = (await readFile(NOTICES, "utf8")) === notices();
  return { ok, output: `${NOTICES} is not what dev/notices.mjs finds: remove build/ and build again\n`, seconds: 0 };
}

let failed = 0;
for (const [name, check] of checks) {
  const { ok, output, seconds } = await check().catch((error: unknown): Outcome => ({ ok: false, output: `${String(error)}\n`, seconds: 0 }));
  console.log(`check: ${ok ? "ok    " : "FAILED"} ${name} (${seconds.toFixed(1)} s)`);
  if (!ok) console.log(output);
  if (!ok) failed++;
}
process.exitCode = failed === 0 ? 0 : 1;
