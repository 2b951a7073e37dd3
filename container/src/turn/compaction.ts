/*
 * A turn that compacts its conversation: the CLI's own command, and how the CLI says that it went.
 */
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { shortSentence } from "../events/names.ts";
import type { Frame, ResultFrame, TurnError } from "../frames.ts";

const NOTHING = /\b(?:No|Not enough) messages to compact\b/;
const CANCELLED = /\bCompaction canceled\b/;
const API_STATUS = /\bAPI Error: (\d{3})\b/;

/** `instructions` say what the summary should keep; they may be empty. */
export function compactCommand(instructions: string): string {
  return `/compact ${instructions.trim()}`.trim();
}

export class Compaction {
  readonly #emit: (frame: Frame) => void;
  #done = false;
  #said = "";
  #failure: string | undefined;

  constructor(emit: (frame: Frame) => void) {
    this.#emit = emit;
  }

  /** False: it is no part of the turn's events. What the CLI itself says and the summary are none. */
  message(message: SDKMessage): boolean {
    if (message.type === "assistant") {
      for (const block of message.message.content) if (block.type === "text") this.#said = block.text;
      return false;
    }
    if (message.type !== "system") return message.type !== "user";
    if (message.subtype === "compact_boundary") this.#done = true;
    if (message.subtype === "status" && message.compact_result === "failed") this.#failure = message.compact_error;
    return true;
  }

  ending(frame: ResultFrame, _result: SDKResultMessage): ResultFrame {
    if (this.#done || frame.status !== "completed") return frame;
    const why = this.#failure ?? this.#said;
    if (CANCELLED.test(this.#said)) return { ...frame, status: "cancelled" };
    if (!NOTHING.test(why)) return { ...frame, status: "failed", error: errorOf(why) };
    this.#emit({ type: "notice", code: "nothing_to_compact", message: "the conversation is too short to be compacted" });
    return frame;
  }
}

function errorOf(why: string): TurnError {
  const message = shortSentence(why === "" ? "the conversation was not compacted" : why);
  const status = Number(API_STATUS.exec(why)?.[1]);
  if (Number.isNaN(status)) return { code: "agent_failed", message };
  const code = status === 401 || status === 403 ? "model_auth_failed" : status === 429 ? "model_rate_limited" : "model_failed";
  return { code, message, http_status: status };
}
