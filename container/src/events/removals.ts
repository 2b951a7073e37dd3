/*
 * Attachments that the model never saw: the CLI leaves out an image that it cannot read, and what the API refuses.
 * It says so in the transcript alone, in entries whose form is its own; this is the one place that knows them.
 */
import type { Entry, Frame } from "../frames.ts";
import { shortSentence } from "./names.ts";

/** A block of the turn's message, in its order. `path` names the file it was read from. */
export type Attached = { type: string; path?: string | null };

/** Stands in the place of an image. */
const UNREADABLE = /^\[Image could not be processed: ([^]*?)\]?$/;
/** Which block the API means: what comes before its sentence. */
const PLACE = /^messages[.[]\S*:\s*/;

export class Removals {
  readonly #attached: readonly Attached[];
  #messageSeen = false;

  constructor(attached: readonly Attached[]) {
    this.#attached = attached;
  }

  entry(entry: Entry): Frame[] {
    if (entry.type === "assistant" && entry["apiError"] === "media_removed") return [this.#refused(entry)];
    if (entry.type !== "user" || this.#messageSeen || this.#attached.length === 0) return [];
    const content = (entry["message"] as { content?: unknown } | null | undefined)?.content;
    if (!Array.isArray(content) || content.length < this.#attached.length) return [];
    this.#messageSeen = true;
    return this.#attached.flatMap((attached, index) => {
      const text = (content[index] as { text?: unknown } | null)?.text;
      const reason = attached.type === "image" && typeof text === "string" ? UNREADABLE.exec(text)?.[1] : undefined;
      return reason === undefined ? [] : [removed(attached.path, reason)];
    });
  }

  /** The CLI tells the kind. Which one it was is known only where there is no other. */
  #refused(entry: Entry): Frame {
    const { media, media_reason: code } = (entry["apiErrorParams"] ?? {}) as { media?: unknown; media_reason?: unknown };
    const candidates = this.#attached.filter(({ type }) => type === media);
    return removed(candidates.length === 1 ? candidates[0]?.path : null, sentenceIn(entry["errorDetails"]) ?? (typeof code === "string" ? code : "unprocessable"));
  }
}

function removed(path: string | null | undefined, reason: string): Frame {
  return { type: "attachment_removed", path: path ?? null, reason: shortSentence(reason) };
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
