/**
 * Prepares a fresh clone so that it builds and runs: npm packages, the wasm32 target, wasm-bindgen, and a first compilation of the Worker.
 * Steps that do not need each other run at the same time. Silent and quick if there is nothing to do.
 * Runs on Node 20 without dependencies. Installs nothing outside the checkout and the tools' cache, except apt packages on a Debian
 * machine that cannot reach rustup's server, and Chromium there with `--browser`.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canInstallChromium, findChromium, installChromium } from "./chromium.mjs";
import { bindgenTool, buildEnvironment, COMPILE_WORKER, COMPILED_WORKER, output, ROOT, systemPath, WASM_TARGET, wasmToolchain } from "./tools.mjs";

const OLDEST_NODE = 20;
/** The target is some 30 MB: enough for a slow line, short enough for a server that never answers. */
const RUSTUP_TIME_LIMIT_MS = 120_000;
/** How much of a step's output is kept in case it fails. */
const MAX_OUTPUT_CHARS = 64 * 1024;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const PACKAGES = [
  { directory: ".", what: "the root's npm packages" },
  { directory: "container", what: "the agent server's npm packages" },
  { directory: "clients/typescript", what: "the TypeScript client's npm packages" },
  { directory: "console", what: "the console's npm packages" },
];

/** A step that cannot be done on this machine as it is; the message tells the reader what to do. */
class SetupError extends Error {}

/** A command that failed, with its output. */
class CommandFailed extends Error {
  /**
   * @param {string} message
   * @param {string} output
   */
  constructor(message, output) {
    super(message);
    this.output = output;
  }
}

/** What to end and to remove if this process ends early. @type {Set<() => void>} */
const unfinished = new Set();

async function setUp() {
  needNode();
  needRust();
  const steps = [...PACKAGES.filter(isOutdated).map(installPackages)];
  if (!existsSync(bindgenTool().bin)) steps.push(installBindgen());
  if (process.argv.includes("--browser") && findChromium() === undefined) steps.push(addBrowser());
  // The build reuses a compiled Worker. Compiling it beside the installations saves time; without any, it is left to the build.
  const compile = steps.length > 0 && !existsSync(COMPILED_WORKER);
  steps.push(prepareRust(compile));
  const failed = (await Promise.allSettled(steps)).filter((result) => result.status === "rejected");
  // Each step that failed has said so; an error of any other kind is a fault of this program.
  for (const { reason } of failed) if (!(reason instanceof SetupError)) throw reason;
  if (failed.length > 0) throw new SetupError("not complete. Correct what is named above and run `npm run setup` again; it repeats only what is missing");
}

function needNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < OLDEST_NODE) throw new SetupError(`Node ${process.versions.node} is too old: install Node ${OLDEST_NODE} or newer (https://nodejs.org)`);
}

function needRust() {
  if (output("cargo", ["--version"]) === undefined) {
    throw new SetupError("Rust is missing: install it with rustup (https://rustup.rs), then open a new shell so that `cargo` is found");
  }
}

/** @param {{directory: string}} packages */
function lockAndStamp({ directory }) {
  const path = join(ROOT, directory);
  const lock = createHash("sha256").update(readFileSync(join(path, "package-lock.json"))).digest("hex");
  return { path, lock, stamp: join(path, "node_modules/.made-from") };
}

/**
 * Whether node_modules was made from another lock file, or is not there.
 * @param {{directory: string}} packages
 */
function isOutdated(packages) {
  const { lock, stamp } = lockAndStamp(packages);
  return !existsSync(stamp) || readFileSync(stamp, "utf8") !== lock;
}

/** @param {{directory: string, what: string}} packages */
function installPackages(packages) {
  const { path, lock, stamp } = lockAndStamp(packages);
  return step(`installing ${packages.what}`, "half a minute", "Unless the output names another cause, check that npm's registry can be reached", async () => {
    await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: path, env: { PATH: systemPath() } });
    writeFileSync(stamp, lock);
  });
}

/** Only the console's tests need it: where it cannot be installed, the others run. */
async function addBrowser() {
  const advice = "Install Chromium or Chrome, or set CHROMIUM to where it is";
  if (!canInstallChromium()) return say(`there is no Chromium for the console's tests. ${advice}`);
  await step("installing Debian's Chromium", "half a minute", advice, () => installChromium(run));
}

/** @param {boolean} compile */
async function prepareRust(compile) {
  if (wasmToolchain() === undefined) await addWasmTarget();
  if (compile) await compileWorker();
}

async function addWasmTarget() {
  try {
    await step(`adding Rust's ${WASM_TARGET} target with rustup`, "half a minute", "Trying Debian's source of Rust instead", () =>
      run("rustup", ["target", "add", WASM_TARGET], { env: { RUST_BACKTRACE: "0" }, timeoutMs: RUSTUP_TIME_LIMIT_MS }),
    );
    if (wasmToolchain() !== undefined) return;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
  }
  const { installDebianTarget } = await import("./ci/debian-rust.mjs");
  const advice = `Run \`rustup target add ${WASM_TARGET}\` on a network that reaches rustup's server`;
  await step("installing Debian's Rust and its wasm32 target", "two minutes", advice, async () => {
    await installDebianTarget({ run, failure: (reason) => new CommandFailed(reason, "") });
    if (wasmToolchain() === undefined) throw new CommandFailed("rustc does not find the standard library that was built", "");
  });
}

/**
 * A head start for the build, while the other steps run. The build compiles again if this fails, and reports it,
 * so that a checkout with an error in its source can still be set up.
 */
async function compileWorker() {
  const toolchain = wasmToolchain();
  if (toolchain === undefined) return;
  try {
    await step("compiling the Worker", "a minute", "`npm run build` compiles it again", () =>
      run("cargo", COMPILE_WORKER, { cwd: ROOT, env: buildEnvironment(toolchain) }),
    );
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
  }
}

function installBindgen() {
  const { source, version, root } = bindgenTool();
  return step(`building wasm-bindgen ${version} into ${root}, once for this user`, "a minute", "Unless the output names another cause, check that crates.io can be reached", async () => {
    const target = mkdtempSync(join(tmpdir(), "agent-setup-"));
    const remove = () => rmSync(target, { recursive: true, force: true });
    unfinished.add(remove);
    try {
      await run("cargo", ["install", "--locked", "--path", source, "--root", root], { cwd: ROOT, env: { CARGO_TARGET_DIR: target } });
    } finally {
      unfinished.delete(remove);
      remove();
    }
  });
}

/**
 * Says when a step begins and when it is done. If one of its commands fails, shows the command's output and what to do about it.
 * @param {string} what
 * @param {string} time
 * @param {string} advice
 * @param {() => Promise<void>} work
 */
async function step(what, time, advice, work) {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(0)} s`;
  say(`${what} (about ${time}) …`);
  try {
    await work();
    say(`${what}: done in ${seconds()}`);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const output = error.output === "" ? "" : `${error.output.trimEnd()}\n`;
    console.error(`setup: ${what}: FAILED after ${seconds()}\n${output}setup: ${error.message}. ${advice}.`);
    throw new SetupError(what);
  }
}

/**
 * Runs a command to its end and keeps its output, which would otherwise mix with that of the steps beside it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number}} [options]
 * @returns {Promise<void>}
 */
function run(command, args, { cwd, env, timeoutMs } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      ...(timeoutMs !== undefined && { timeout: timeoutMs, killSignal: "SIGKILL" }),
    });
    const end = () => void child.kill("SIGTERM");
    unfinished.add(end);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk) => (said = (said + chunk).slice(-MAX_OUTPUT_CHARS)));
    }
    child.once("error", (error) => {
      unfinished.delete(end);
      reject(new CommandFailed(`\`${command}\` did not start: ${error.message}`, said));
    });
    child.once("close", (status) => {
      unfinished.delete(end);
      if (status === 0) resolve();
      else reject(new CommandFailed(`\`${command} ${args.join(" ")}\` failed`, said));
    });
  });
}

/** @param {string} sentence */
function say(sentence) {
  console.log(`setup: ${sentence}`);
}

for (const [signal, status] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(status));
process.once("exit", () => {
  for (const undo of unfinished) undo();
});
try {
  await setUp();
} catch (error) {
  // Anything else is a fault of this program: its stack says where.
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exit(1);
}
