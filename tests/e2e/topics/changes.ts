/*
 * One conversation: its title and metadata, what is counted of it, its older messages, and ids of every allowed character.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Client, Conversation, Turn } from "../client.ts";
import type { Service } from "../support.ts";

/** Every allowed character, and one that is all that an id may be. */
const IDS = ["Az09._:-", `x${":".repeat(127)}`];

export function changes(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
  });

  test("a conversation is titled by the first words of its first prompt", async () => {
    const prompt = `[[say ok]]\n  Tell me about the rivers of South America and the animals that live in them`;
    const { session_id } = await client.query(prompt);
    await client.query("[[say ok]] and of Africa?", { session_id });
    const { title } = await client.conversation(session_id);
    assert.equal(title, "[[say ok]] Tell me about the rivers of South America and the…");
  });

  test("a conversation sums up what its turns used", async () => {
    const first = await client.query("[[say one]]", { session_id: "used" });
    const second = await client.query("[[say two]]", { session_id: "used" });
    const { usage } = await client.conversation("used");
    assert.ok(usage.output_tokens > 0);
    for (const [name, sum] of Object.entries(usage)) {
      const parts = [first.usage, second.usage].map((part) => part[name as keyof typeof usage]);
      assert.ok(Math.abs(sum - parts.reduce((a, b) => a + b)) < 1e-9, name);
    }
  });

  describe("a change", () => {
    const session_id = "changed";
    before(async () => {
      await client.query("[[say ok]] What is 2+2?", { session_id });
    });
    const patched = async (change: object): Promise<Partial<Conversation>> =>
      json<Partial<Conversation>>(await client.patch(session_id, change), 200);

    test("sets the title, and is answered by the conversation without its messages", async () => {
      const { last_accessed_at, created_at, usage, ...rest } = await patched({ title: "Sums & Zoë" });
      assert.deepEqual(rest, { session_id, account_id: client.accountId, title: "Sums & Zoë", metadata: { message_count: 2 } });
      assert.ok((last_accessed_at ?? 0) > (created_at ?? Infinity) && usage !== undefined);
    });

    test("merges metadata: sets, replaces and removes keys", async () => {
      await patched({ metadata: { team: "blue", stage: "draft", note: "line\nbreak ✓" } });
      await patched({ metadata: { stage: "final", note: null, absent: null } });
      const { metadata, title } = await client.conversation(session_id);
      assert.deepEqual(metadata, { team: "blue", stage: "final", message_count: 2 });
      assert.equal(title, "Sums & Zoë");
    });

    test("shows in the list", async () => {
      const list = await json<Conversation[]>(await client.request("GET", "/conversations"), 200);
      const listed = list.find((conversation) => conversation.session_id === session_id);
      assert.equal(listed?.title, "Sums & Zoë");
      assert.equal(listed.metadata["team"], "blue");
    });

    test("of nothing changes nothing", async () => {
      const before = await client.conversation(session_id);
      const { title, metadata } = await patched({});
      assert.deepEqual({ title, metadata }, { title: before.title, metadata: before.metadata });
    });

    test("may be sent as a merge patch", async () => {
      const response = await client.patch(session_id, { title: "merged" }, { "content-type": "application/merge-patch+json" });
      assert.equal((await json<Conversation>(response, 200)).title, "merged");
    });

    test("of metadata to null removes all of it", async () => {
      assert.deepEqual((await patched({ metadata: null })).metadata, { message_count: 2 });
    });

    for (const [what, change, name] of [
      ["a title that is no string", { title: 7 }, "title"],
      ["a title over 200 characters", { title: "é".repeat(201) }, "title"],
      ["a title with a line break", { title: "a\nb" }, "title"],
      ["metadata that is no object", { metadata: "text" }, "metadata"],
      ["a value that is no string", { metadata: { n: 1 } }, "metadata"],
      ["a value over 512 characters", { metadata: { k: "x".repeat(513) } }, "metadata"],
      ["a key over 64 characters", { metadata: { ["k".repeat(65)]: "v" } }, "metadata"],
      ["more than 16 keys", { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, "v"])) }, "metadata"],
      ["a count that is the service's own", { metadata: { message_count: "9" } }, "metadata"],
    ] as const) {
      test(`to ${what} is refused, and nothing is changed`, async () => {
        const before = await client.conversation(session_id);
        const { detail } = await problem(client.patch(session_id, change), 400, "invalid_parameter");
        assert.match(detail, new RegExp(`^${name}:`));
        const after = await client.conversation(session_id);
        assert.deepEqual([after.title, after.metadata], [before.title, before.metadata]);
      });
    }

    test("that is not JSON, or too large, is refused", async () => {
      await problem(client.patch(session_id, "{"), 400, "invalid_json");
      await problem(client.patch(session_id, "[]"), 400, "invalid_json");
      await problem(client.patch(session_id, { title: "x".repeat(300_000) }), 413, "body_too_large");
      await problem(client.patch(session_id, "{}", { "content-type": "text/plain" }), 415, "unsupported_media_type");
    });

    test("of a conversation that is not there is not found", async () => {
      await problem(client.patch("nowhere", { title: "x" }), 404, "not_found");
    });
  });

  test("older messages are read by the id of the first one that is known", async () => {
    for (const n of [1, 2, 3]) await client.query(`[[say a${n}]]`, { session_id: "long" });
    const { messages } = await client.conversation("long");
    const before = messages[4]?.id;
    const older = await json<Conversation>(await client.request("GET", `/conversations/long?before=${before}`), 200);
    assert.deepEqual(older.messages, messages.slice(0, 4));
    for (const bad of ["", "4", "msg_", "msg_x", "msg_-1"]) {
      await problem(client.request("GET", `/conversations/long?before=${bad}`), 400, "invalid_parameter");
    }
  });

  for (const id of IDS) {
    test(`${id.slice(0, 10)} works in every route, percent-encoded or not`, async () => {
      const encoded = [...id].map((c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`).join("");
      const { turn_id, session_id } = await client.query("[[say here]]", { session_id: id });
      assert.equal(session_id, id);
      for (const path of [id, encoded]) {
        assert.equal((await json<Conversation>(await client.request("GET", `/conversations/${path}`), 200)).session_id, id);
        assert.equal((await json<Conversation>(await client.patch(path, { title: `of ${turn_id}` }), 200)).title, `of ${turn_id}`);
        assert.equal(await client.cancel(path), 0);
        assert.equal((await (await client.events(path)).toEnd()).data["turn_id"], turn_id);
      }
      assert.ok((await client.page()).ids.includes(id));
      assert.equal((await json<Turn>(await client.request("GET", `/turns/${turn_id.replace("_", "%5F")}`), 200)).session_id, id);
      for (const path of [encoded, id]) await json(await client.request("DELETE", `/conversations/${path}`), 200);
      await problem(client.request("GET", `/conversations/${id}`), 404, "not_found");
    });
  }

  test("storage statistics follow what is stored", async () => {
    const fresh = service.newClient();
    assert.deepEqual(await fresh.stats(), {
      total_conversations: 0,
      oldest_conversation_age_days: null,
      conversations_ready_to_purge: 0,
      retention_policy_days: 30,
      total_messages: 0,
      // Asking makes no database.
      database_bytes: 0,
    });
    await fresh.query("[[say one]]", { session_id: "a" });
    await fresh.query("[[say two]]", { session_id: "a" });
    await fresh.query("[[say three]]", { session_id: "b" });
    const three = await fresh.stats();
    assert.deepEqual([three.total_conversations, three.total_messages], [2, 6]);
    assert.ok(three.database_bytes > 0);
    const age = three.oldest_conversation_age_days;
    assert.ok(age !== null && age >= 0 && age < 0.01, `${age}`);
    await fresh.request("DELETE", "/conversations/a");
    const one = await fresh.stats();
    assert.deepEqual([one.total_conversations, one.total_messages], [1, 2]);
  });

  test("a conversation can be deleted while its turn runs", async () => {
    const busy = service.newClient();
    await busy.query("[[say warm]]", { session_id: "other" });
    const turn = busy.post("[[hang]] doomed", { session_id: "doomed" });
    await service.hanging("[[hang]] doomed");
    await json(await busy.request("DELETE", "/conversations/doomed"), 200);
    await problem(turn, 409, "turn_cancelled");
    await problem(busy.request("GET", "/conversations/doomed"), 404, "not_found");
    assert.deepEqual((await busy.page()).ids, ["other"]);
  });
}
