/*
 * The content blocks of a request: what each is, how large, and what the API says of images and documents that it refuses.
 * Pure, and never decides what is answered.
 */
import { createHash } from "node:crypto";

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The API counts an image's base64, not its bytes. */
export const MAX_IMAGE_BASE64_BYTES = 5 * 1024 * 1024;
export const MAX_PDF_PAGES = 100;
const MAX_IMAGE_TOKENS = 1_600;
const PIXELS_PER_TOKEN = 750;
const TOKENS_PER_PDF_PAGE = 2_000;
/** Of a file or an address nobody here can look into. */
const TOKENS_OF_UNSEEN: Record<string, number> = { image: MAX_IMAGE_TOKENS, document: TOKENS_PER_PDF_PAGE };
/** Thinking that this stand-in signed; the API takes back no other. */
export const SIGNATURE = "c3RhbmQtaW4=";

/** A block as the log shows it. `bytes` and `sha256` are of what it carries: text, decoded data, or the JSON of a call's input. */
export type Block = {
  role: string;
  type: string;
  /** `base64`, `text`, `url` or `file` of an image or a document. */
  source: string | null;
  media_type: string | null;
  title: string | null;
  bytes: number;
  sha256: string | null;
  /** It is part of a `tool_result`, which stands before it. */
  nested: boolean;
};

export type ReadBlock = Block & {
  /** Tokens of an image or a document; 0 where its characters count. */
  tokens: number;
};

/** Where blocks stand, as the API's errors name it, and who hears what the API says of one that it refuses. */
export type Place = { role: string; path: string; nested: boolean; refuse(sentence: string): void };

/** The blocks, and behind a tool's result the images and documents in it. */
export function readBlocks(content: unknown, place: Place): ReadBlock[] {
  if (typeof content === "string") return [textBlock(place, "text", content)];
  if (!Array.isArray(content)) return [];
  return content.flatMap((block: unknown, index) => (isFields(block) ? readBlock(block, { ...place, path: `${place.path}.${index}` }) : []));
}

function readBlock(block: Fields, place: Place): ReadBlock[] {
  const { type } = block;
  switch (type) {
    case "text":
      return [textBlock(place, "text", String(block["text"] ?? ""))];
    case "thinking":
      if (block["signature"] !== SIGNATURE) place.refuse(`${place.path}: Invalid \`signature\` in \`thinking\` block`);
      return [textBlock(place, "thinking", String(block["thinking"] ?? ""))];
    case "tool_use":
      return [textBlock(place, "tool_use", JSON.stringify(block["input"] ?? {}))];
    case "tool_result": {
      const inside = readBlocks(block["content"], { ...place, path: `${place.path}.tool_result.content`, nested: true });
      return [textBlock(place, "tool_result", textOf(block["content"])), ...inside.filter(({ type: kind }) => kind !== "text")];
    }
    case "image":
    case "document":
      return [attachment(type, block, place)];
    default:
      return [{ ...of(place, String(type)), bytes: 0, sha256: null, tokens: 0 }];
  }
}

function attachment(type: "image" | "document", block: Fields, place: Place): ReadBlock {
  const source = isFields(block["source"]) ? block["source"] : {};
  const path = `${place.path}.${type}.source`;
  const kind = source["type"];
  const about = {
    ...of(place, type),
    source: typeof kind === "string" ? kind : null,
    media_type: typeof source["media_type"] === "string" ? source["media_type"] : null,
    title: typeof block["title"] === "string" ? block["title"] : null,
  };
  if (kind === "url" || kind === "file") {
    const where = source[kind === "url" ? "url" : "file_id"];
    if (typeof where !== "string" || where === "") place.refuse(`${path}.${kind}: Field required`);
    return { ...about, bytes: 0, sha256: null, tokens: TOKENS_OF_UNSEEN[type] ?? 0 };
  }
  if (kind === "text" && type === "document") {
    if (about.media_type !== "text/plain") place.refuse(`${path}.text.media_type: Input should be 'text/plain'`);
    return { ...about, ...sumOf(Buffer.from(String(source["data"] ?? ""))), tokens: 0 };
  }
  if (kind !== "base64") {
    place.refuse(`${path}: Input tag '${String(kind)}' found using 'type' does not match any of the expected tags`);
    return { ...about, bytes: 0, sha256: null, tokens: 0 };
  }
  const data = typeof source["data"] === "string" ? source["data"] : "";
  const bytes = Buffer.from(data, "base64");
  const refusal =
    bytes.length === 0 || bytes.toString("base64") !== data
      ? `${path}.base64: invalid base64 data`
      : type === "image"
        ? imageRefusal(bytes, data.length, about.media_type, `${path}.base64`)
        : pdfRefusal(bytes, about.media_type, place.path);
  if (refusal !== undefined) place.refuse(refusal);
  return { ...about, ...sumOf(bytes), tokens: type === "image" ? imageTokens(bytes) : pagesOf(bytes) * TOKENS_PER_PDF_PAGE };
}

const IMAGE_TYPES = ["image/jpeg", "image/png", "image/gif", "image/webp"];

function imageRefusal(bytes: Buffer, base64Bytes: number, mediaType: string | null, path: string): string | undefined {
  if (mediaType === null || !IMAGE_TYPES.includes(mediaType)) {
    return `${path}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'`;
  }
  if (base64Bytes > MAX_IMAGE_BASE64_BYTES) return `${path}: image exceeds 5 MB maximum: ${base64Bytes} bytes > ${MAX_IMAGE_BASE64_BYTES} bytes`;
  const found = imageType(bytes);
  if (found === undefined) return `${path}.data: Could not process image`;
  return found === mediaType ? undefined : `${path}.data: Image does not match the provided media type ${mediaType}`;
}

function imageType(bytes: Buffer): string | undefined {
  const start = bytes.toString("latin1", 0, 12);
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (start.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (/^GIF8[79]a/.test(start)) return "image/gif";
  return /^RIFF[^]{4}WEBP/.test(start) ? "image/webp" : undefined;
}

/** By its size where its first bytes tell it; else as many as an image has at most. */
function imageTokens(bytes: Buffer): number {
  const type = imageType(bytes);
  if (type === "image/png" && bytes.length >= 24) return tokensOfPixels(bytes.readUInt32BE(16) * bytes.readUInt32BE(20));
  if (type === "image/gif" && bytes.length >= 10) return tokensOfPixels(bytes.readUInt16LE(6) * bytes.readUInt16LE(8));
  return MAX_IMAGE_TOKENS;
}

function tokensOfPixels(pixels: number): number {
  return Math.min(MAX_IMAGE_TOKENS, Math.ceil(pixels / PIXELS_PER_TOKEN));
}

function pdfRefusal(bytes: Buffer, mediaType: string | null, path: string): string | undefined {
  if (mediaType !== "application/pdf") return `${path}.document.source.base64.media_type: Input should be 'application/pdf'`;
  if (bytes.toString("latin1", 0, 5) !== "%PDF-") return `${path}.pdf.source.base64.data: The PDF specified was not valid.`;
  return pagesOf(bytes) > MAX_PDF_PAGES ? `${path}.pdf.source.base64.data: A maximum of ${MAX_PDF_PAGES} PDF pages may be provided.` : undefined;
}

/** Pages whose objects are not compressed; one at least. */
function pagesOf(bytes: Buffer): number {
  return Math.max(1, bytes.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length ?? 0);
}

function of({ role, nested }: Place, type: string): Omit<ReadBlock, "bytes" | "sha256" | "tokens"> {
  return { role, type, source: null, media_type: null, title: null, nested };
}

function textBlock(place: Place, type: string, text: string): ReadBlock {
  return { ...of(place, type), ...sumOf(Buffer.from(text)), tokens: 0 };
}

function sumOf(bytes: Buffer): { bytes: number; sha256: string } {
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** The text of a string or of a list of content blocks. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((block: unknown) => (isFields(block) && typeof block["text"] === "string" ? block["text"] : ""))
    .filter((text) => text !== "")
    .join("\n");
}
