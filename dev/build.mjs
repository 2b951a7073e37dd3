/**
 * Builds the Worker to WebAssembly in build/, and does nothing where build/ is newer than everything it is made of.
 * wrangler calls it before `dev` and `deploy`; `npm run build` calls it by hand.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildEnvironment, cargoTools, ROOT, wasmToolchain, WORKER_BUILD_VERSION } from "./tools.mjs";

const WASM = join(ROOT, "build/index_bg.wasm");
const OUTPUTS = [join(ROOT, "build/index.js"), WASM];
const INPUTS = ["src", "Cargo.toml", "Cargo.lock", "dev/build.mjs"];
const SMALL = join(ROOT, "build/index_bg.small.wasm");
const WASM_OPT = join(ROOT, "node_modules/binaryen/bin/wasm-opt");
/**
 * For the size that counts, the gzipped one: without the functions' names (a panic tells its file and line without them), which
 * worker-build's own pass keeps, so Cargo.toml switches that off; and without inlining functions of one caller, which makes the code
 * shorter but, gzipped, 6 % longer. The features are those that rustc and wasm-bindgen use.
 */
const OPTIMISE = [
  ...["-Os", "--one-caller-inline-max-function-size", "0"],
  ...["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types", "exception-handling"].map(
    (feature) => `--enable-${feature}`,
  ),
];

/**
 * The newest time of change at or under `path`; 0 where nothing is.
 * @param {string} path
 * @returns {number}
 */
function changedAt(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => changedAt(join(path, name))));
}

function isFresh() {
  const newestInput = Math.max(...INPUTS.map((input) => changedAt(join(ROOT, input))));
  return OUTPUTS.every((file) => changedAt(file) > newestInput);
}

/** @returns {{rawBytes: number, gzippedBytes: number}} */
export function wasmSize() {
  const wasm = readFileSync(WASM);
  return { rawBytes: wasm.length, gzippedBytes: gzipSync(wasm, { level: 9 }).length };
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} KB`;
}

/** Fails with a sentence where the build cannot be done. */
function build() {
  if (isFresh()) return;
  const toolchain = wasmToolchain();
  const { workerBuild } = cargoTools();
  if (toolchain === undefined || !existsSync(workerBuild.bin)) {
    return fail(`worker-build ${WORKER_BUILD_VERSION} or the wasm32 target is missing: run \`npm run setup\``);
  }
  const started = Date.now();
  console.log("build: compiling the Worker to WebAssembly (about a minute the first time)");
  const { status, error } = spawnSync(workerBuild.bin, ["--release"], { cwd: ROOT, env: buildEnvironment(toolchain), stdio: "inherit" });
  if (error !== undefined) return fail(`worker-build did not start: ${error.message}`);
  if (status !== 0) return fail("worker-build failed; what it said is above");
  const optimised = spawnSync(process.execPath, [WASM_OPT, ...OPTIMISE, WASM, "-o", SMALL], { cwd: ROOT, stdio: "inherit" });
  if (optimised.status !== 0) {
    // What is not optimised must not pass for fresh.
    rmSync(WASM, { force: true });
    return fail("wasm-opt failed; what it said is above");
  }
  renameSync(SMALL, WASM);
  const { rawBytes, gzippedBytes } = wasmSize();
  console.log(`build: ${((Date.now() - started) / 1000).toFixed(1)} s, WASM ${kilobytes(rawBytes)}, ${kilobytes(gzippedBytes)} gzipped`);
}

/** @param {string} sentence */
function fail(sentence) {
  console.error(`build: ${sentence}`);
  process.exitCode = 1;
}

if (import.meta.filename === process.argv[1]) build();
