/*
 * The README's examples: each command that it shows with an answer is run as it stands, and answers what it shows.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Service } from "../support.ts";

const README = new URL("../../../README.md", import.meta.url);
/** A shell block, and right after it the block with its answer. */
const EXAMPLE = /^```sh\n(?<command>[^`]*localhost:8787[^`]*)```\n```(?<kind>json|)\n(?<answer>[^`]*)```$/gm;
const COMMAND_TIMEOUT_MS = 60_000;

/** What stays the same from run to run: names and kinds of fields, and the texts that are no ids. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
  if (typeof value === "number") return "a number";
  if (typeof value === "string") return value.replace(/\b(turn|req)_[0-9a-f]{32}\b/g, "$1_…").replace(/^[0-9T:.-]+Z$/, "a time");
  return value;
}

/** The data of every event, by its name. Deltas are joined: where the text is cut depends on time. */
function events(stream: string): unknown[] {
  const all = [...stream.matchAll(/^event: (?<name>\w+)\ndata: (?<data>.*)$/gm)].map((match) => [match.groups?.["name"], shape(JSON.parse(match.groups?.["data"] ?? ""))]);
  return all.filter(([name]) => name !== "delta");
}

export function readme(service: Service): void {
  test("every example of the README answers what it shows", async () => {
    const text = await readFile(README, "utf8");
    const examples = [...text.matchAll(EXAMPLE)].map((match) => match.groups as { command: string; kind: string; answer: string });
    assert.ok(examples.length >= 5, "the examples are found");
    for (const { command, kind, answer } of examples) {
      const here = command.replaceAll("localhost:8787", new URL(service.url).host);
      const { stdout } = await promisify(execFile)("bash", ["-c", here], { timeout: COMMAND_TIMEOUT_MS });
      if (kind === "json") assert.deepEqual(shape(JSON.parse(stdout)), shape(JSON.parse(answer)), command);
      else assert.deepEqual(events(stdout), events(answer), command);
    }
  });
}
