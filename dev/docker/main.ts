/**
 * `npm run test:docker`: runs the tests of dev/docker/test/ on the product in real containers, and leaves nothing running.
 * Status 0: passed; 1: failed; 3: this machine cannot run it, which says nothing about the product.
 */
import { spawn } from "node:child_process";
import { ROOT } from "../tools.mjs";
import { NotPossible } from "./command.ts";
import { dockerEngine } from "./engine.ts";
import { prepareImages, tidyImages } from "./images.ts";

const NOT_POSSIBLE = 3;
/** For one file of tests, with wrangler's start: more than the limits of its tests together, so that a hanging test is reported by name. */
const FILE_TIME_LIMIT_MS = 30 * 60_000;

async function main(): Promise<boolean> {
  const engine = await dockerEngine();
  console.log(engine.own ? "docker: Debian's Docker Engine, started for this test" : "docker: the Docker Engine of this machine");
  try {
    const images = await prepareImages(engine);
    const passed = await runTests({ ...engine.env, ...images.env, DOCKER_TEST_IMAGE: images.product });
    await tidyImages(engine);
    return passed;
  } finally {
    await engine.stop();
    if (engine.own) console.log("docker: dockerd is stopped; its images stay for the next run");
  }
}

async function runTests(env: Record<string, string>): Promise<boolean> {
  console.log("docker: the tests, in real containers");
  const args = ["--test", "--test-reporter=spec", "--test-concurrency=1", `--test-timeout=${FILE_TIME_LIMIT_MS}`, "dev/docker/test/*.test.ts"];
  // In its own process group, which is ended when this process exits.
  const child = spawn(process.execPath, args, { cwd: ROOT, detached: true, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...env } });
  const end = (): void => void (child.pid !== undefined && process.kill(-child.pid, "SIGTERM"));
  process.once("exit", end);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("exit", end);
      resolve(code === 0);
    });
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));
const started = performance.now();
try {
  const passed = await main();
  console.log(`docker: ${passed ? "passed" : "FAILED"} in ${Math.round((performance.now() - started) / 1000)} s`);
  process.exitCode = passed ? 0 : 1;
} catch (error) {
  const impossible = error instanceof NotPossible;
  console.error(`docker: ${impossible ? `cannot be run here: ${error.message}` : String(error)}`);
  process.exitCode = impossible ? NOT_POSSIBLE : 1;
}
