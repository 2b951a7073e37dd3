/**
 * The wasm32 target without rustup's server: Debian's Rust, and the standard library built from Debian's source of it.
 * Used only where rustup could not add the target. Needs apt and root (or sudo).
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEBIAN_SYSROOT, DEBIAN_TOOLCHAIN, DEBIAN_WASM_LINKER, hasWasmLibrary, output, WASM_TARGET } from "./tools.mjs";

const PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "lld-19"];
const SOURCES = "/usr/src";

/** @typedef {(command: string, args: string[], options?: {cwd?: string, env?: Record<string, string>}) => void} Run */

/**
 * @param {{say: (sentence: string) => void, run: Run}} tools
 * @returns {string | undefined} what stopped it; undefined where the target is there
 */
export function installDebianTarget({ say, run }) {
  if (output("apt-get", ["--version"]) === undefined) return "this is not Debian: there is no apt-get";
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && output("sudo", ["-n", "true"]) === undefined) {
    return "installing packages needs root: run `npm run setup` as root, or as a user that may use sudo without a password";
  }
  /** @type {Run} */
  const runAsRoot = (command, args) => (isRoot ? run(command, args) : run("sudo", [command, ...args]));
  /** @param {string[]} args */
  const apt = (...args) => runAsRoot("env", ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args]);
  try {
    say(`installing ${PACKAGES.join(", ")} with apt (about a minute)`);
    apt("update");
    apt("install", "-y", "--no-install-recommends", ...PACKAGES);
    if (!hasWasmLibrary(DEBIAN_SYSROOT)) buildStandardLibrary({ say, run, runAsRoot });
    // The link is only made where rustup would otherwise choose another Rust.
    if (output("rustup", ["--version"]) !== undefined) run("rustup", ["toolchain", "link", DEBIAN_TOOLCHAIN, DEBIAN_SYSROOT]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return output(DEBIAN_WASM_LINKER, ["--version"]) === undefined ? `${DEBIAN_WASM_LINKER} is not there` : undefined;
}

/**
 * Only a compiler of exactly the library's version can read it: both come from the same source package.
 * @param {{say: (sentence: string) => void, run: Run, runAsRoot: Run}} tools
 */
function buildStandardLibrary({ say, run, runAsRoot }) {
  const version = output(join(DEBIAN_SYSROOT, "bin/rustc"), ["--version"])?.split(" ")[1];
  const source = join(SOURCES, `rustc-${version}`, "library");
  if (!existsSync(source)) throw new Error(`rust-web-src did not bring ${source}`);
  say(`building the standard library for ${WASM_TARGET} (about a minute)`);
  const scratch = mkdtempSync(join(tmpdir(), "agent-std-"));
  try {
    const library = join(scratch, "library");
    cpSync(source, library, { recursive: true });
    const target = join(scratch, "target");
    run(join(DEBIAN_SYSROOT, "bin/cargo"), ["build", "--quiet", "--release", "--target", WASM_TARGET, "--target-dir", target], {
      cwd: join(library, "sysroot"),
      env: {
        RUSTC: join(DEBIAN_SYSROOT, "bin/rustc"),
        RUSTC_BOOTSTRAP: "1",
        RUSTFLAGS: "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes",
      },
    });
    const made = join(target, WASM_TARGET, "release/deps");
    const rlibs = readdirSync(made).filter((name) => name.endsWith(".rlib"));
    const destination = join(DEBIAN_SYSROOT, "lib/rustlib", WASM_TARGET, "lib");
    runAsRoot("mkdir", ["-p", destination]);
    runAsRoot("cp", [...rlibs.map((name) => join(made, name)), destination]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
