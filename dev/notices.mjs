/**
 * The third-party notices: each crate that is compiled into the Worker and each npm package of the image and the console, with its licence and what its
 * authors want passed on. Reads Cargo's and npm's own records; fails where a licence is not among those that somebody has looked at.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, WASM_TARGET } from "./tools.mjs";

/** In the order in which one is chosen where authors offer several. */
const KNOWN = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Unicode-3.0", "Unlicense", "Apache-2.0"];
/** Licences of no list: what they are, by package. */
const OF_THEIR_OWN = /** @type {Record<string, string>} */ ({ "@anthropic-ai/claude-agent-sdk": "Anthropic's own, see LICENSE.md below" });
const LICENCE_FILE = /^(?:licen[cs]e|copying|notice|unlicense)/i;
/** Texts of licences that were offered and not chosen, by what their files are called. */
const OTHER_FILES = /** @type {Record<string, RegExp>} */ ({ "Apache-2.0": /apache/i, "BSL-1.0": /boost/i, MIT: /-mit/i, Unlicense: /unlicense|^copying/i });
const MAX_METADATA_BYTES = 64 * 1024 * 1024;

/** @typedef {{name: string, version: string, licence: string, from: string, texts: string[]}} Part */

/** @returns {string} */
export function notices() {
  const parts = [...crates(), ...npmPackages("container", "the image"), ...npmPackages("console", "the console"), ...bundled()];
  /** @type {Map<string, string[]>} */
  const users = new Map();
  for (const { name, version, texts } of parts) for (const text of texts) users.set(text, [...(users.get(text) ?? []), `${name} ${version}`]);
  const list = parts.map(({ name, version, licence, from }) => `${name} ${version}: ${licence} (${from})`);
  const texts = [...users].map(([text, names]) => `${"-".repeat(80)}\nOf ${names.join(", ")}:\n\n${text}\n`);
  return `Third-party software in claude-agent-service, with its licences.
The Worker also holds Rust's standard library: MIT or Apache-2.0, The Rust Project Contributors, https://github.com/rust-lang/rust.

${[...new Set(list)].join("\n")}

${texts.join("\n")}`;
}

/** What is compiled into the Worker: macros run at build time and are not. @returns {Part[]} */
function crates() {
  const args = ["metadata", "--format-version=1", "--locked", `--filter-platform=${WASM_TARGET}`];
  const { packages, resolve } = JSON.parse(execFileSync("cargo", args, { cwd: ROOT, encoding: "utf8", maxBuffer: MAX_METADATA_BYTES, stdio: ["ignore", "pipe", "inherit"] }));
  const byId = new Map(packages.map((/** @type {any} */ each) => [each.id, each]));
  const nodes = new Map(resolve.nodes.map((/** @type {any} */ node) => [node.id, node]));
  const linked = new Set([resolve.root]);
  for (const id of linked) {
    for (const { pkg, dep_kinds } of nodes.get(id).deps) {
      const normal = dep_kinds.some((/** @type {any} */ { kind }) => kind === null);
      const macro = byId.get(pkg).targets.some((/** @type {any} */ { kind }) => kind.includes("proc-macro"));
      if (normal && !macro) linked.add(pkg);
    }
  }
  linked.delete(resolve.root);
  return [...linked].sort().map((id) => {
    const { name, version, license, manifest_path } = byId.get(id);
    return part(name, version, license, "the Worker", dirname(manifest_path));
  });
}

/**
 * What `npm ci --omit=dev` installs there; of the SDK's programs the one for its platform.
 * @param {string} name
 * @param {string} from
 * @returns {Part[]}
 */
function npmPackages(name, from) {
  const directory = join(ROOT, name);
  const { packages } = JSON.parse(readFileSync(join(directory, "package-lock.json"), "utf8"));
  return Object.entries(packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true)
    .map(([path, { version, license }]) => part(path.slice(path.lastIndexOf("node_modules/") + 13), version, license, from, join(directory, path)));
}

/** What the TypeScript client holds, and with it the console. @returns {Part[]} */
function bundled() {
  const directory = join(ROOT, "clients/typescript/node_modules/eventsource-parser");
  const { name, version, license } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  return [part(name, version, license, "the TypeScript client", directory)];
}

/**
 * @param {string} name
 * @param {string} version
 * @param {string | undefined | null} expression
 * @param {string} from
 * @param {string} directory
 * @returns {Part}
 */
function part(name, version, expression, from, directory) {
  const own = OF_THEIR_OWN[name] ?? OF_THEIR_OWN[name.replace(/-(?:darwin|linux|win32)-.*$/, "")];
  const licences = own === undefined ? chosen(name, expression ?? "") : [];
  const isOther = (/** @type {string} */ file) => Object.entries(OTHER_FILES).some(([licence, files]) => !licences.includes(licence) && files.test(file));
  const files = existsSync(directory) ? readdirSync(directory).filter((file) => LICENCE_FILE.test(file)) : [];
  const theirs = own === undefined ? files.filter((file) => !isOther(file)) : files;
  if (theirs.length === 0 && files.length > 0) throw new Error(`${name} has ${files.join(" and ")}, and none of them is ${licences.join(" and ")}`);
  const texts = theirs.map((file) => readFileSync(join(directory, file), "utf8").replaceAll("\r\n", "\n").trim());
  return { name, version, licence: own ?? licences.join(" and "), from, texts };
}

/**
 * One of each choice that an SPDX expression leaves, "/" being an old spelling of OR.
 * @param {string} name
 * @param {string} expression
 * @returns {string[]}
 */
export function chosen(name, expression) {
  return expression.split(/\s+AND\s+/).map((choice) => {
    const offered = choice.replace(/[()]/g, "").split(/\s+OR\s+|\//);
    const licence = KNOWN.find((known) => offered.includes(known));
    if (licence === undefined) throw new Error(`the licence of ${name}, "${expression}", is not known: look at it, and add it to dev/notices.mjs if it may be passed on`);
    return licence;
  });
}
