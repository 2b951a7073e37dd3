/*
 * The Messages API's own shapes: a whole message, the events of a streamed one, and errors.
 * Pure but for the random ids; decides nothing about what is said or when.
 */
import { randomBytes } from "node:crypto";
import type { MessagesRequest } from "./request.ts";
import type { Plan } from "./script.ts";

type Usage = {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
  service_tier: "standard";
};
type Block =
  | { type: "text"; text: string }
  | { type: "tool_use"; id: string; name: string; input: Record<string, unknown> };

export type Message = {
  id: string;
  type: "message";
  role: "assistant";
  model: string;
  content: Block[];
  stop_reason: "end_turn" | "tool_use";
  stop_sequence: null;
  usage: Usage;
};

export type StreamEvent = { type: string } & Record<string, unknown>;

const CHARS_PER_TOKEN = 4;
const WORDS_PER_PIECE = 4;
const MAX_PIECE_CHARS = 1_000;
const PIECES = new RegExp(`(?:\\s*\\S+){1,${WORDS_PER_PIECE}}\\s*|\\s+`, "g");
const LONG_PIECES = new RegExp(`[^]{1,${MAX_PIECE_CHARS}}`, "gu");

const ERROR_TYPES: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  529: "overloaded_error",
};

export function newId(prefix: "msg" | "req" | "toolu"): string {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}

export function tokensIn(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN);
}

/** The body of an error answer. */
export function errorBody(status: number, message: string, requestId: string): object {
  const type = ERROR_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  return { type: "error", error: { type, message }, request_id: requestId };
}

/** The text in the pieces in which it is streamed: a few words each, none lost, no character split. */
export function pieces(text: string): string[] {
  return (text.match(PIECES) ?? []).flatMap((piece) => piece.match(LONG_PIECES) ?? []);
}

/** The whole answer to a request. */
export function messageFor(request: MessagesRequest, plan: Plan): Message {
  const content: Block =
    plan.answer.kind === "text"
      ? { type: "text", text: plan.answer.text }
      : { type: "tool_use", id: newId("toolu"), name: plan.answer.call.name, input: plan.answer.call.input };
  const prefix = tokensIn(request.prefixChars);
  const last = tokensIn(request.lastMessageChars);
  return {
    id: newId("msg"),
    type: "message",
    role: "assistant",
    model: request.model,
    content: [content],
    stop_reason: content.type === "text" ? "end_turn" : "tool_use",
    stop_sequence: null,
    usage: {
      // With caching, what came before is written on the first request and read on later ones.
      input_tokens: request.usesCache ? last : prefix + last,
      cache_creation_input_tokens: request.usesCache && !request.hasHistory ? prefix : 0,
      cache_read_input_tokens: request.usesCache && request.hasHistory ? prefix : 0,
      output_tokens: tokensIn(JSON.stringify(content).length),
      service_tier: "standard",
    },
  };
}

/** The events that carry a message, in order. The `content_block_delta`s are its pieces. */
export function* eventsOf(message: Message): Generator<StreamEvent> {
  yield {
    type: "message_start",
    message: { ...message, content: [], stop_reason: null, usage: { ...message.usage, output_tokens: 1 } },
  };
  for (const [index, block] of message.content.entries()) {
    const empty = block.type === "text" ? { ...block, text: "" } : { ...block, input: {} };
    yield { type: "content_block_start", index, content_block: empty };
    yield { type: "ping" };
    const [deltaType, field, parts] =
      block.type === "text"
        ? (["text_delta", "text", pieces(block.text)] as const)
        : (["input_json_delta", "partial_json", ["", ...pieces(JSON.stringify(block.input))]] as const);
    for (const part of parts) {
      yield { type: "content_block_delta", index, delta: { type: deltaType, [field]: part } };
    }
    yield { type: "content_block_stop", index };
  }
  yield {
    type: "message_delta",
    delta: { stop_reason: message.stop_reason, stop_sequence: null },
    usage: message.usage,
  };
  yield { type: "message_stop" };
}

export function encode(event: StreamEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
