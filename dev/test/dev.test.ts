/** `npm run dev` from the outside: what it is asked for, what it says, and what it leaves behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { credentialOf, needKeysWhereOpen, readArguments, UsageError } from "../arguments.ts";
import { freePort } from "../engine/container.ts";
import { eachLine } from "../lines.ts";
import { isRunning } from "../../container/src/reap.ts";
import { ROOT } from "../tools.mjs";
import { TIME_LIMIT } from "./support.ts";

/** Includes a build, where the Worker is not built yet. */
const START = { timeout: 300_000 };

describe("the arguments", () => {
  const none = { port: 8787, ip: "127.0.0.1", host: undefined, allowedHosts: [], vars: {}, wranglerArgs: [] };

  test("are wrangler's, but for where it is served and the variables", () => {
    const given = ["--log-level", "debug", "--port", "9000", "--var", "A:b:c", "--ip=::1", "--var=D:", "--allow-host", "my.box", "--live-reload"];
    assert.deepEqual(readArguments(given), {
      ...none,
      port: 9000,
      ip: "::1",
      allowedHosts: ["my.box"],
      vars: { A: "b:c", D: "" },
      wranglerArgs: ["--log-level", "debug", "--live-reload"],
    });
  });

  test("may be none: then it is port 8787 of this machine alone", () => {
    assert.deepEqual(readArguments([]), none);
  });

  for (const wrong of [["--port", "abc"], ["--port", "0"], ["--port"], ["--var", "no value"], ["--ip", "my.box"], ["--allow-host", "my.box:80"]]) {
    test(`that are wrong are told: ${wrong.join(" ")}`, () => {
      assert.throws(() => readArguments(wrong), UsageError);
    });
  }

  for (const open of [["--ip", "0.0.0.0"], ["--ip=::"], ["--ip", "192.0.2.1"], ["--host", "agents.example.com"]]) {
    test(`${open.join(" ")} wants keys`, () => {
      const refusal = { constructor: UsageError, message: /while neither API_KEYS nor JWT_SECRET is set/ };
      const keys: [more: string[], devVars: string][] = [[["--var", "API_KEYS:k"], ""], [["--var", "JWT_SECRET:s"], ""], [[], "API_KEYS=k"]];
      for (const [more, devVars] of [[[], ""], [["--var", "API_KEYS:"], "API_KEYS=k"], [["--var", "AUTH:none"], ""]] as [string[], string][]) {
        assert.throws(() => needKeysWhereOpen(readArguments([...open, ...more]), devVars), refusal);
      }
      for (const [more, devVars] of keys) needKeysWhereOpen(readArguments([...open, ...more]), devVars);
    });
  }

  for (const closed of [[], ["--ip", "127.0.0.2"], ["--ip", "::1"], ["--host", "localhost:80"]]) {
    test(`${closed.join(" ") || "nothing"} needs none`, () => needKeysWhereOpen(readArguments(closed), ""));
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

test("an address that others reach is refused before anything is started", TIME_LIMIT, async () => {
  const dev = startDev("--ip", "0.0.0.0");
  const said = text(dev.stderr);
  const [code] = (await once(dev, "close")) as [number];
  assert.equal(code, 1);
  assert.match(await said, /^dev: --ip 0\.0\.0\.0 would let everyone in who reaches this machine, while neither API_KEYS nor JWT_SECRET is set/);
});

test("it serves until Ctrl-C, and then leaves no process", START, async (t) => {
  const { dev, ended, lines } = await serving(t, (...args) => startDev(...args));
  const started = await descendants(dev.pid ?? 0);
  assert.ok(started.length >= 2, "wrangler and workerd run");
  dev.kill("SIGINT");
  const [code] = await ended;
  assert.equal(code, 0, lines.slice(-5).join("\n"));
  assert.deepEqual(await Promise.all(started.map(isRunning)), started.map(() => false));
});

test("a SIGTERM to npm ends it and all that it started", START, async (t) => {
  const npm = (...args: string[]): Dev => spawn("npm", ["run", "dev", "--", ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const { dev, ended } = await serving(t, npm);
  const started = await descendants(dev.pid ?? 0);
  assert.ok(started.length >= 3, "dev.ts, wrangler and workerd run");
  dev.kill("SIGTERM");
  // What holds npm's output lives: its closing is the end of all of them.
  await ended;
  assert.deepEqual(await Promise.all(started.map(isRunning)), started.map(() => false));
});

test("a page whose name was rebound to this machine reads nothing, whatever URL it says it means", START, async (t) => {
  const { port } = await serving(t, (...args) => startDev(...args));
  const ask = (headers: Record<string, string>): Promise<number> => statusOf(port, "/conversations", headers);
  const means = { "MF-Original-URL": "http://localhost/conversations" };
  assert.equal(await ask({ host: `rebind.evil.example:${port}`, ...means }), 403);
  assert.equal(await ask({ host: `localhost:${port}` }), 200);
  // What it says does not arrive: it could as well be believed where it names somebody else.
  assert.equal(await ask({ host: `localhost:${port}`, "MF-Original-URL": "http://rebind.evil.example/conversations" }), 200);
});

type Dev = ChildProcessByStdio<null, Readable, Readable>;

/** A server that answers, on a port and with storage of its own. With a credential there is no stand-in, and nothing is asked of the model here. */
async function serving(t: TestContext, start: (...args: string[]) => Dev): Promise<{ dev: Dev; port: number; ended: Promise<[number]>; lines: string[] }> {
  const state = await mkdtemp(join(tmpdir(), "agent-dev-test-"));
  t.after(() => rm(state, { recursive: true, force: true }));
  const port = await freePort();
  const dev = start("--port", String(port), "--persist-to", state, "--var", "ANTHROPIC_API_KEY:unused");
  const ended = once(dev, "close") as Promise<[number]>;
  t.after(async () => {
    dev.kill("SIGINT");
    await ended;
  });
  const ready = Promise.withResolvers<void>();
  const lines: string[] = [];
  for (const stream of [dev.stdout, dev.stderr]) {
    eachLine(stream, (line) => {
      lines.push(line);
      if (line.startsWith("dev: ready")) ready.resolve();
    });
  }
  await Promise.race([ready.promise, ended.then(() => assert.fail(`it ended:\n${lines.join("\n")}`))]);
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
  return { dev, port, ended, lines };
}

async function statusOf(port: number, path: string, headers: Record<string, string>): Promise<number> {
  const call = request({ host: "127.0.0.1", port, path, headers, agent: false }).end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  answer.resume();
  return answer.statusCode ?? 0;
}

function startDev(...args: string[]): Dev {
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
