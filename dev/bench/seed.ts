/** Conversations written straight into an account's database, while nothing else has it open. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeAccountTables } from "../objects.ts";
import { ACCOUNT_STORAGE } from "./workerd.ts";

/** In all of them alike: the first one's are read back. */
export const MESSAGES_PER_CONVERSATION = 10;
const CONTENT = "A sentence or two, as people and models write them: neither a word nor a page. ".repeat(2);
const NEWEST_AGO_MS = 60_000;
const APART_MS = 10;

export function conversationId(n: number): string {
  return `session_${String(n).padStart(12, "0")}`;
}

function turnId(conversation: number, turn: number): string {
  return `turn_${[conversation, turn].map((part) => part.toString(16).padStart(16, "0")).join("")}`;
}

/** `messagesIn` says how many messages the n-th one has, each with this content. */
export function seed(file: string, conversations: number, messagesIn: (n: number) => number, content = CONTENT): void {
  const database = new DatabaseSync(file);
  const now = Date.now();
  database.exec("pragma synchronous = off; begin");
  makeAccountTables(database);
  const conversation = database.prepare(
    `insert into conversations (session_id, title, created_at, last_accessed_at, message_count, message_bytes, next_seq)
     values (?, ?, ?, ?, ?, ?, ?)`,
  );
  const message = database.prepare("insert into messages (session_id, seq, turn_id, role, content, timestamp) values (?, ?, ?, ?, ?, ?)");
  for (let n = 0; n < conversations; n++) {
    const id = conversationId(n);
    const at = now - NEWEST_AGO_MS - n * APART_MS;
    const count = messagesIn(n);
    conversation.run(id, `Conversation ${n} of many`, at, at, count, count * content.length, count + 1);
    for (let seq = 1; seq <= count; seq++) {
      message.run(id, seq, turnId(n, Math.ceil(seq / 2)), seq % 2 === 1 ? "user" : "assistant", content, at);
    }
  }
  database.exec("commit");
  database.close();
}

/** The accounts' databases of a workerd that keeps its files in this directory. */
export async function databases(directory: string): Promise<string[]> {
  const storage = join(directory, "storage", ACCOUNT_STORAGE);
  const files = await readdir(storage).catch(() => []);
  return files.filter((file) => file.endsWith(".sqlite") && file !== "metadata.sqlite").map((file) => join(storage, file));
}
