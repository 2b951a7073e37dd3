/*
 * Reading conversations back: the list and one of them.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Client, Conversation } from "../client.ts";
import type { Service } from "../support.ts";

export function conversations(service: Service): void {
  let client: Client;
  const sessions = ["first", "second", "third"];
  before(async () => {
    client = service.newClient();
    for (const session_id of sessions) await client.query(`[[say ok]] ${session_id}`, { session_id });
  });

  const list = async (parameters = ""): Promise<Conversation[]> =>
    json<Conversation[]>(await client.request("GET", `/conversations${parameters}`), 200);
  const ids = (conversations: Conversation[]): string[] => conversations.map((conversation) => conversation.session_id);

  test("the list is a bare array, newest access first", async () => {
    const conversations = await list();
    assert.deepEqual(ids(conversations), ["third", "second", "first"]);
    const [newest] = conversations;
    assert.equal(newest?.metadata.message_count, 2);
    assert.ok(newest.created_at <= newest.last_accessed_at && newest.last_accessed_at <= Date.now() + 1_000);
  });

  test("limit and offset cut the list", async () => {
    assert.deepEqual(ids(await list("?limit=1&offset=1")), ["second"]);
    assert.deepEqual(ids(await list("?limit=2")), ["third", "second"]);
    assert.deepEqual(ids(await list("?offset=3")), []);
  });

  test("the list says where the next page is while there is more", async () => {
    const response = await client.request("GET", "/conversations?limit=2");
    const next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    assert.ok(next, "a Link to the next page");
    assert.deepEqual(ids(await json<Conversation[]>(await fetch(new URL(next, service.url)), 200)), ["first"]);
    assert.equal((await client.request("GET", "/conversations?limit=3")).headers.get("link"), null);
  });

  test("an account that asked nothing has an empty list", async () => {
    assert.deepEqual(await json<Conversation[]>(await service.newClient().request("GET", "/conversations"), 200), []);
  });

  test("one conversation holds its messages in order, with their turn", async () => {
    const { turn_id, session_id } = await client.query("What is 5+5?");
    const conversation = await client.conversation(session_id);
    assert.equal(conversation.account_id, client.accountId);
    assert.deepEqual(
      conversation.messages.map(({ role, content, turn_id: turn }) => ({ role, content, turn })),
      [
        { role: "user", content: "What is 5+5?", turn: turn_id },
        { role: "assistant", content: "10", turn: turn_id },
      ],
    );
    assert.ok((conversation.messages[0]?.timestamp ?? 0) <= (conversation.messages[1]?.timestamp ?? 0));
  });

  test("a conversation that is not there is not found", async () => {
    const { error } = await problem(client.request("GET", "/conversations/nowhere"), 404, "not_found");
    assert.equal(error, "Not found");
  });

  test("another account's conversation is not found", async () => {
    await problem(service.newClient().request("GET", "/conversations/first"), 404, "not_found");
  });

  test("a deleted conversation is gone, and deleting it again is a success too", async () => {
    await client.query("What is 1+1?", { session_id: "doomed" });
    for (let time = 0; time < 2; time += 1) {
      assert.deepEqual(await json(await client.request("DELETE", "/conversations/doomed"), 200), { success: true });
    }
    await problem(client.request("GET", "/conversations/doomed"), 404, "not_found");
    const answer = await client.query("repeat everything I said", { session_id: "doomed" });
    assert.equal(answer.response, "You said nothing before this.");
  });
}
