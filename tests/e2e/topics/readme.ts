/*
 * The documents' commands: each one that can be run against this stack is run as it stands, and answers what is shown below it. The
 * others need Cloudflare, or are run by a named file.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readArguments } from "../../../dev/arguments.ts";
import type { Service } from "../support.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const DOCUMENTS = ["README.md", ...readdirSync(join(ROOT, "docs")).filter((file) => file.endsWith(".md")).sort().map((file) => `docs/${file}`)];

/** A shell block and, if one follows at once, the block with its answer. */
const BLOCK = /^```(?:sh|bash|shell|console)\n(?<commands>[^]*?)^```\n(?:```(?<kind>json|)\n(?<answer>[^]*?)^```$)?/gm;
/** A line that this stack can answer. */
const FOR_THIS_STACK = /localhost:8787|^\.\/test\.sh 8787$/;
/** A line that needs a Cloudflare account, or makes or uses a value for one that does. */
const FOR_CLOUDFLARE = /\bwrangler (?:login|deploy|secret)\b|\$(?:URL|KEY|SECRET)\b|^(?:URL|KEY|SECRET)=/;
/** The other commands: which file runs them, and by what. */
const RUN_BY: readonly (readonly [command: RegExp, file: string, by: string])[] = [
  [/^npm run dev(?: -- .*)?$/, "dev/test/dev.test.ts", 'spawn("npm", ["run", "dev"'],
  [/^npm run setup$/, ".ci/run", "npm run --silent setup"],
  [/^npm test$/, ".ci/run", "npm test"],
  [/^LC_ALL=C awk /, "tests/e2e/topics/operators.ts", "LC_ALL=C awk"],
];
const COMMAND_TIMEOUT_MS = 60_000;

type Block = { commands: string; kind?: string; answer?: string };

const blocks = (document: string): Block[] => [...read(document).matchAll(BLOCK)].map((match) => match.groups as Block);

/** The commands of a block, a line each, without what is said about them. */
const lines = (block: Block): string[] => block.commands.split("\n").map((line) => line.replace(/\s+# .*$/, "").trim()).filter((line) => line !== "");

const isForThisStack = (block: Block): boolean => lines(block).every((line) => FOR_THIS_STACK.test(line));

/** What stays the same from run to run: names and kinds of fields, and the texts that are no ids. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === "object" && value !== null) {
    // A purge run that is asked for may have ended or not.
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "finished_at" ? "a number, or null" : shape(inner)]));
  }
  if (typeof value === "number") return "a number";
  if (typeof value === "string") return value.replace(/\b(turn|req|run)_[0-9a-f]{32}\b/g, "$1_…").replace(/^[0-9T:.-]+Z$/, "a time");
  return value;
}

/** The data of every event, by its name. Deltas are joined: where the text is cut depends on time. */
function events(stream: string): unknown[] {
  const all = [...stream.matchAll(/^event: (?<name>\w+)\ndata: (?<data>.*)$/gm)].map((match) => [match.groups?.["name"], shape(JSON.parse(match.groups?.["data"] ?? ""))]);
  return all.filter(([name]) => name !== "delta");
}

async function run(block: Block, service: Service): Promise<void> {
  const { host, port } = new URL(service.url);
  const here = block.commands.replaceAll("localhost:8787", host).replaceAll("test.sh 8787", `test.sh ${port}`);
  const { stdout } = await promisify(execFile)("bash", ["-ec", here], { cwd: ROOT, timeout: COMMAND_TIMEOUT_MS });
  if (block.answer === undefined) return;
  if (block.kind === "json") assert.deepEqual(shape(JSON.parse(stdout)), shape(JSON.parse(block.answer)), block.commands);
  else assert.deepEqual(events(stdout), events(block.answer), block.commands);
}

export function readme(service: Service): void {
  test("every command of the documents is run by a test, or needs Cloudflare", () => {
    for (const document of DOCUMENTS) {
      for (const block of blocks(document).filter((block) => !isForThisStack(block))) {
        assert.equal(block.answer, undefined, `${document} shows an answer of what is not run here: ${block.commands}`);
        for (const line of lines(block).filter((line) => !FOR_CLOUDFLARE.test(line))) {
          const [, file, by] = RUN_BY.find(([command]) => command.test(line)) ?? [];
          assert.ok(file !== undefined && by !== undefined, `${document}: nothing runs \`${line}\``);
          assert.ok(read(file).includes(by), `${file} does not run \`${line}\``);
          readArguments(line.split(" -- ")[1]?.split(" ") ?? []);
        }
      }
    }
  });

  test("the documents have examples that are run", () => {
    const counts = Object.fromEntries(DOCUMENTS.map((document) => [document, blocks(document).filter(isForThisStack).length]));
    assert.ok((counts["README.md"] ?? 0) >= 4 && (counts["docs/api.md"] ?? 0) >= 2, JSON.stringify(counts));
    assert.ok((counts["docs/operations.md"] ?? 0) >= 1 && (counts["docs/storage-and-purge.md"] ?? 0) >= 4, JSON.stringify(counts));
  });

  for (const document of DOCUMENTS) {
    const examples = blocks(document).filter(isForThisStack);
    if (examples.length === 0) continue;
    test(`every example of ${document} answers what it shows`, async () => {
      for (const example of examples) await run(example, service);
    });
  }
}
