/**
 * Builds the console into public/console/, and does nothing if that is newer than everything it is made from. Fails if what a browser has to
 * load before the chat shows grows too large.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { changedAt, ROOT } from "./tools.mjs";

const SOURCE = join(ROOT, "console");
const BUILT = join(ROOT, "public/console");
const PAGE = join(BUILT, "index.html");
const INPUTS = ["src", "index.html", "vite.config.ts", "package-lock.json", "../clients/typescript/src", "../dev/console.mjs"].map((path) => join(SOURCE, path));
const VITE = join(SOURCE, "node_modules/vite/bin/vite.js");
/** The page with its scripts and styles, gzipped: on a slow phone's connection (1.6 Mbit/s) less than a second. */
const MAX_FIRST_LOAD_BYTES = 165_000;

/** Says why if it does not build. @returns {boolean} */
export function buildConsole() {
  if (changedAt(PAGE) > Math.max(...INPUTS.map(changedAt))) return true;
  if (!existsSync(VITE)) return fail("its npm packages are missing: run `npm run setup`");
  const started = Date.now();
  const { status, error } = spawnSync(process.execPath, [VITE, "build", "--logLevel", "warn"], { cwd: SOURCE, stdio: "inherit" });
  if (error !== undefined) return fail(`vite did not start: ${error.message}`);
  if (status !== 0) return fail("vite failed; what it said is above");
  const bytes = firstLoad();
  if (bytes > MAX_FIRST_LOAD_BYTES) {
    rmSync(PAGE);
    return fail(`its first load has ${bytes} bytes gzipped, at most ${MAX_FIRST_LOAD_BYTES}: load later what the first view does not need`);
  }
  console.log(`build: ${((Date.now() - started) / 1000).toFixed(1)} s, console, first load ${(bytes / 1000).toFixed(1)} KB gzipped`);
  return true;
}

/** What the page names, and what those files import before they run. */
function firstLoad() {
  const files = new Set(["index.html"]);
  for (const file of files) {
    const text = readFileSync(join(BUILT, file), "utf8");
    const names = file.endsWith(".html") ? text.matchAll(/(?:src|href)="\/console\/([^"]+)"/g) : text.matchAll(/(?:^|[;}])import\s*(?:[^"'();]*from\s*)?"\.\/([^"]+\.js)"/g);
    for (const [, name = ""] of names) files.add(file.endsWith(".html") ? name : join("assets", name));
  }
  return [...files].reduce((sum, file) => sum + gzipSync(readFileSync(join(BUILT, file)), { level: 9 }).length, 0);
}

/** @param {string} sentence */
function fail(sentence) {
  console.error(`build: the console: ${sentence}`);
  return false;
}
