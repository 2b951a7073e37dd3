/** The third-party notices: what is chosen of the licences that are offered, and that nothing of what is shipped is left out. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chosen, notices } from "../notices.mjs";
import { ROOT } from "../tools.mjs";

const CHOICES: [expression: string, licences: string[]][] = [
  ["MIT", ["MIT"]],
  ["Apache-2.0/MIT", ["MIT"]],
  ["Apache-2.0 OR BSL-1.0", ["Apache-2.0"]],
  ["(MIT OR Apache-2.0) AND Unicode-3.0", ["MIT", "Unicode-3.0"]],
];

for (const [expression, licences] of CHOICES) {
  test(`of ${expression} it is ${licences.join(" and ")}`, () => assert.deepEqual(chosen("x", expression), licences));
}

for (const unknown of ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "SEE LICENSE IN LICENSE.md", "AGPL-3.0 OR SSPL-1.0"]) {
  test(`"${unknown}" is a licence that nobody has looked at`, () => assert.throws(() => chosen("x", unknown), /the licence of x, .*, is not known/));
}

test("every npm package of the image and every dependency of the Worker is named with its licence", () => {
  const text = notices();
  const { packages } = JSON.parse(readFileSync(join(ROOT, "container/package-lock.json"), "utf8")) as { packages: Record<string, { version: string; dev?: true }> };
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== "" && dev === undefined);
  assert.ok(shipped.length > 50);
  for (const [path, { version }] of shipped) assert.ok(text.includes(`\n${path.split("node_modules/").at(-1)} ${version}: `), path);
  const manifest = readFileSync(join(ROOT, "Cargo.toml"), "utf8").split("[dev-dependencies]")[0] ?? "";
  const names = [...manifest.matchAll(/^([a-z0-9_-]+) = (?:\{ version|"=?\d)/gm)].map(([, name]) => name ?? "").filter((name) => !["version", "edition", "rust-version"].includes(name));
  assert.ok(names.includes("worker") && names.includes("serde"));
  for (const name of names) assert.match(text, new RegExp(`^${name} \\S+: `, "m"));
});

test("a package's own words are passed on, under its name", () => {
  const sections = notices().split(`${"-".repeat(80)}\n`);
  const wordsOf = (name: string): string => sections.find((section) => section.startsWith(`Of ${name} `)) ?? "";
  assert.ok(wordsOf("subtle").includes("Isis Agora Lovecruft"));
  assert.ok(wordsOf("@anthropic-ai/claude-agent-sdk").includes("© Anthropic PBC"));
});
