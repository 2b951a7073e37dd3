/**
 * `npm run dev`: serves the checkout on port 8787 until Ctrl-C; what follows `--` goes on to wrangler.
 * Decides what runs the containers and who plays the model, says both, and starts nothing that the stack does not own.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { styleText } from "node:util";
import { credentialOf, isOpen, needKeysWhereOpen, readArguments, UsageError } from "./arguments.ts";
import { PortBusy, startStack } from "./stack.ts";
import type { StackOptions } from "./stack.ts";
import { output, ROOT } from "./tools.mjs";

async function main(): Promise<void> {
  const asked = readArguments(process.argv.slice(2));
  const { port, ip, vars, wranglerArgs } = asked;
  const devVars = await readDevVars();
  needKeysWhereOpen(asked, devVars);
  const docker = output("docker", ["info"]) !== undefined;
  say(
    docker
      ? "containers: Docker, built from container/Dockerfile"
      : "containers: the local engine, because `docker info` does not answer. It runs the agent server as a process of your user, WITHOUT isolation",
  );
  const credential = credentialOf(vars, devVars);
  if (credential === undefined) {
    say(styleText(["bold", "black", "bgYellow"], " NO CREDENTIAL IN .dev.vars: A STAND-IN PLAYS THE MODEL. It adds, repeats and calls tools, and knows nothing. "));
    say(`for Claude's answers: echo 'ANTHROPIC_API_KEY=sk-ant-…' >> .dev.vars, and start again`);
  } else {
    say(`model: Anthropic's, with ${credential}`);
  }

  const options: StackOptions = {
    port,
    front: { ip, hosts: isOpen(asked) ? "any" : asked.allowedHosts },
    vars,
    wranglerArgs,
    model: credential === undefined ? "own" : "none",
    containers: docker ? "docker" : "engine",
    watch: true,
    // Where wrangler is ready is behind the front, and nobody's business.
    onLog: (line) => void (/Ready on http:/.test(line) || console.log(line)),
    handleSignals: false,
  };
  const stopped = stopSignal();
  const starting = startStack(options);
  const stack = await Promise.race([starting, stopped]);
  // Ctrl-C while it starts: what the stack has started so far dies with this process.
  if (stack === undefined) process.exit(130);
  console.log();
  const host = ["127.0.0.1", "0.0.0.0", "::"].includes(ip) ? "localhost" : ip;
  say(`ready. The console is at ${styleText("bold", `http://${host}:${port}/console/`)}. From a shell:\n\n  curl -s ${host}:${port}/query -H 'content-type: application/json' -d '{"query":"What is 2+2?"}'\n`);
  await Promise.race([stopped, stack.ended()]);
  say("stopping");
  await stack.stop();
}

/** Empty where there is none. */
async function readDevVars(): Promise<string> {
  try {
    return await readFile(join(ROOT, ".dev.vars"), "utf8");
  } catch {
    return "";
  }
}

/** Resolves with the first of the signals that a terminal or a supervisor sends; a second one ends the process at once. */
function stopSignal(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve(undefined);
      });
    }
  });
}

function say(sentence: string): void {
  console.log(`dev: ${sentence}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const plain = error instanceof PortBusy || error instanceof UsageError;
  console.error(`dev: ${plain ? error.message : (error.stack ?? error.message)}`);
  process.exitCode = 1;
}
