/*
 * The Messages API's own shapes: a whole message, the events of a streamed one, and errors.
 * Pure but for the random ids; decides nothing about what is said or when.
 */
import { randomBytes } from "node:crypto";
import { SIGNATURE } from "./blocks.ts";
import { tokensIn } from "./request.ts";
import type { MessagesRequest } from "./request.ts";
import type { Plan } from "./script.ts";

export type Usage = {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
  service_tier: "standard";
};
type Block =
  | { type: "thinking"; thinking: string; signature: string }
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
  const answer: Block[] =
    plan.answer.kind === "text"
      ? [{ type: "text", text: plan.answer.text }]
      : plan.answer.calls.map(({ name, input }) => ({ type: "tool_use", id: newId("toolu"), name, input }));
  const thinking: Block[] = plan.thinking === undefined ? [] : [{ type: "thinking", thinking: plan.thinking, signature: SIGNATURE }];
  const content = [...thinking, ...answer];
  return {
    id: newId("msg"),
    type: "message",
    role: "assistant",
    model: request.model,
    content,
    stop_reason: plan.answer.kind === "tool" ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: {
      ...inputUsage(request, plan),
      output_tokens: content.reduce((tokens, block) => tokens + tokensIn(JSON.stringify(block).length), 0),
      service_tier: "standard",
    },
  };
}

function inputUsage({ usesCache, hasHistory, prefixTokens, lastMessageTokens }: MessagesRequest, plan: Plan): Omit<Usage, "output_tokens" | "service_tier"> {
  if (plan.inputTokens !== undefined) return { input_tokens: plan.inputTokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  return {
    // With caching, what came before is written on the first request and read on later ones.
    input_tokens: usesCache ? lastMessageTokens : prefixTokens + lastMessageTokens,
    cache_creation_input_tokens: usesCache && !hasHistory ? prefixTokens : 0,
    cache_read_input_tokens: usesCache && hasHistory ? prefixTokens : 0,
  };
}

/** The events that carry a message, in order. The `content_block_delta`s are its pieces. */
export function* eventsOf(message: Message): Generator<StreamEvent> {
  yield {
    type: "message_start",
    message: { ...message, content: [], stop_reason: null, usage: { ...message.usage, output_tokens: 1 } },
  };
  for (const [index, block] of message.content.entries()) {
    const [empty, deltas] = streamed(block);
    yield { type: "content_block_start", index, content_block: empty };
    if (index === 0) yield { type: "ping" };
    for (const delta of deltas) yield { type: "content_block_delta", index, delta };
    yield { type: "content_block_stop", index };
  }
  yield {
    type: "message_delta",
    delta: { stop_reason: message.stop_reason, stop_sequence: null },
    usage: message.usage,
  };
  yield { type: "message_stop" };
}

/** A block as its stream begins, and the deltas that fill it. */
function streamed(block: Block): [empty: object, deltas: object[]] {
  switch (block.type) {
    case "thinking":
      return [
        { type: "thinking", thinking: "", signature: "" },
        [...pieces(block.thinking).map((thinking) => ({ type: "thinking_delta", thinking })), { type: "signature_delta", signature: block.signature }],
      ];
    case "text":
      return [{ ...block, text: "" }, pieces(block.text).map((text) => ({ type: "text_delta", text }))];
    case "tool_use":
      return [{ ...block, input: {} }, ["", ...pieces(JSON.stringify(block.input))].map((json) => ({ type: "input_json_delta", partial_json: json }))];
  }
}

export function encode(event: StreamEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
