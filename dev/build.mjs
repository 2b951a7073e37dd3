/**
 * Builds the console (`console.mjs`) and the Worker, to WebAssembly in build/; does nothing if build/ is newer than everything it is made from.
 * wrangler runs it before `dev` and `deploy`; `npm run build` runs it by hand.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildConsole } from "./console.mjs";
import { notices } from "./notices.mjs";
import { bindgenTool, buildEnvironment, CARGO_TARGET, changedAt, COMPILE_WORKER, COMPILED_WORKER, ROOT, wasmToolchain } from "./tools.mjs";

const WASM = join(ROOT, "build/index_bg.wasm");
const SCRIPT = join(ROOT, "build/index.js");
export const NOTICES = join(ROOT, "build/THIRD_PARTY_NOTICES");
const INPUTS = ["src", "Cargo.toml", "Cargo.lock", "container/package-lock.json", "console/package-lock.json", "clients/typescript/package-lock.json", "dev/build.mjs", "dev/notices.mjs", "dev/bindgen"];
/** The JavaScript around Rust. It imports wasm-bindgen's output under the name `rust`. */
const SHELL = join(ROOT, "src/platform/worker.js");
/** dev/bindgen's output for the compiled Worker: `index.js` and `index_bg.wasm`. */
const BOUND = join(CARGO_TARGET, "worker");
const BUNDLE_OPTIONS = ["--bundle", "--minify", "--format=esm", "--log-level=warning", "--external:./index_bg.wasm", "--external:cloudflare:*", "--external:node:zlib", `--alias:rust=${join(BOUND, "index.js")}`];
/**
 * Chosen for the gzipped size: without the functions' names (a panic reports its file and line without them), and without inlining
 * functions that have one caller, which makes the code shorter but 6 % longer when gzipped. The features are those that rustc and
 * wasm-bindgen use.
 */
const OPTIMISE = [
  ...["-Os", "--one-caller-inline-max-function-size", "0"],
  ...["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types", "exception-handling"].map(
    (feature) => `--enable-${feature}`,
  ),
];

function isFresh() {
  const newestInput = Math.max(...INPUTS.map((input) => changedAt(join(ROOT, input))));
  return [SCRIPT, WASM, NOTICES].every((file) => changedAt(file) > newestInput);
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

/** Reports a build that fails, and sets the exit status. */
function build() {
  if (isFresh()) return;
  const toolchain = wasmToolchain();
  const bindgen = bindgenTool();
  if (toolchain === undefined || !existsSync(bindgen.bin)) return fail("wasm-bindgen or the wasm32 target is missing: run `npm run setup`");
  const started = Date.now();
  console.log("build: compiling the Worker to WebAssembly (about a minute the first time)");
  const bin = join(ROOT, "node_modules/.bin");
  const env = buildEnvironment(toolchain);
  const made =
    step(env, "cargo", COMPILE_WORKER) &&
    step(env, bindgen.bin, [COMPILED_WORKER, BOUND]) &&
    importPlainly(join(BOUND, "index.js")) &&
    step(env, join(bin, "esbuild"), [...BUNDLE_OPTIONS, `--outfile=${SCRIPT}`, SHELL]) &&
    step(env, join(bin, "wasm-opt"), [...OPTIMISE, join(BOUND, "index_bg.wasm"), "-o", WASM]) &&
    writeNotices();
  // A half-finished build must not count as fresh.
  if (!made) return rmSync(WASM, { force: true });
  const { rawBytes, gzippedBytes } = wasmSize();
  console.log(`build: ${((Date.now() - started) / 1000).toFixed(1)} s, WASM ${kilobytes(rawBytes)}, ${kilobytes(gzippedBytes)} gzipped`);
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} command
 * @param {string[]} args
 */
function step(env, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, env, stdio: "inherit" });
  const name = basename(command);
  if (error !== undefined) fail(`${name} did not start: ${error.message}`);
  else if (status !== 0) fail(`${name} failed; what it said is above`);
  return status === 0;
}

/**
 * Removes the keyword `source` from the import of the WASM module, because the runtime does not know it.
 * @param {string} file
 */
function importPlainly(file) {
  writeFileSync(file, readFileSync(file, "utf8").replace("import source ", "import "));
  return true;
}

function writeNotices() {
  try {
    writeFileSync(NOTICES, notices());
    return true;
  } catch (error) {
    fail(`no third-party notices: ${String(error)}`);
    return false;
  }
}

/** @param {string} sentence */
function fail(sentence) {
  console.error(`build: ${sentence}`);
  process.exitCode = 1;
}

if (import.meta.filename === process.argv[1]) {
  if (!buildConsole()) process.exitCode = 1;
  build();
}
