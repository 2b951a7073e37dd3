/** An account with a long past, which nobody has to ask for: an export that the product imports. */
import type { Client } from "../../tests/e2e/client.ts";
import { json } from "../../tests/e2e/client.ts";

const USAGE = { input_tokens: 400, output_tokens: 7, cache_read_input_tokens: 0, cache_creation_input_tokens: 0, cost_usd: 0.01 };
/** Some time ago, in milliseconds. */
const NOON = Date.UTC(2026, 0, 2, 12);
const MINUTE_MS = 60_000;
/** Markdown that shows nothing: 75 answers with it are more than the service returns at once. */
const NOTHING = `\n\n[nothing]: # "${"x".repeat(14_000)}"`;

/** A conversation `past` of `turns` turns, and `conversations` of one, the newest last. */
export async function importPast(client: Client, url: string, turns: number, conversations: number): Promise<void> {
  const now = Date.now();
  const names = ["past", ...Array.from({ length: conversations }, (_, index) => `small-${index + 1}`)];
  let made = 0;
  const lines = names.flatMap((session_id, index) => {
    const count = session_id === "past" ? turns : 1;
    const last = now - (names.length - index) * MINUTE_MS;
    const told = Array.from({ length: count }, (_, turn) => {
      made += 1;
      const turn_id = `turn_${made.toString(16).padStart(32, "0")}`;
      const timestamp = NOON + made;
      const message = { type: "message", session_id, part: 0, turn_id, timestamp };
      return [
        { ...message, seq: 2 * turn + 1, role: "user", content: `Question ${turn + 1}` },
        { ...message, seq: 2 * turn + 2, role: "assistant", content: `Answer ${turn + 1}${count > 1 ? NOTHING : ""}` },
        { type: "turn", session_id, turn_id, seq: 2 * turn + 1, ordinal: turn + 1, status: "completed", request_id: `req_${made.toString(16).padStart(32, "0")}`, options: {}, created_at: timestamp, started_at: timestamp, finished_at: timestamp, frames_stored: 0, model: "claude-opus-5-5", usage: USAGE, num_turns: 1, duration_ms: 1, message_n: 3, end_n: 8 },
      ];
    });
    return [
      { type: "conversation", session_id, agent_session: crypto.randomUUID(), title: `About ${session_id}`, created_at: NOON, last_accessed_at: last, metadata: {}, ...USAGE, context: { tokens: 400, limit: 200_000, auto_compact_at: 190_000 }, attachment_bytes: 0, next_seq: 2 * count + 1 },
      ...told.flat(),
      { type: "end", session_id },
    ];
  });
  const all = [{ type: "export", version: 1, account_id: client.accountId, exported_at: now }, { type: "conversations", session_ids: names }, ...lines, { type: "done" }];
  const body = all.map((line) => `${JSON.stringify(line)}\n`).join("");
  await json(await fetch(`${url}/import?accountId=${client.accountId}`, { method: "POST", headers: { "content-type": "application/x-ndjson" }, body }), 200);
}
