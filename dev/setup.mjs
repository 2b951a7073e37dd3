/**
 * Brings a fresh clone to where it builds and runs: npm packages, the wasm32 target, wasm-bindgen.
 * Silent and quick where nothing is to do; says what it does where it takes long, and what is missing where it cannot go on.
 * Runs on Node 20 without a dependency. Installs nothing outside the checkout, the tools' cache and, on Debian as root, apt's packages.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installDebianTarget } from "./setup-debian.mjs";
import { bindgenTool, output, ROOT, systemPath, WASM_TARGET, wasmToolchain } from "./tools.mjs";

const OLDEST_NODE = 20;
/** The target is some 30 MB: enough for a slow line, short enough for a server that never answers. */
const RUSTUP_TIME_LIMIT_MS = 120_000;
const PACKAGES = [
  { directory: ".", what: "the root's npm packages", time: "half a minute" },
  { directory: "container", what: "the agent server's npm packages", time: "half a minute" },
];

class SetupError extends Error {}

function setUp() {
  needNode();
  installPackages();
  needRust();
  addWasmTarget();
  installBindgen();
}

function needNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < OLDEST_NODE) throw new SetupError(`Node ${process.versions.node} is too old: install Node ${OLDEST_NODE} or newer (https://nodejs.org)`);
}

/** `npm ci` wherever the lock file is not the one that node_modules was made from. */
function installPackages() {
  for (const { directory, what, time } of PACKAGES) {
    const path = join(ROOT, directory);
    const stamp = join(path, "node_modules/.made-from");
    const lock = createHash("sha256").update(readFileSync(join(path, "package-lock.json"))).digest("hex");
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) continue;
    say(`installing ${what} (about ${time})`);
    run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: path, env: { PATH: systemPath() } });
    writeFileSync(stamp, lock);
  }
}

function needRust() {
  if (output("cargo", ["--version"]) === undefined) {
    throw new SetupError("Rust is missing: install it with rustup (https://rustup.rs), then open a new shell so that `cargo` is found");
  }
}

function addWasmTarget() {
  if (wasmToolchain() !== undefined) return;
  say(`adding Rust's ${WASM_TARGET} target with rustup (about half a minute)`);
  const { status } = spawnSync("rustup", ["target", "add", WASM_TARGET], {
    stdio: "inherit",
    env: { ...process.env, RUST_BACKTRACE: "0" },
    timeout: RUSTUP_TIME_LIMIT_MS,
    killSignal: "SIGKILL",
  });
  if (status === 0 && wasmToolchain() !== undefined) return;
  say("rustup could not add it; building it from Debian's source of Rust instead");
  const missing = installDebianTarget({ say, run });
  if (missing === undefined && wasmToolchain() !== undefined) return;
  throw new SetupError(
    `Rust cannot build for ${WASM_TARGET}. Run \`rustup target add ${WASM_TARGET}\` where rustup's server can be reached.` +
      ` The other way, Debian's source of Rust, stopped at: ${missing ?? "a standard library that rustc does not find"}`,
  );
}

function installBindgen() {
  const { source, version, root, bin } = bindgenTool();
  if (existsSync(bin)) return;
  say(`building wasm-bindgen ${version} into ${root} (about two minutes on two cores, once for this user)`);
  const target = mkdtempSync(join(tmpdir(), "agent-setup-"));
  try {
    run("cargo", ["install", "--quiet", "--locked", "--path", source, "--root", root], { cwd: ROOT, env: { CARGO_TARGET_DIR: target } });
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: Record<string, string>}} [options]
 */
function run(command, args, { cwd, env } = {}) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit", env: { ...process.env, ...env } });
  if (error !== undefined) throw new SetupError(`\`${command}\` did not start: ${error.message}`);
  if (status !== 0) throw new SetupError(`\`${command} ${args.join(" ")}\` failed; what it said is above`);
}

/** @param {string} sentence */
function say(sentence) {
  console.log(`setup: ${sentence}`);
}

try {
  setUp();
} catch (error) {
  // Anything else is a fault of this program: its stack says where.
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exit(1);
}
