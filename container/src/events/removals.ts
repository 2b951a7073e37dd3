/*
 * Attachments that the model never saw: the CLI leaves out an image that it cannot read, and what the API refuses.
 * It says so in the transcript alone, in entries whose form is its own; this is the one place that knows them.
 */
import type { Block } from "../content.ts";
import type { Entry, Frame } from "../frames.ts";
import { shortSentence } from "./names.ts";

/** Stands in the place of an image. */
const UNREADABLE = /^\[Image could not be processed: ([^]*?)\]?$/;
/** Which block the API means: what comes before its sentence. */
const PLACE = /^messages[.[]\S*:\s*/;

export class Removals {
  /** The turn's message; empty where it is only a text. */
  readonly #content: readonly Block[];
  #messageSeen = false;

  constructor(content: readonly Block[]) {
    this.#content = content;
  }

  entry(entry: Entry): Frame[] {
    if (entry.type === "assistant" && entry["apiError"] === "media_removed") return [this.#refused(entry)];
    if (entry.type !== "user" || this.#messageSeen || this.#content.length === 0) return [];
    const stored = (entry["message"] as { content?: unknown } | null | undefined)?.content;
    if (!Array.isArray(stored) || stored.length < this.#content.length) return [];
    this.#messageSeen = true;
    return this.#content.flatMap((block, index) => {
      const text = (stored[index] as { text?: unknown } | null)?.text;
      const reason = block.type === "image" && typeof text === "string" ? UNREADABLE.exec(text)?.[1] : undefined;
      return reason === undefined ? [] : [removed(block, reason)];
    });
  }

  /** The CLI tells the kind. Which one it was is known only where there is no other. */
  #refused(entry: Entry): Frame {
    const { media, media_reason: code } = (entry["apiErrorParams"] ?? {}) as { media?: unknown; media_reason?: unknown };
    const [block, ...others] = this.#content.filter(({ type }) => type === media);
    return removed(others.length === 0 ? block : undefined, sentenceIn(entry["errorDetails"]) ?? (typeof code === "string" ? code : "unprocessable"));
  }
}

function removed(block: Block | undefined, reason: string): Frame {
  const path = block !== undefined && block.type !== "text" && block.source.type === "file" ? block.source.path : null;
  return { type: "attachment_removed", path, reason: shortSentence(reason) };
}

/** Of `400 {"type":"error","error":{"message":"messages.0.content.1.pdf.source.base64.data: The PDF specified was not valid."}}` the last words. */
function sentenceIn(details: unknown): string | undefined {
  if (typeof details !== "string") return undefined;
  try {
    const { error } = JSON.parse(details.slice(details.indexOf("{"))) as { error?: { message?: unknown } };
    return typeof error?.message === "string" ? error.message.replace(PLACE, "") : undefined;
  } catch {
    return undefined;
  }
}
