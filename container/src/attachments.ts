/*
 * Attachments between a conversation's folder and the model: a turn's blocks become the SDK's message, with the bytes of the files that they
 * name. The folder belongs to the agent, which may have changed it: a file counts only as long as its bytes are those that were admitted.
 */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { close, read } from "node:fs";
import { promisify } from "node:util";
import type { SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Attachment, Block, FileReference, Source } from "./content.ts";
import type { User } from "./users.ts";
import { NotThere } from "./workspace/folder.ts";
import { Tree } from "./workspace/tree.ts";

export type Message = SDKUserMessage["message"]["content"];
type SentBlock = Exclude<Message, string>[number];

/** The API takes no more of one PDF. */
const MAX_PDF_PAGES = 100;
/** A page's dictionary; compressed ones are not seen, and the API counts those. */
const PDF_PAGE = /\/Type\s*\/Page(?![A-Za-z])/g;
const READ_BYTES = 1024 * 1024;
const ETAG_CHARS = 32;

export type AttachmentCode = "attachment_not_found" | "attachment_too_large" | "unsupported_attachment";

/** The turn cannot have its attachment. The message is for its caller. */
export class AttachmentFailed extends Error {
  readonly code: AttachmentCode;

  constructor(code: AttachmentCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A conversation's folder, and whose it is. */
export type Place = { root: string; user: User | undefined };

/** The data of a file that was sent, as the message has it. */
export type Sent = { data: string; reference: FileReference };

/** The message that blocks are, with what it sends of files. */
export async function messageOf(blocks: readonly Block[], place: Place): Promise<{ message: SentBlock[]; sent: (Sent | undefined)[] }> {
  const message: SentBlock[] = [];
  const sent: (Sent | undefined)[] = [];
  for (const block of blocks) {
    if (block.type === "text") {
      message.push(block);
      continue;
    }
    const { source } = block;
    const data = source.type === "file" ? await readReference(source, place) : undefined;
    checkPages(source, data);
    message.push(sentBlock(block, data));
    sent.push(source.type === "file" && data !== undefined ? { data, reference: referenceOf(source) } : undefined);
  }
  return { message, sent };
}

/** What a file is to the model: base64, or its text. Throws `AttachmentFailed` where it is not what is referred to. */
export async function readReference({ path, media_type, size, etag }: FileReference, place: Place): Promise<string> {
  const bytes = await bytesOf(path, size, place);
  if (bytes === undefined) throw new AttachmentFailed("attachment_not_found", `the conversation has no file ${path}`);
  if (bytes === "changed" || etagOf(bytes) !== etag) throw new AttachmentFailed("attachment_not_found", `the file ${path} has changed since it was attached`);
  if (media_type !== "text/plain") return bytes.toString("base64");
  if (!isUtf8(bytes)) throw new AttachmentFailed("unsupported_attachment", `the file ${path} is no text in UTF-8`);
  return bytes.toString();
}

async function bytesOf(path: string, size: number, { root, user }: Place): Promise<Buffer | "changed" | undefined> {
  const opened = openedIn(root, user, path);
  if (opened === undefined) return undefined;
  try {
    if (opened.size !== size) return "changed";
    const bytes = Buffer.allocUnsafe(size);
    for (let at = 0; at < size; ) {
      const { bytesRead } = await promisify(read)(opened.fd, bytes, at, Math.min(READ_BYTES, size - at), at);
      if (bytesRead === 0) return "changed";
      at += bytesRead;
    }
    return bytes;
  } finally {
    await promisify(close)(opened.fd);
  }
}

/** No link is followed, and no file of another user is opened. */
function openedIn(root: string, user: User | undefined, path: string): { fd: number; size: number } | undefined {
  let tree: Tree | undefined;
  try {
    tree = new Tree(root, user);
    const { fd, stats } = tree.openFile(path);
    return { fd, size: stats.size };
  } catch (error) {
    if (error instanceof NotThere) return undefined;
    throw error;
  } finally {
    tree?.close();
  }
}

function etagOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, ETAG_CHARS);
}

function checkPages(source: Source, data: string | undefined): void {
  if ((source.type !== "file" && source.type !== "base64") || source.media_type !== "application/pdf") return;
  const base64 = source.type === "base64" ? source.data : (data ?? "");
  const pages = Buffer.from(base64, "base64").toString("latin1").match(PDF_PAGE)?.length ?? 0;
  if (pages <= MAX_PDF_PAGES) return;
  const name = source.type === "file" ? `the file ${source.path}` : "a PDF";
  throw new AttachmentFailed("attachment_too_large", `${name} has ${pages} pages; the model takes ${MAX_PDF_PAGES}`);
}

function sentBlock({ type, source, title, context, citations }: Attachment, data: string | undefined): SentBlock {
  const block = { type, source: sentSource(source, data), ...(type === "document" ? { title, context, citations } : {}) };
  return JSON.parse(JSON.stringify(block)) as SentBlock;
}

export function referenceOf({ path, media_type, size, etag }: FileReference): FileReference {
  return { path, media_type, size, etag };
}

function sentSource(source: Source, data: string | undefined): object {
  if (source.type !== "file") return source;
  return dataSource(source, data ?? "");
}

/** The source of a block that a file is sent in. */
export function dataSource({ media_type }: FileReference, data: string): { type: "base64" | "text"; media_type: string; data: string } {
  return { type: media_type === "text/plain" ? "text" : "base64", media_type, data };
}
