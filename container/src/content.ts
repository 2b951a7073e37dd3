/*
 * The content blocks of a turn as its caller sends them: their shapes and nothing else. The caller has checked types, sizes and addresses.
 */
import { isPath } from "./workspace/paths.ts";

export type MediaType = "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "application/pdf" | "text/plain";
/** A file of the workspace as it was when the turn was admitted. `etag`: the first 128 bits of its SHA-256, in hexadecimal. */
export type FileReference = { path: string; media_type: MediaType; size: number; etag: string };
export type Source =
  | { type: "base64"; media_type: MediaType; data: string }
  | { type: "text"; media_type: "text/plain"; data: string }
  | { type: "url"; url: string }
  | ({ type: "file" } & FileReference);
export type Attachment = { type: "image" | "document"; source: Source; title?: string; context?: string; citations?: { enabled: boolean } };
export type Block = { type: "text"; text: string } | Attachment;

/** What was sent is no list of blocks; the message says why. */
export class InvalidContent extends Error {}

const MAX_BLOCKS = 64;
/** The largest file that can be attached. */
export const MAX_FILE_BYTES = 32 * 1024 * 1024;
const MEDIA_TYPES: readonly string[] = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"] satisfies MediaType[];
const ETAG = /^[0-9a-f]{32}$/;

type Fields = Record<string, unknown>;

export function parseContent(value: unknown): Block[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_BLOCKS) throw new InvalidContent(`content must be a list of 1 to ${MAX_BLOCKS} blocks`);
  return (value as unknown[]).map((block, index) => {
    const parsed = isFields(block) ? parseBlock(block) : undefined;
    if (parsed === undefined) throw new InvalidContent(`content[${index}] is malformed`);
    return parsed;
  });
}

function parseBlock({ type, text, source, title, context, citations }: Fields): Block | undefined {
  if (type === "text") return typeof text === "string" ? { type, text } : undefined;
  const parsed = isFields(source) ? parseSource(source) : undefined;
  if ((type !== "image" && type !== "document") || parsed === undefined) return undefined;
  return {
    type,
    source: parsed,
    ...(typeof title === "string" ? { title } : {}),
    ...(typeof context === "string" ? { context } : {}),
    ...(isFields(citations) ? { citations: { enabled: citations["enabled"] === true } } : {}),
  };
}

function parseSource(source: Fields): Source | undefined {
  const { type, media_type, data, url } = source;
  switch (type) {
    case "base64":
      return isMediaType(media_type) && typeof data === "string" ? { type, media_type, data } : undefined;
    case "text":
      return typeof data === "string" ? { type, media_type: "text/plain", data } : undefined;
    case "url":
      return typeof url === "string" ? { type, url } : undefined;
    case "file": {
      const file = parseReference(source);
      return file === undefined ? undefined : { type, ...file };
    }
    default:
      return undefined;
  }
}

/** A file that a block or a transcript names. */
export function parseReference({ path, media_type, size, etag }: Fields): FileReference | undefined {
  const isSize = typeof size === "number" && Number.isInteger(size) && size >= 0 && size <= MAX_FILE_BYTES;
  if (typeof path !== "string" || !isPath(path) || !isMediaType(media_type) || !isSize || typeof etag !== "string" || !ETAG.test(etag)) return undefined;
  return { path, media_type, size, etag };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMediaType(value: unknown): value is MediaType {
  return typeof value === "string" && MEDIA_TYPES.includes(value);
}
