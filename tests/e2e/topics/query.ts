/*
 * POST /query with a JSON answer: the way from a prompt to what the agent says.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Answer, Client } from "../client.ts";
import type { Service } from "../support.ts";

export function query(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  test("a question is answered with text, a new session and what it cost", async () => {
    const answer = await client.query("What is 2+2?");
    assert.equal(answer.success, true);
    assert.equal(answer.response, "4");
    assert.match(answer.session_id, /^session_\d{13}_[A-Za-z0-9]+$/);
    assert.match(answer.turn_id, /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
    assert.match(answer.model, /^claude-/);
    assert.equal(answer.num_turns, 1);
    assert.ok(answer.duration_ms > 0);
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0 && answer.usage.cost_usd > 0);
  });

  test("the prompt may be called prompt and the account be left to the default", async () => {
    const response = await fetch(`${service.url}/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "What is 3+3?" }),
    });
    assert.equal((await json<Answer>(response, 200)).response, "6");
  });

  test("a second query of a conversation knows the first", async () => {
    const first = await client.query("[[say noted]] My cat is called Ada.");
    const second = await client.query("repeat everything I said", { session_id: first.session_id });
    assert.equal(second.session_id, first.session_id);
    assert.equal(second.response, "[[say noted]] My cat is called Ada.");
  });

  test("two conversations of one account do not know each other", async () => {
    const first = await client.query("[[say noted]] The word is plum.");
    const second = await client.query("repeat everything I said");
    assert.notEqual(second.session_id, first.session_id);
    assert.doesNotMatch(second.response, /plum/);
  });

  test("an unknown session id starts a conversation under that id", async () => {
    const sessionId = `My.own:id-${process.pid}`;
    assert.equal((await client.query("What is 1+1?", { session_id: sessionId })).session_id, sessionId);
    assert.deepEqual(await client.said(sessionId), ["user: What is 1+1?", "assistant: 2"]);
  });

  test("a session id belongs to its account alone", async () => {
    const other = service.newClient();
    await client.query("[[say noted]] The word is quince.", { session_id: "shared-id" });
    const answer = await other.query("repeat everything I said", { session_id: "shared-id" });
    assert.doesNotMatch(answer.response, /quince/);
    assert.deepEqual(await other.said("shared-id"), ["user: repeat everything I said", `assistant: ${answer.response}`]);
  });

  test("usage is the turn's own, also on a live process", async () => {
    const first = await client.query("[[words 400]]");
    const second = await client.query("[[say short]]", { session_id: first.session_id });
    assert.ok(first.usage.output_tokens > 400, `${first.usage.output_tokens}`);
    assert.ok(second.usage.output_tokens < 50, `${second.usage.output_tokens}`);
    assert.ok(second.usage.cost_usd < first.usage.cost_usd);
    assert.equal(second.num_turns, 1);
  });

  test("a turn with a tool call runs the tool and counts its model calls", async () => {
    const answer = await client.query('[[tool Bash {"command":"echo $((6*7))"}]]');
    assert.deepEqual([answer.response, answer.num_turns], ["42", 2]);
  });

  test("the agent works in a directory of its conversation", async () => {
    const prompt = '[[tool Bash {"command":"cat note.txt 2>/dev/null || echo none; echo mine > note.txt"}]]';
    const first = await client.query(prompt);
    const again = await client.query(prompt, { session_id: first.session_id });
    const other = await client.query(prompt);
    assert.deepEqual([first.response, again.response, other.response], ["none", "mine", "none"]);
  });

  test("slash commands and file references reach the model as they are", async () => {
    for (const prompt of ["/cost", "see @/etc/hostname"]) {
      await client.query(prompt, { session_id: "verbatim" });
      assert.equal(service.asked(prompt).length, 1, prompt);
    }
  });

  test("model, system prompt and most model calls may be chosen", async () => {
    const prompt = "[[say chosen]]";
    const answer = await client.query(prompt, { model: "claude-haiku-4-5", system_prompt: "Be brief.", max_turns: 3 });
    assert.equal(service.asked(prompt)[0]?.model, "claude-haiku-4-5");
    assert.equal(answer.model, "claude-haiku-4-5");
  });

  test("a prompt of many kilobytes of any characters comes through whole", async () => {
    const text = "naïve 🙂 \u2028 \"quoted\" \\ ".repeat(2_000).trim();
    const answer = await client.query(`[[say ${text}]]`);
    assert.equal(answer.response, text);
    assert.deepEqual((await client.conversation(answer.session_id)).messages.map((message) => message.content), [`[[say ${text}]]`, text]);
  });

  test("a query says how much work the model puts into it, for its turn alone", async () => {
    const client = service.newClient();
    const asked = async (prompt: string, effort?: "low"): Promise<string | null | undefined> => {
      await client.query(prompt, { session_id: "effort", ...(effort !== undefined && { effort }) });
      return service.asked(prompt).at(-1)?.effort;
    };
    const usual = await asked("[[say ok]] effort as usual");
    assert.equal(await asked("[[say ok]] effort low", "low"), "low");
    assert.equal(await asked("[[say ok]] effort as before"), usual);
    assert.notEqual(usual, "low");
    await problem(client.post("hello", { effort: "most" as "low" }), 400, "invalid_parameter");
  });
}
