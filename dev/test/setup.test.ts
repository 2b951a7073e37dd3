/* Set-up: silent if nothing is to do; a step that fails neither hides its output nor stops the others. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { ROOT } from "../tools.mjs";
import { TIME_LIMIT } from "./support.ts";

/** One dependency, in the folder `local`, so that npm needs no registry. */
const MANIFEST = { name: "checkout", dependencies: { local: "file:local" } };
const LOCKED = { name: "checkout", lockfileVersion: 3, packages: { "": MANIFEST, local: { version: "1.0.0" }, "node_modules/local": { resolved: "local", link: true } } };
/** `npm ci` refuses it: the dependency is missing. */
const OTHER_LOCK = { name: "checkout", lockfileVersion: 3, packages: { "": { name: "checkout" } } };

async function setUp(checkout: string): Promise<{ out: string; err: string; code: number }> {
  const setup = spawn(process.execPath, [join(checkout, "dev/setup.mjs")], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, [code]] = await Promise.all([text(setup.stdout), text(setup.stderr), once(setup, "close") as Promise<[number]>]);
  return { out, err, code };
}

/** The programs of this checkout, with npm packages of their own and without the Worker's source. */
async function checkoutWith(t: TestContext, lockOfRoot: object): Promise<string> {
  const checkout = await mkdtemp(join(tmpdir(), "agent-setup-test-"));
  t.after(() => rm(checkout, { recursive: true, force: true }));
  await cp(join(ROOT, "dev"), join(checkout, "dev"), { recursive: true });
  await cp(join(ROOT, "Cargo.lock"), join(checkout, "Cargo.lock"));
  for (const [directory, lock] of [[".", lockOfRoot], ["container", LOCKED], ["clients/typescript", LOCKED], ["console", LOCKED]] as const) {
    await mkdir(join(checkout, directory, "local"), { recursive: true });
    await writeFile(join(checkout, directory, "local/package.json"), JSON.stringify({ name: "local", version: "1.0.0" }));
    await writeFile(join(checkout, directory, "package.json"), JSON.stringify(MANIFEST));
    await writeFile(join(checkout, directory, "package-lock.json"), JSON.stringify(lock));
  }
  return checkout;
}

test("set-up says nothing if nothing is to do", TIME_LIMIT, async () => {
  assert.deepEqual(await setUp(ROOT), { out: "", err: "", code: 0 });
});

test("a step that fails shows its output and what to do, and the other steps are completed", TIME_LIMIT, async (t) => {
  const checkout = await checkoutWith(t, OTHER_LOCK);
  const { out, err, code } = await setUp(checkout);
  assert.equal(code, 1);
  assert.match(err, /^setup: installing the root's npm packages: FAILED after \d+ s\nnpm error [^]*^setup: `npm ci .*` failed\. Unless the output names another cause, check that npm's registry can be reached\.$/m);
  assert.match(err, /^setup: not complete\. Correct what is named above and run `npm run setup` again/m);
  assert.match(out, /^setup: installing the agent server's npm packages \(about half a minute\) …$/m);
  assert.match(out, /^setup: installing the agent server's npm packages: done in \d+ s$/m);
  assert.ok(existsSync(join(checkout, "container/node_modules/.made-from")));
  assert.ok(!existsSync(join(checkout, "node_modules/.made-from")));
});

test("a Worker that does not compile is reported, and is no failure of set-up", TIME_LIMIT, async (t) => {
  const checkout = await checkoutWith(t, LOCKED);
  const { err, code } = await setUp(checkout);
  assert.equal(code, 0);
  assert.match(err, /^setup: compiling the Worker: FAILED after \d+ s\nerror: could not find `Cargo\.toml`[^]*^setup: `cargo build .*` failed\. `npm run build` compiles it again\.$/m);
  assert.deepEqual(await setUp(checkout), { out: "", err: "", code: 0 });
});
