/** Files that go with a question: pictures, PDFs and text, which the model sees itself. Others are only for the agent's folder. */
import type { AgentClient, Schemas } from "claude-agent-service-client";
import type { Attachment } from "./turns.ts";

export type Block = Schemas["ContentBlock"];

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const PDF = "application/pdf";
/** As the service has it: base64 is a third longer than what it stands for. */
const MAX_PICTURE_BYTES = (5 * 1024 * 1024 * 3) / 4;
const MAX_PDF_BYTES = (32 * 1024 * 1024 * 3) / 4;
const MAX_TEXT_BYTES = 1024 * 1024;
/** What goes in the question itself, all attachments together; larger ones are uploaded first. */
const MAX_INLINE_BYTES = 2 * 1024 * 1024;
const TEXT_NAMES = /\.(txt|md|csv|tsv|json|xml|html?|css|jsx?|tsx?|py|rs|go|java|c|h|cpp|sh|toml|ya?ml|sql|log)$/i;

type Kind = "picture" | "pdf" | "text";

function kindOf({ type, name, size }: File): Kind | undefined {
  if (PICTURES.includes(type)) return size <= MAX_PICTURE_BYTES ? "picture" : undefined;
  if (type === PDF) return size <= MAX_PDF_BYTES ? "pdf" : undefined;
  return (type.startsWith("text/") || TEXT_NAMES.test(name)) && size <= MAX_TEXT_BYTES ? "text" : undefined;
}

/** Whether the model can look at it itself. */
export const canAttach = (file: File): boolean => kindOf(file) !== undefined;

export function attachmentOf({ name, size, type }: File): Attachment {
  return { type: PICTURES.includes(type) ? "image" : "document", title: name, size };
}

/** The blocks of a question with these files; uploads those that are too large to be sent with it. */
export async function blocksOf(question: string, files: File[], client: AgentClient, sessionId: string, signal: AbortSignal): Promise<Block[]> {
  let room = MAX_INLINE_BYTES;
  const blocks: Block[] = [];
  for (const file of files) {
    const isInline = file.size <= room;
    if (isInline) room -= file.size;
    blocks.push(await blockOf(file, isInline, client, sessionId, signal));
  }
  return question === "" ? blocks : [...blocks, { type: "text", text: question }];
}

/** The blocks of a question that was asked before: its files are among the conversation's. */
export function blocksAgain(question: string, attachments: Attachment[]): Block[] | undefined {
  if (attachments.some(({ path }) => path === undefined)) return undefined;
  const blocks = attachments.map(({ type, path = "", title }): Block => ({ type: type === "image" ? "image" : "document", source: { type: "file", path }, ...(title !== undefined && { title }) }));
  return question === "" ? blocks : [...blocks, { type: "text", text: question }];
}

async function blockOf(file: File, isInline: boolean, client: AgentClient, sessionId: string, signal: AbortSignal): Promise<Block> {
  const kind = kindOf(file);
  const title = file.name;
  if (kind === "text" && isInline) return { type: "document", source: { type: "text", media_type: "text/plain", data: await file.text() }, title };
  const type = kind === "picture" ? "image" : "document";
  if (!isInline) {
    const { path } = await client.uploadFile(sessionId, `uploads/${title.replaceAll("/", "_")}`, file, { signal });
    return { type, source: { type: "file", path }, title };
  }
  const data = base64(new Uint8Array(await file.arrayBuffer()));
  if (type === "image") return { type, source: { type: "base64", media_type: file.type as "image/png", data }, title };
  return { type, source: { type: "base64", media_type: PDF, data }, title };
}

/** A function call takes only so many arguments. */
const CHUNK_BYTES = 32_768;

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  return btoa(text);
}
