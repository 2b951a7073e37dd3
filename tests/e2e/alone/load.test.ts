/*
 * What is large: an answer, and a conversation that was long before its container died. An object has 128 MB of memory, code included.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, describe, test } from "node:test";
import { memoryMib } from "../../../dev/bench/processes.ts";
import { Objects } from "../../../dev/objects.ts";
import type { Client } from "../client.ts";
import { descendantsOf, programOf } from "../processes.ts";
import { service } from "../support.ts";

const ANSWER_CHARS = 2_000_000;
/** A transcript of 50 MB, in rows as the object writes them. */
const ROWS = 50;
const ENTRIES_OF_ROW = 100;
const ENTRY_CHARS = 10_000;
/** What a transcript may add to workerd's memory: less than itself, so that it cannot have been held whole. */
const MAX_ADDED_MIB = 40;
const SAMPLE_MS = 50;
const TEST_MS = 90_000;

const running = service();

test("the product starts", () => assert.match(running.url, /^http:/));

describe("an answer of 2 MB", { timeout: TEST_MS }, () => {
  const prompt = `[[letters ${ANSWER_CHARS}]]`;
  let client: Client;
  before(() => {
    client = running.newClient();
  });

  test("comes whole, and is kept whole", async () => {
    const { response, session_id } = await client.query(prompt);
    assert.equal(response.length, ANSWER_CHARS);
    assert.equal((await client.conversation(session_id)).messages.at(-1)?.content.length, ANSWER_CHARS);
  });

  test("is streamed in pieces that are all of it", async () => {
    const events = await client.stream(prompt);
    await events.toEnd();
    const deltas = events.events.filter(({ event }) => event === "delta").map(({ data }) => String(data["text"]));
    assert.ok(deltas.length > 1);
    assert.equal(deltas.join("").length, ANSWER_CHARS);
  });
});

describe("a conversation with a transcript of 50 MB", { timeout: TEST_MS }, () => {
  const session_id = "long";
  let client: Client;
  before(async () => {
    client = running.newClient();
    await client.query("[[say noted]] The word is fig.", { session_id });
    await running.stack.restartWorker(() => {
      for (const { pid, running: runs } of running.stack.engine?.containers() ?? []) if (runs) process.kill(pid, "SIGKILL");
      lengthen(client, session_id);
    });
  });

  test("goes on in a new container, and is never in the object's memory as a whole", async () => {
    await client.stats();
    const workerd = descendantsOf(process.pid).filter((pid) => programOf(pid) === "workerd");
    const memory = (): number => workerd.reduce((sum, pid) => sum + (memoryMib(pid) ?? 0), 0);
    const before = memory();
    let most = before;
    const looking = setInterval(() => (most = Math.max(most, memory())), SAMPLE_MS);
    try {
      assert.match((await client.query("repeat everything I said", { session_id })).response, /The word is fig\./);
    } finally {
      clearInterval(looking);
    }
    assert.ok(most - before < MAX_ADDED_MIB, `${Math.round(most - before)} MiB more`);
  });
});

/** Puts before a stored transcript what a long one has: entries that no longer lead to its end, as behind a compaction. */
function lengthen(client: Client, sessionId: string): void {
  Objects.ofStack(running.stack.state ?? "", "Account").open(client.accountId, (database) => {
    const rows = database.prepare("delete from transcripts where session_id = ? returning lines").all(sessionId);
    const lines = rows.map((row) => String(row["lines"])).join("");
    const user = lines.split("\n").find((line) => line.includes('"type":"user"'));
    const { entry } = JSON.parse(user ?? "{}") as { entry: Record<string, unknown> };
    const content = "long ago ".repeat(ENTRY_CHARS / "long ago ".length);
    const old = (): string => `${JSON.stringify({ subpath: null, entry: { ...entry, uuid: randomUUID(), parentUuid: null, message: { role: "user", content } } })}\n`;
    const insert = database.prepare("insert into transcripts (session_id, seq, lines) values (?, ?, ?)");
    for (let seq = 1; seq <= ROWS; seq++) insert.run(sessionId, seq, Array.from({ length: ENTRIES_OF_ROW }, old).join(""));
    insert.run(sessionId, ROWS + 1, lines);
  });
}
