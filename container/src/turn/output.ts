/*
 * The end of a turn whose answer is a value of a schema. Owns that a turn without such a value is never a success.
 */
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { shortSentence } from "../events/names.ts";
import type { ResultFrame } from "../frames.ts";

/** The CLI's tool that takes the value; its call ends the turn. */
export const STRUCTURED_OUTPUT = "StructuredOutput";
/** Of the value's JSON. It stands in the frame twice, and as a string it can take twice as much. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export class StructuredOutput {
  readonly #calls = new Set<string>();
  /** What the CLI said of the last value that it did not take. */
  #refusal: string | undefined;

  /** False: it is no part of the turn's events. */
  message(message: SDKMessage): boolean {
    if (message.type !== "assistant" && message.type !== "user") return true;
    const { content } = message.message;
    if (message.parent_tool_use_id !== null || typeof content === "string") return true;
    for (const block of content) {
      if (block.type === "tool_use" && block.name === STRUCTURED_OUTPUT) this.#calls.add(block.id);
      if (block.type !== "tool_result" || !this.#calls.delete(block.tool_use_id) || block.is_error !== true) continue;
      this.#refusal = typeof block.content === "string" ? block.content : JSON.stringify(block.content);
    }
    return true;
  }

  ending(frame: ResultFrame, result: SDKResultMessage): ResultFrame {
    if (result.subtype === "error_max_structured_output_retries" && frame.status !== "cancelled") return invalid(frame, this.#refusal ?? result.errors.join("; "));
    if (frame.status !== "completed" || result.subtype !== "success") return frame;
    const output = result.structured_output;
    if (output === undefined) return invalid(frame, this.#refusal ?? "the model gave no value");
    const text = JSON.stringify(output);
    if (Buffer.byteLength(text) > MAX_OUTPUT_BYTES) return invalid(frame, `the value is over ${MAX_OUTPUT_BYTES / 1024 / 1024} MiB`);
    return { ...frame, output, text };
  }
}

function invalid(frame: ResultFrame, why: string): ResultFrame {
  return { ...frame, status: "failed", error: { code: "output_invalid", message: shortSentence(why) } };
}
