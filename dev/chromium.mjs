/** Finds the browser that the console's tests drive, and installs Debian's where there is none. Runs on Node 20 without dependencies. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ELSEWHERE = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"];
/** Without a font, text is boxes. */
const PACKAGES = ["chromium", "fonts-inter", "fonts-dejavu-core"];

/** @returns {string | undefined} */
export function findChromium() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [process.env.CHROMIUM ?? "", ...found, ...ELSEWHERE].find((path) => path !== "" && existsSync(path));
}

/** Whether `installChromium` can work: as root, on Debian and what comes of it. */
export function canInstallChromium() {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
}

/** @param {(command: string, args: readonly string[], options: {env: NodeJS.ProcessEnv}) => Promise<void>} run */
export async function installChromium(run) {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", ["update", "-qq"], { env });
  await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES], { env });
}
