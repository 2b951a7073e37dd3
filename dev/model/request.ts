/*
 * Reads the body of POST /v1/messages as far as the stand-in needs it: who said what, in order.
 * Never decides what to answer. What the Claude Code CLI adds to a user's message (system reminders,
 * interruption marks) is not something the user said and is left out here.
 */

/** A request that the Messages API would refuse; `message` says why. */
export class InvalidRequest extends Error {}

export type ToolResult = { toolUseId: string; text: string; isError: boolean };

export type MessagesRequest = {
  model: string;
  /** `output_config.effort`; null where the request says nothing of it. */
  effort: string | null;
  stream: boolean;
  /** The system prompt's text. */
  system: string;
  toolNames: string[];
  messageCount: number;
  /** Everything the user said, oldest first; the last is what is asked now. */
  userTexts: string[];
  /** Results of the tool calls made since the last thing the user said. */
  toolResults: ToolResult[];
  /** Whether the model spoke before. */
  hasHistory: boolean;
  /** Whether the caller marks parts of the request for the prompt cache. */
  usesCache: boolean;
  /** Lengths in characters: of all before the last message, and of the last message. */
  prefixChars: number;
  lastMessageChars: number;
};

type Fields = Record<string, unknown>;

const SYSTEM_REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>/g;
const INTERRUPTION = /^\[Request interrupted by user.*\]$/;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The text of a string or of a list of content blocks. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((block: unknown) => (isFields(block) && typeof block["text"] === "string" ? block["text"] : ""))
    .filter((text) => text !== "")
    .join("\n");
}

/** What of a text block the user really said; empty where that is nothing. */
function saidIn(text: string): string {
  const said = text.replace(SYSTEM_REMINDER, "").trim();
  return INTERRUPTION.test(said) ? "" : said;
}

/** Reads a request's body. Throws InvalidRequest with the API's kind of sentence. */
export function readMessagesRequest(body: unknown): MessagesRequest {
  if (!isFields(body)) throw new InvalidRequest("The body must be a JSON object.");
  const { model, messages, system, tools, stream, output_config: output } = body;
  if (typeof model !== "string" || model === "") throw new InvalidRequest("model: Field required");
  if (!Array.isArray(messages)) throw new InvalidRequest("messages: Field required");
  if (messages.length === 0) throw new InvalidRequest("messages: at least one message is required");

  const userTexts: string[] = [];
  let toolResults: ToolResult[] = [];
  let hasHistory = false;
  for (const [index, message] of (messages as unknown[]).entries()) {
    if (!isFields(message) || typeof message["role"] !== "string") {
      throw new InvalidRequest(`messages.${index}.role: Field required`);
    }
    const { role, content } = message;
    if (typeof content !== "string" && !Array.isArray(content)) {
      throw new InvalidRequest(`messages.${index}.content: Field required`);
    }
    hasHistory ||= role === "assistant";
    if (role !== "user") continue;
    const blocks: unknown[] = typeof content === "string" ? [{ type: "text", text: content }] : content;
    for (const block of blocks) {
      if (!isFields(block)) continue;
      if (block["type"] === "tool_result") {
        toolResults.push({
          toolUseId: String(block["tool_use_id"]),
          text: textOf(block["content"]).replace(SYSTEM_REMINDER, "").trim(),
          isError: block["is_error"] === true,
        });
      } else if (block["type"] === "text" && typeof block["text"] === "string") {
        const said = saidIn(block["text"]);
        if (said === "") continue;
        userTexts.push(said);
        toolResults = [];
      }
    }
  }

  const lastMessageChars = JSON.stringify(messages.at(-1)).length;
  const wholeText = JSON.stringify({ system, tools, messages });
  return {
    model,
    effort: isFields(output) && typeof output["effort"] === "string" ? output["effort"] : null,
    stream: stream === true,
    system: textOf(system),
    toolNames: Array.isArray(tools)
      ? tools.flatMap((tool: unknown) => (isFields(tool) && typeof tool["name"] === "string" ? [tool["name"]] : []))
      : [],
    messageCount: messages.length,
    userTexts,
    toolResults,
    hasHistory,
    usesCache: wholeText.includes('"cache_control"'),
    prefixChars: wholeText.length - lastMessageChars,
    lastMessageChars,
  };
}
