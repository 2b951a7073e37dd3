/*
 * What the caller is told when the model's API fails, and that the conversation goes on afterwards.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { problem } from "../client.ts";
import type { Client, Problem } from "../client.ts";
import type { Service } from "../support.ts";

const FAILURES: [what: string, directive: string, status: number, code: string, retryAfter?: RegExp][] = [
  ["a refused credential", "[[fail 401]]", 502, "model_auth_failed"],
  ["a credential without the right", "[[fail 403]]", 502, "model_auth_failed"],
  ["a request it does not take", "[[fail 400]]", 502, "model_failed"],
  ["a server error that stays", "[[fail 500]]", 502, "model_failed"],
  ["a stream that is cut each time", "[[cut]] [[words 9]]", 502, "model_failed"],
  ["a rate limit for a while", "[[fail 429 retry-after=1]]", 429, "model_rate_limited", /^[1-9]\d*$/],
  ["a rate limit for long", "[[fail 429 retry-after=70]]", 429, "model_rate_limited", /^70$/],
];

export function modelFailures(service: Service): void {
  let client: Client;
  const session_id = "failing";
  before(async () => {
    client = service.newClient();
    await client.query("[[say noted]] The word is fig.", { session_id });
  });

  for (const [what, directive, status, code, retryAfter] of FAILURES) {
    test(`${what} is ${status} ${code}`, async () => {
      const response = await client.post(`${directive} told`, { session_id });
      if (retryAfter !== undefined) assert.match(response.headers.get("retry-after") ?? "", retryAfter);
      const { detail }: Problem = await problem(response, status, code);
      assert.ok(detail.length > 0);
    });

    test(`after ${what} the conversation goes on and knows what was said before`, async () => {
      const { response } = await client.query("repeat everything I said", { session_id });
      assert.match(response, /The word is fig\./);
    });
  }

  test("an overload that passes is waited for", async () => {
    const answer = await client.query("[[fail 529 times=1]] [[say patience]]", { session_id });
    assert.equal(answer.response, "patience");
  });

  test("a stream that cannot be read is asked for again as a whole", async () => {
    const answer = await client.query("[[malformed]] [[say whole]]", { session_id });
    assert.equal(answer.response, "whole");
  });

  test("more model calls than allowed is an agent failure that names the limit", async () => {
    const response = client.post('[[tool Bash {"command":"true"}]] [[tool Bash {"command":"true"}]]', { max_turns: 1 });
    const { detail } = await problem(response, 502, "agent_failed");
    assert.match(detail, /error_max_turns/);
  });

  test("a failed turn leaves its prompt in the conversation, and no answer", async () => {
    const session = "failed-turn";
    await problem(client.post("[[fail 400]] alone", { session_id: session }), 502, "model_failed");
    assert.deepEqual(await client.said(session), ["user: [[fail 400]] alone"]);
  });

  test("the model's failure tells the caller nothing about the model's address or credential", async () => {
    const { detail } = await problem(client.post("[[fail 403]] secretly"), 502, "model_auth_failed");
    assert.doesNotMatch(detail, /127\.0\.0\.1|model\.internal|sk-ant|placeholder/);
  });
}
