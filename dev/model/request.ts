/*
 * Reads the body of POST /v1/messages as far as the stand-in needs it: who said what, in order.
 * Never decides what to answer. What the Claude Code CLI adds to a user's message (system reminders,
 * interruption marks) is not something the user said and is left out here.
 */
import { isFields, readBlocks, textOf } from "./blocks.ts";
import type { Fields, ReadBlock } from "./blocks.ts";

/** A request that the Messages API would refuse; `message` says why. */
export class InvalidRequest extends Error {}

export type ToolResult = { toolUseId: string; text: string; isError: boolean };

export type MessagesRequest = {
  model: string;
  /** `output_config.effort`; null where the request says nothing of it. */
  effort: string | null;
  /** `thinking.type`; null where the request says nothing of it. */
  thinking: string | null;
  stream: boolean;
  /** The system prompt's text. */
  system: string;
  toolNames: string[];
  messageCount: number;
  /** Everything the user said, oldest first; the last is what is asked now. */
  userTexts: string[];
  /** Results of the tool calls made since the last thing the user said. */
  toolResults: ToolResult[];
  /** What the last tool call gave before the last thing was said. */
  resultBefore: ToolResult | undefined;
  /** The file that a plan is written into; undefined where none is to be made. */
  planFile: string | undefined;
  /** Whether the model spoke before. */
  hasHistory: boolean;
  /** Whether the caller marks parts of the request for the prompt cache. */
  usesCache: boolean;
  /** All blocks of all messages, and those of the user's last message. */
  blocks: ReadBlock[];
  lastBlocks: ReadBlock[];
  /** Why the API refuses a block; undefined where it takes them all. */
  refusal: string | undefined;
  /** Of all before the last message, and of the last message. */
  prefixTokens: number;
  lastMessageTokens: number;
};

const CHARS_PER_TOKEN = 4;

export function tokensIn(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN);
}

/** How the CLI names the file of a plan that does not exist yet, or exists. */
const PLAN_FILE = /plan (?:at|file already exists at) (\/\S+?\.md)/;
const SYSTEM_REMINDER = /<system-reminder>([\s\S]*?)<\/system-reminder>/g;
/** How a reminder tells of a message that the user sent while the agent worked. */
const STEERED = /^\s*The user sent a new message while you were working:\n([\s\S]*?)(?:\n\nThis is how Claude Code surfaces messages[\s\S]*)?$/;
/** The CLI's own words: where an image lies, that a structured answer is wanted, that the user interrupted. */
const MARK = /^\[(?:Request interrupted by user|Image: source: )[^]*\]$|^\[structured-output-enforce\]/;
/** What stands in the place of an attachment that could not be sent. */
const REPLACED = /^\[(Image|Document) (?:could not be processed|removed): [^]*\]$/;

/** What of a text block the user really said; empty where that is nothing. */
function saidIn(text: string): string {
  const said = text.replace(SYSTEM_REMINDER, (_reminder, inside: string) => STEERED.exec(inside)?.[1] ?? "").trim();
  return MARK.test(said) || REPLACED.test(said) ? "" : said;
}

/** What the user said in a message, block by block. One who sends nothing but an attachment has said something, too. */
function saidInMessage(role: string, blocks: Fields[]): string[] {
  const texts = blocks.map((block) => (block["type"] === "text" && typeof block["text"] === "string" ? block["text"] : ""));
  // A message that was sent in the middle of a turn comes as the system's.
  const said = (role === "user" ? texts : texts.filter((text) => text.includes("while you were working:"))).map(saidIn).filter((text) => text !== "");
  if (said.length > 0 || role !== "user") return said;
  const attachment = blocks.find((block) => block["type"] === "image" || block["type"] === "document")?.["type"];
  const replaced = texts.map((text) => REPLACED.exec(text.trim())?.[1]?.toLowerCase()).find((kind) => kind !== undefined);
  return attachment === undefined && replaced === undefined ? [] : [`(${String(attachment ?? replaced)})`];
}

/** As JSON, but for the data of attachments, whose tokens are counted by their kind. */
function textThatCounts(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (isFields(part) && part["type"] === "base64" ? { ...part, data: "" } : part));
}

/** Reads a request's body. Throws InvalidRequest with the API's kind of sentence. */
export function readMessagesRequest(body: unknown): MessagesRequest {
  if (!isFields(body)) throw new InvalidRequest("The body must be a JSON object.");
  const { model, messages, system, tools, stream, output_config: output, thinking } = body;
  if (typeof model !== "string" || model === "") throw new InvalidRequest("model: Field required");
  if (!Array.isArray(messages)) throw new InvalidRequest("messages: Field required");
  if (messages.length === 0) throw new InvalidRequest("messages: at least one message is required");

  const userTexts: string[] = [];
  let toolResults: ToolResult[] = [];
  let resultBefore: ToolResult | undefined;
  let hasHistory = false;
  let refusal: string | undefined;
  const blocks: ReadBlock[][] = [];
  for (const [index, message] of (messages as unknown[]).entries()) {
    if (!isFields(message) || typeof message["role"] !== "string") {
      throw new InvalidRequest(`messages.${index}.role: Field required`);
    }
    const { role, content } = message;
    if (typeof content !== "string" && !Array.isArray(content)) {
      throw new InvalidRequest(`messages.${index}.content: Field required`);
    }
    const refuse = (sentence: string): void => void (refusal ??= sentence);
    blocks.push(readBlocks(content, { role, path: `messages.${index}.content`, nested: false, refuse }));
    hasHistory ||= role === "assistant";
    if (role === "assistant") continue;
    const parts = (typeof content === "string" ? [{ type: "text", text: content }] : (content as unknown[])).filter(isFields);
    for (const block of parts) {
      if (block["type"] !== "tool_result") continue;
      const text = textOf(block["content"]).replace(SYSTEM_REMINDER, "").trim();
      toolResults.push({ toolUseId: String(block["tool_use_id"]), text, isError: block["is_error"] === true });
    }
    const said = saidInMessage(role, parts);
    userTexts.push(...said);
    if (said.length === 0) continue;
    resultBefore = toolResults.at(-1) ?? resultBefore;
    toolResults = [];
  }

  const wholeText = textThatCounts({ system, tools, messages });
  const lastMessageText = textThatCounts(messages.at(-1));
  const ofAttachments = (read: ReadBlock[]): number => read.reduce((sum, block) => sum + block.tokens, 0);
  const lastMessage = blocks.at(-1) ?? [];
  return {
    model,
    effort: isFields(output) && typeof output["effort"] === "string" ? output["effort"] : null,
    thinking: isFields(thinking) && typeof thinking["type"] === "string" ? thinking["type"] : null,
    stream: stream === true,
    system: textOf(system),
    toolNames: Array.isArray(tools)
      ? tools.flatMap((tool: unknown) => (isFields(tool) && typeof tool["name"] === "string" ? [tool["name"]] : []))
      : [],
    messageCount: messages.length,
    userTexts,
    toolResults,
    resultBefore,
    planFile: PLAN_FILE.exec(wholeText)?.[1],
    hasHistory,
    usesCache: wholeText.includes('"cache_control"'),
    blocks: blocks.flat(),
    lastBlocks: blocks.findLast(([block]) => block?.role === "user") ?? [],
    refusal,
    prefixTokens: tokensIn(wholeText.length - lastMessageText.length) + ofAttachments(blocks.slice(0, -1).flat()),
    lastMessageTokens: tokensIn(lastMessageText.length) + ofAttachments(lastMessage),
  };
}
