/**
 * Locates the build's tools and knows their versions, for set-up, build and check. Never installs anything.
 * Plain JavaScript without dependencies, because it runs before anything is installed.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const WASM_TARGET = "wasm32-unknown-unknown";

/** Cargo's arguments that compile the Worker, its target directory, and what it makes there. */
export const COMPILE_WORKER = ["build", "--locked", "--release", "--lib", "--target", WASM_TARGET];
export const CARGO_TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR || "target");
export const COMPILED_WORKER = join(CARGO_TARGET, WASM_TARGET, "release/claude_agent_service.wasm");

/** rustup's name for the system's own Rust, for which set-up has built the wasm32 standard library. */
export const DEBIAN_TOOLCHAIN = "debian";
export const DEBIAN_SYSROOT = "/usr";
export const DEBIAN_WASM_LINKER = "wasm-ld-19";

/** One directory per tool and version, shared by all clones of one user. */
export const TOOLS_DIRECTORY = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "claude-agent-service");

/**
 * The tool in dev/bindgen, which Cargo builds from that directory's lock file. Its directory is named by a hash of its source. It
 * accepts only a Worker that uses the same version of wasm-bindgen.
 */
export function bindgenTool() {
  const source = join(ROOT, "dev/bindgen");
  const version = lockedVersion("wasm-bindgen", ROOT);
  const built = lockedVersion("wasm-bindgen-cli-support", source);
  if (built !== version) throw new Error(`dev/bindgen is of wasm-bindgen ${built}, the Worker of ${version}: set the same version in dev/bindgen/Cargo.toml`);
  const hash = createHash("sha256");
  for (const file of ["Cargo.toml", "Cargo.lock", "src/main.rs"]) hash.update(readFileSync(join(source, file)));
  const root = join(TOOLS_DIRECTORY, `bindgen-${version}-${hash.digest("hex").slice(0, 12)}`);
  return { source, version, root, bin: join(root, "bin/bindgen") };
}

/**
 * @param {string} crate
 * @param {string} directory
 */
function lockedVersion(crate, directory) {
  const lock = readFileSync(join(directory, "Cargo.lock"), "utf8");
  const version = new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`).exec(lock)?.[1];
  if (version === undefined) throw new Error(`Cargo.lock has no ${crate}: run \`cargo generate-lockfile\``);
  return version;
}

/**
 * Which Rust can build for wasm32: the one that `rustc` runs, the system's, or none.
 * @returns {"default" | "debian" | undefined}
 */
export function wasmToolchain() {
  const sysroot = output("rustc", ["--print", "sysroot"]);
  if (sysroot !== undefined && hasWasmLibrary(sysroot)) return "default";
  if (hasWasmLibrary(DEBIAN_SYSROOT) && output("rustc", ["--version"], { RUSTUP_TOOLCHAIN: DEBIAN_TOOLCHAIN }) !== undefined) return "debian";
  return undefined;
}

/** @param {string} sysroot */
export function hasWasmLibrary(sysroot) {
  const library = join(sysroot, "lib/rustlib", WASM_TARGET, "lib");
  return existsSync(library) && readdirSync(library).some((file) => file.startsWith("libcore-"));
}

/**
 * The environment in which cargo finds the wasm32 target.
 * @param {"default" | "debian"} toolchain
 */
export function buildEnvironment(toolchain) {
  return {
    ...process.env,
    ...(toolchain === "debian" && {
      RUSTUP_TOOLCHAIN: DEBIAN_TOOLCHAIN,
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: DEBIAN_WASM_LINKER,
    }),
  };
}

/** For a command that answers at once unless a service behind it hangs. */
const ANSWER_TIME_LIMIT_MS = 20_000;

/** PATH without this checkout's own programs, for the commands that install them. */
export function systemPath() {
  const entries = (process.env.PATH ?? "").split(delimiter);
  return entries.filter((entry) => !entry.includes("node_modules") && !entry.includes("node-gyp-bin")).join(delimiter);
}

/**
 * What a command prints; undefined if it fails, hangs or does not exist.
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
export function output(command, args, env = {}) {
  try {
    return execFileSync(command, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, ...env },
      timeout: ANSWER_TIME_LIMIT_MS,
    }).trim();
  } catch {
    return undefined;
  }
}

/**
 * The newest modification time at or under `path`; 0 if there is nothing.
 * @param {string} path
 * @returns {number}
 */
export function changedAt(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => changedAt(join(path, name))));
}
