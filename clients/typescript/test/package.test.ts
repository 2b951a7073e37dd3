/** The package as it is published: TypeScript 5 takes its types, and the README's examples print what they show. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { newAccountId } from "../../../tests/e2e/client.ts";
import { service } from "../../../tests/e2e/support.ts";

const PACKAGE = join(import.meta.dirname, "..");
/** In the package, so that its name leads to its own `dist`. */
const EXAMPLES = join(PACKAGE, ".examples");
const TIME_LIMIT = { timeout: 120_000 };
const EXAMPLE = /^```ts\n(?<code>[^]*?)^```\n(?:```text\n(?<output>[^]*?)^```$)?/gm;

const running = service();
const examples = [...readFileSync(join(PACKAGE, "README.md"), "utf8").matchAll(EXAMPLE)].map(({ groups }, index) => ({
  file: join(EXAMPLES, `${index}.ts`),
  code: groups?.["code"] ?? "",
  output: groups?.["output"],
}));

after(() => rmSync(EXAMPLES, { recursive: true, force: true }));

// Not a hook: those of a file do not wait for each other, and the examples are told where the stack is.
test("the package builds", TIME_LIMIT, () => {
  execFileSync(process.execPath, [join(PACKAGE, "build.ts")], { stdio: "inherit" });
  mkdirSync(EXAMPLES, { recursive: true });
  for (const { file, code } of examples) {
    const here = code.replaceAll('baseUrl: "http://localhost:8787"', `baseUrl: "${running.url}", accountId: "${newAccountId()}"`);
    assert.notEqual(here, code);
    writeFileSync(file, here);
  }
});

test("the README's examples compile, in the way of Node and of bundlers", TIME_LIMIT, async () => {
  const tsc = join(PACKAGE, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2023,dom", "--exactOptionalPropertyTypes"];
  for (const resolution of [["--module", "nodenext"], ["--module", "esnext", "--moduleResolution", "bundler"]]) {
    await promisify(execFile)(process.execPath, [tsc, ...options, ...resolution, ...examples.map(({ file }) => file)], { cwd: EXAMPLES });
  }
});

for (const { file, output } of examples) {
  test(`an example of the README prints what it shows: ${file.slice(EXAMPLES.length + 1)}`, TIME_LIMIT, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", file], { cwd: PACKAGE });
    if (output !== undefined) assert.equal(stdout, output);
    else assert.match(stdout, /\S/);
  });
}

test("the package needs nothing but itself", () => {
  const { dependencies, files } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")) as { dependencies?: unknown; files: string[] };
  assert.deepEqual([dependencies, files], [undefined, ["dist"]]);
  assert.doesNotMatch(readFileSync(join(PACKAGE, "dist/index.js"), "utf8"), /^import /m);
});
