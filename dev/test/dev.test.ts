/** `npm run dev` from the outside: what it is asked for, what it says, and what it leaves behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { credentialOf, readArguments, UsageError } from "../arguments.ts";
import { freePort } from "../engine/container.ts";
import { eachLine } from "../lines.ts";
import { isRunning } from "../reap.ts";
import { ROOT } from "../tools.mjs";
import { TIME_LIMIT } from "./support.ts";

/** Includes a build, where the Worker is not built yet. */
const START = { timeout: 300_000 };

describe("the arguments", () => {
  test("are wrangler's, but for the port and the variables", () => {
    assert.deepEqual(readArguments(["--log-level", "debug", "--port", "9000", "--var", "A:b:c", "--var=D:", "--live-reload"]), {
      port: 9000,
      vars: { A: "b:c", D: "" },
      wranglerArgs: ["--log-level", "debug", "--live-reload"],
    });
  });

  test("may be none: then it is port 8787", () => {
    assert.deepEqual(readArguments([]), { port: 8787, vars: {}, wranglerArgs: [] });
  });

  for (const wrong of [["--port", "abc"], ["--port", "0"], ["--port"], ["--var", "no value"]]) {
    test(`that are wrong are told: ${wrong.join(" ")}`, () => {
      assert.throws(() => readArguments(wrong), UsageError);
    });
  }
});

describe("the credential", () => {
  const given: [devVars: string, name: string | undefined][] = [
    ["ANTHROPIC_API_KEY=sk-ant-1", "ANTHROPIC_API_KEY"],
    ['OTHER=1\nexport CLAUDE_CODE_OAUTH_TOKEN = "sk-ant-oat-1"\n', "CLAUDE_CODE_OAUTH_TOKEN"],
    ["# ANTHROPIC_API_KEY=sk-ant-1", undefined],
    ['ANTHROPIC_API_KEY=""', undefined],
    ["MY_ANTHROPIC_API_KEY=sk-ant-1", undefined],
    ["", undefined],
  ];
  for (const [devVars, name] of given) {
    test(`in ${JSON.stringify(devVars)} is ${name ?? "none"}`, () => assert.equal(credentialOf({}, devVars), name));
  }

  test("may come as a variable", () => {
    assert.equal(credentialOf({ ANTHROPIC_API_KEY: "sk-ant-1" }, ""), "ANTHROPIC_API_KEY");
  });
});

test("a busy port is told in a sentence, before anything is started", TIME_LIMIT, async (t) => {
  const busy = createServer().listen(0, "127.0.0.1");
  t.after(() => busy.close());
  await once(busy, "listening");
  const { port } = busy.address() as AddressInfo;
  const dev = startDev("--port", String(port));
  const said = text(dev.stderr);
  const [code] = (await once(dev, "close")) as [number];
  assert.equal(code, 1);
  assert.match(await said, new RegExp(`^dev: port ${port} is in use: .*--port ${port + 1}`));
});

test("it serves until Ctrl-C, and then leaves no process", START, async (t) => {
  const state = await mkdtemp(join(tmpdir(), "agent-dev-test-"));
  t.after(() => rm(state, { recursive: true, force: true }));
  const port = await freePort();
  // With a credential there is no stand-in, and nothing is asked of the model here.
  const dev = startDev("--port", String(port), "--persist-to", state, "--var", "ANTHROPIC_API_KEY:unused");
  t.after(() => dev.kill("SIGKILL"));
  const ready = Promise.withResolvers<void>();
  const lines: string[] = [];
  for (const stream of [dev.stdout, dev.stderr]) {
    eachLine(stream, (line) => {
      lines.push(line);
      if (line.startsWith("dev: ready")) ready.resolve();
    });
  }
  const ended = once(dev, "close") as Promise<[number]>;
  await Promise.race([ready.promise, ended.then(() => assert.fail(`it ended:\n${lines.join("\n")}`))]);
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);

  const started = await descendants(dev.pid ?? 0);
  assert.ok(started.length >= 2, "wrangler and workerd run");
  dev.kill("SIGINT");
  const [code] = await ended;
  assert.equal(code, 0, lines.slice(-5).join("\n"));
  assert.deepEqual(await Promise.all(started.map(isRunning)), started.map(() => false));
});

test("set-up says nothing where nothing is to do", TIME_LIMIT, async () => {
  const setup = spawn(process.execPath, [join(ROOT, "dev/setup.mjs")], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, [code]] = await Promise.all([text(setup.stdout), text(setup.stderr), once(setup, "close") as Promise<[number]>]);
  assert.deepEqual([out, err, code], ["", "", 0]);
});

function startDev(...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [join(ROOT, "dev/dev.ts"), ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
}

/** All processes below one, as /proc has them. */
async function descendants(root: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "latin1").catch(() => "");
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const below = [root];
  for (const pid of below) for (const [child, parent] of parents) if (parent === pid) below.push(child);
  return below.slice(1);
}
