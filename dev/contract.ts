/**
 * `npm run test:contract`: the product against its own description. Starts a stack of its own and lets Schemathesis, an independent judge
 * from PyPI, send what public/openapi.json allows and what it forbids (tests/schemathesis). Arguments after `--` go to Schemathesis.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "./process.ts";
import { startStack } from "./stack.ts";
import { ROOT, TOOLS_DIRECTORY } from "./tools.mjs";

const SCHEMATHESIS = "4.32.5";
/** Exit status where this machine lacks what the judge needs. */
const UNAVAILABLE = 3;
const KEY = "schemathesis-0123456789abcdef";
const DIRECTORY = join(ROOT, "tests/schemathesis");

/** The judge in a virtual environment of its own, shared by all clones of one user; installs it if it is not there. */
async function installed(): Promise<string> {
  const environment = join(TOOLS_DIRECTORY, `schemathesis-${SCHEMATHESIS}`);
  const program = join(environment, "bin/schemathesis");
  if (existsSync(program)) return program;
  console.log(`contract: installing Schemathesis ${SCHEMATHESIS} into ${environment} (about half a minute, once for this user)`);
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", environment]],
    [join(environment, "bin/python"), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `schemathesis==${SCHEMATHESIS}`]],
  ];
  for (const [command, args] of steps) {
    const { ok } = await run(command, args);
    if (ok) continue;
    console.error(`contract: \`${command} ${args.join(" ")}\` failed. It needs Python 3.10 or newer with venv (Debian: python3-venv) and PyPI.`);
    process.exit(UNAVAILABLE);
  }
  return program;
}

const program = await installed();
const stack = await startStack({ secrets: { API_KEYS: KEY }, vars: { WARM_SESSIONS: "4", MAX_QUEUED_TURNS: "256" } });
try {
  const args = ["--config-file", "schemathesis.toml", "run", "../../public/openapi.json", "--url", stack.url, ...process.argv.slice(2)];
  const { ok } = await run(program, args, { cwd: DIRECTORY, env: { ...process.env, SCHEMATHESIS_KEY: KEY } });
  process.exitCode = ok ? 0 : 1;
} finally {
  await stack.stop();
}
