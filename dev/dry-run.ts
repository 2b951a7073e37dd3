/**
 * `wrangler deploy --dry-run` of the checkout as it is: wrangler takes its configuration without a warning, the bundle and its bindings are
 * what they must be, and it is small enough. Uploads nothing, needs no account and no Docker: the image is the business of `npm run test:docker`.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { run } from "./process.ts";
import type { Outcome } from "./process.ts";
import { ROOT } from "./tools.mjs";

/** As wrangler counts: what is uploaded, gzipped. A paid plan's limit is 10 MB; what grows beyond this loads more slowly. */
const MAX_GZIPPED_KIB = 750;
const BINDINGS = ["env.ACCOUNTS (Account)", "env.DIRECTORY (Directory)", "env.FILES"];
const CONTAINER = `(${join(ROOT, "container/Dockerfile")})`;

export async function dryRun(): Promise<Outcome> {
  const scratch = await mkdtemp(join(tmpdir(), "agent-dry-run-"));
  try {
    const outcome = await run(process.execPath, [join(ROOT, "node_modules/wrangler/wrangler-dist/cli.js"), "deploy", "--dry-run", "--outdir", scratch], {
      quiet: true,
      env: {
        ...process.env,
        WRANGLER_DOCKER_BIN: join(ROOT, "dev/docker-cli"),
        WRANGLER_LOG_PATH: join(scratch, "logs"),
        WRANGLER_SEND_METRICS: "false",
        FORCE_COLOR: "0",
      },
    });
    const missing = missingFrom(outcome.output, await readdir(scratch));
    if (!outcome.ok || missing.length === 0) return outcome;
    return { ...outcome, ok: false, output: `${missing.map((what) => `missing: ${what}\n`).join("")}${outcome.output}` };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function missingFrom(output: string, files: readonly string[]): string[] {
  const missing = [...BINDINGS, CONTAINER].filter((text) => !output.includes(text));
  // A field that it does not know is one that does nothing.
  if (stripVTControlCharacters(output).includes("[WARNING]")) missing.push("a configuration that wrangler takes without a warning");
  if (!files.some((file) => file.endsWith(".wasm"))) missing.push("the WASM in the bundle");
  const size = Number(/gzip: ([\d.]+) KiB/.exec(output)?.[1]);
  if (!(size <= MAX_GZIPPED_KIB)) missing.push(`a bundle of at most ${MAX_GZIPPED_KIB} KiB gzipped`);
  return missing;
}
