/**
 * Rust's wasm32 target on a Debian machine that cannot reach rustup's server: Debian's Rust, with the standard library built from
 * Debian's source package. Needs apt, and root or sudo without a password.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEBIAN_SYSROOT, DEBIAN_TOOLCHAIN, DEBIAN_WASM_LINKER, hasWasmLibrary, output, WASM_TARGET } from "../tools.mjs";

const PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "lld-19"];
const SOURCES = "/usr/src";

/** @typedef {(command: string, args: readonly string[], options?: {cwd?: string, env?: NodeJS.ProcessEnv}) => Promise<void>} Run */

/**
 * Resolves when the target is installed. Rejects with `failure(reason)` if the machine lacks something.
 * @param {{run: Run, failure: (reason: string) => Error}} tools
 */
export async function installDebianTarget({ run, failure }) {
  if (output("apt-get", ["--version"]) === undefined) throw failure("this is not Debian: there is no apt-get");
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && output("sudo", ["-n", "true"]) === undefined) {
    throw failure("installing Debian's Rust needs root: run `npm run setup` as root, or as a user that may use sudo without a password");
  }
  /** @type {Run} */
  const runAsRoot = (command, args) => (isRoot ? run(command, args) : run("sudo", [command, ...args]));
  /** @param {string[]} args */
  const apt = (...args) => runAsRoot("env", ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args]);
  await apt("update");
  await apt("install", "-y", "--no-install-recommends", ...PACKAGES);
  if (!hasWasmLibrary(DEBIAN_SYSROOT)) await buildStandardLibrary({ run, runAsRoot, failure });
  // The link is needed only if rustup would otherwise choose another Rust.
  if (output("rustup", ["--version"]) !== undefined) await run("rustup", ["toolchain", "link", DEBIAN_TOOLCHAIN, DEBIAN_SYSROOT]);
  if (output(DEBIAN_WASM_LINKER, ["--version"]) === undefined) throw failure(`apt did not install ${DEBIAN_WASM_LINKER}`);
}

/**
 * Only a compiler of exactly the library's version can read it: both come from the same source package.
 * @param {{run: Run, runAsRoot: Run, failure: (reason: string) => Error}} tools
 */
async function buildStandardLibrary({ run, runAsRoot, failure }) {
  const version = output(join(DEBIAN_SYSROOT, "bin/rustc"), ["--version"])?.split(" ")[1];
  const source = join(SOURCES, `rustc-${version}`, "library");
  if (!existsSync(source)) throw failure(`rust-web-src did not install ${source}`);
  const scratch = mkdtempSync(join(tmpdir(), "agent-std-"));
  try {
    const library = join(scratch, "library");
    cpSync(source, library, { recursive: true });
    const target = join(scratch, "target");
    await run(join(DEBIAN_SYSROOT, "bin/cargo"), ["build", "--quiet", "--release", "--target", WASM_TARGET, "--target-dir", target], {
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
    await runAsRoot("mkdir", ["-p", destination]);
    await runAsRoot("cp", [...rlibs.map((name) => join(made, name)), destination]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
