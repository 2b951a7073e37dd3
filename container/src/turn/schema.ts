/*
 * Whether a turn's schemas can be used: over an output schema that the CLI does not take, a process ends as soon as it starts, and over a tool's that the
 * model's API does not take, every request of the turn fails.
 * Compiling can take seconds if a schema is made for that, so a thread does it, within a limit.
 */
import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { ToCompile } from "./schema-thread.ts";

export const MAX_SCHEMA_BYTES = 32 * 1024;
export const MAX_SCHEMA_DEPTH = 64;
const COMPILE_LIMIT_MS = 5_000;
const MAX_OLD_SPACE_MB = 64;
/** Schemas whose verdict is known; the oldest are forgotten. */
const MAX_KNOWN = 256;

/** The message says what is wrong with the schema. */
export class InvalidSchema extends Error {
  readonly code: "invalid_output_schema" | "invalid_tool_schema";

  constructor(code: InvalidSchema["code"], message: string) {
    super(message);
    this.code = code;
  }
}

const TOOK_TOO_LONG = "it takes too long to compile";

const known = new Map<string, string | null>();
/** Started by the first schema; it compiles one after the other. */
let thread: Worker | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Throws `InvalidSchema`. A schema that was looked at before costs nothing. */
export async function checkSchema(schema: object, limitMs = COMPILE_LIMIT_MS): Promise<void> {
  const fault = boundsFault(schema) ?? (await compileFault({ schema, of: "answer" }, limitMs));
  if (fault !== undefined) throw new InvalidSchema("invalid_output_schema", `output_schema: ${fault}`);
}

/** The same of the schemas of the caller's tools, within the limit all together. */
export async function checkToolSchemas(tools: readonly { input_schema: object }[], limitMs = COMPILE_LIMIT_MS): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (const [index, { input_schema: schema }] of tools.entries()) {
    const fault = boundsFault(schema) ?? (await compileFault({ schema, of: "tool" }, Math.max(0, deadline - performance.now())));
    if (fault !== undefined) throw new InvalidSchema("invalid_tool_schema", `tools[${index}].input_schema: ${fault}`);
  }
}

function boundsFault(schema: object): string | undefined {
  if (isDeeperThan(schema, MAX_SCHEMA_DEPTH)) return `it is nested deeper than ${MAX_SCHEMA_DEPTH} levels`;
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) return `it is over ${MAX_SCHEMA_BYTES / 1024} KiB`;
  // The CLI takes them, and the model's API refuses every request then.
  if (!("type" in schema) || schema.type !== "object") return 'its type must be "object": wrap any other value in a property';
  return "$async" in schema && schema.$async ? "$async is not supported" : undefined;
}

export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

async function compileFault(wanted: ToCompile, limitMs: number): Promise<string | undefined> {
  const key = createHash("sha256").update(JSON.stringify(wanted)).digest("base64");
  const before = known.get(key);
  if (before !== undefined) return before ?? undefined;
  const turn = last.then(() => compiled(wanted, limitMs));
  last = turn.catch(() => {});
  const fault = await turn;
  // That it took too long may be the machine's fault.
  if (fault !== TOOK_TOO_LONG) remember(key, fault);
  return fault ?? undefined;
}

async function compiled(wanted: ToCompile, limitMs: number): Promise<string | null> {
  const worker = (thread ??= newThread());
  const { promise, resolve } = Promise.withResolvers<{ fault: string | null; usable: boolean }>();
  const answered = (fault: string | null): void => resolve({ fault, usable: true });
  const failed = (error: Error): void => resolve({ fault: error.message, usable: false });
  const limit = setTimeout(() => resolve({ fault: TOOK_TOO_LONG, usable: false }), limitMs);
  worker.once("message", answered);
  worker.once("error", failed);
  worker.postMessage(wanted);
  const { fault, usable } = await promise;
  clearTimeout(limit);
  worker.off("message", answered);
  if (usable) worker.off("error", failed);
  else {
    thread = undefined;
    await worker.terminate();
  }
  return fault;
}

function newThread(): Worker {
  const worker = new Worker(new URL("./schema-thread.ts", import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: MAX_OLD_SPACE_MB } });
  worker.on("error", () => {});
  // A server that ends does not wait for it.
  worker.unref();
  return worker;
}

function remember(key: string, fault: string | null): void {
  known.set(key, fault);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_KNOWN) return;
    known.delete(oldest);
  }
}
