/*
 * Tool calls as frames: their start with the input, their end with the result, each as small as a frame wants it.
 * Owns which calls are open. The frames of a call have its name and the call of the subagent that made it.
 */
import type { SDKMessage, SDKPermissionDeniedMessage } from "@anthropic-ai/claude-agent-sdk";
import type { ResultBlock, ToolFrame } from "../frames.ts";
import { plainName } from "../actions/terms.ts";
import { cutInput, cutToJsonBytes, jsonBytes } from "../pieces.ts";
import { shortName } from "./names.ts";

/** The JSON of a tool's input in a frame is at most this long. */
const MAX_INPUT_CHARS = 2048;
const INPUT_STRING_CUTS = [1024, 256, 64, 16];
/** Of an input that is cut there, what is kept of it; and of a result. */
export const MAX_WHOLE_BYTES = 16 * 1024;
export const MAX_RESULT_BYTES = 16 * 1024;
const WHOLE_STRING_CUTS = [8192, 4096, ...INPUT_STRING_CUTS];
/** They change no file. */
const READING_TOOLS = ["Read", "Glob", "Grep", "StructuredOutput"];

type Started = { id: string; name: string; input: unknown };
/** What the SDK says beside a message of results. Its types don't name it. */
type Decided = { tool_result_meta?: { id?: unknown; permission_decision?: { decision?: unknown } }[] };
type Results = Extract<SDKMessage, { type: "user" }> & Decided;

export class Tools {
  readonly #names = new Map<string, string>();
  readonly #denied = new Set<string>();
  #onlyRead = true;

  /** No tool was called but those that only read. */
  get onlyRead(): boolean {
    return this.#onlyRead;
  }

  started(use: Started, parent: string | null): ToolFrame {
    const name = shortName(plainName(use.name));
    this.#names.set(use.id, name);
    this.#onlyRead &&= READING_TOOLS.includes(name);
    return { type: "tool", ...callOf(use.id, name, parent), status: "started", ...inputOf(use.input) };
  }

  denied(message: SDKPermissionDeniedMessage): void {
    if (this.#names.has(message.tool_use_id)) this.#denied.add(message.tool_use_id);
  }

  /** The ends of calls that a message tells. */
  ended(message: Results): ToolFrame[] {
    const { content } = message.message;
    if (typeof content === "string") return [];
    return content.flatMap((block) => {
      const name = block.type === "tool_result" ? this.#names.get(block.tool_use_id) : undefined;
      if (block.type !== "tool_result" || name === undefined) return [];
      const id = block.tool_use_id;
      const denied = this.#denied.delete(id) || wasRejected(message, id);
      this.#names.delete(id);
      const status = block.is_error !== true ? "finished" : denied ? "denied" : "failed";
      return [{ type: "tool", ...callOf(id, name, message.parent_tool_use_id), status, ...smallResult(block.content) } as const];
    });
  }
}

function callOf(id: string, name: string, parent: string | null): { id: string; name: string; parent?: string } {
  return { id: shortName(id), name, ...(parent === null ? {} : { parent: shortName(parent) }) };
}

function wasRejected({ tool_result_meta: decided }: Decided, id: string): boolean {
  return Array.isArray(decided) && decided.some((about) => about.id === id && about.permission_decision?.decision === "reject");
}

/** As a frame tells it: small, and if that was not all of it, larger as well. */
function inputOf(input: unknown): { input?: object; whole?: object } {
  const small = smallInput(input);
  if (small === input) return small === undefined ? {} : { input: small };
  const whole = wholeInput(input);
  return { ...(small === undefined ? {} : { input: small }), ...(whole === undefined ? {} : { whole }) };
}

/** The input as an object whose JSON is small: its strings are cut, harder and harder; undefined where that is not enough. */
export function smallInput(input: unknown): object | undefined {
  return cutInput(input, INPUT_STRING_CUTS, (json) => json.length <= MAX_INPUT_CHARS);
}

export function wholeInput(input: unknown): object | undefined {
  return cutInput(input, WHOLE_STRING_CUTS, (json) => Buffer.byteLength(json) <= MAX_WHOLE_BYTES);
}

/** Texts as far as there is room for them, images by their type and size. */
export function smallResult(content: unknown): { result?: string | ResultBlock[]; truncated?: true } {
  if (typeof content === "string") {
    const result = cutToJsonBytes(content, MAX_RESULT_BYTES);
    return result.length < content.length ? { result, truncated: true } : { result };
  }
  if (!Array.isArray(content)) return {};
  const result: ResultBlock[] = [];
  let left = MAX_RESULT_BYTES - jsonBytes([]);
  for (const block of content as unknown[]) {
    const small = resultBlock(block, left);
    if (small !== undefined) {
      result.push(small.block);
      left -= jsonBytes(small.block) + ",".length;
    }
    if (small === undefined || small.cut) return { result, truncated: true };
  }
  return { result };
}

/** Undefined: there is no room for it, or it is neither text nor an image. */
function resultBlock(block: unknown, room: number): { block: ResultBlock; cut: boolean } | undefined {
  const { type, text, source } = (block ?? {}) as { type?: unknown; text?: unknown; source?: { type?: unknown; media_type?: unknown; data?: unknown } };
  if (type === "text" && typeof text === "string") {
    const empty: ResultBlock = { type, text: "" };
    const forText = room - jsonBytes(empty) + jsonBytes("");
    if (forText < jsonBytes("")) return undefined;
    const cut = cutToJsonBytes(text, forText);
    return { block: { type, text: cut }, cut: cut.length < text.length };
  }
  if (type !== "image" || source?.type !== "base64" || typeof source.data !== "string") return undefined;
  const image: ResultBlock = { type, media_type: shortName(String(source.media_type)), bytes: Buffer.byteLength(source.data, "base64") };
  return jsonBytes(image) <= room ? { block: image, cut: false } : undefined;
}
