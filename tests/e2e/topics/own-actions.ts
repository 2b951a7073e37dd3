/*
 * An agent cannot decide what its turn waits for: from within its container, with all that it knows, no route that decides an action lets it in.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bash, Client, json, newAccountId } from "../client.ts";
import type { Action, Answer, Headers, Waiting } from "../client.ts";
import { serverAndCli } from "../containers.ts";
import type { Service } from "../support.ts";

const TIMEOUT_MS = 120_000;
/** What an agent may have for a credential: nothing, and what its environment has. */
const CREDENTIALS = ["", `-H "authorization: Bearer $ANTHROPIC_API_KEY" -H "x-api-key: $ANTHROPIC_API_KEY"`];

export function ownActions(service: Service, headersOf: (account: string) => Headers): void {
  test("an agent does not decide its own action, neither at the Worker nor at its container nor at the gateway", { timeout: TIMEOUT_MS }, async () => {
    const account = newAccountId();
    const client = new Client(service.url, account, headersOf(account));
    const { server } = await serverAndCli(client, service, "other");
    const container = service.stack.engine?.containers().find(({ pid }) => pid === server);
    assert.ok(container);
    const waiting = await json<Waiting>(await client.post(`${bash("touch own")} [[say done]]`, { session_id: "own", permissions: { ask: ["Bash(touch:*)"] } }), 200);
    const { action_id, turn_id, tool_call_id } = waiting.actions[0] as Action;
    const attempts = [
      ["--noproxy '*'", `${service.url}/actions/${action_id}?accountId=${account}`],
      ["-x $http_proxy", `${service.url}/actions/${action_id}?accountId=${account}`],
      ["-x $http_proxy", `http://model.internal/actions/${action_id}?accountId=${account}`],
      ["--noproxy '*'", `http://127.0.0.1:${container.port}/turns/${turn_id}/actions/${tool_call_id}`],
      ["--noproxy '*'", `http://127.0.0.1:${container.workerdPort}/turns/${turn_id}/actions/${tool_call_id}`],
    ];
    for (const [how, url] of attempts) {
      for (const credential of CREDENTIALS) {
        const attempt = `curl -s -m 10 -o /dev/null -w '%{http_code}' ${how} ${credential} -H 'content-type: application/json' -d '{"decision":"allow"}' '${url}'; true`;
        const { response } = await client.query(bash(attempt), { session_id: "other" });
        assert.match(response.trim(), /^(000|40[0-5]|421)$/, `${how} ${url} ${credential}`);
      }
    }
    assert.deepEqual((await client.actions({ status: "pending" })).map((action) => action.action_id), [action_id]);
    assert.equal((await client.turn(turn_id)).status, "requires_action");
    const answer = await json<Answer>(await client.decide(action_id, { decision: "deny", message: "Nobody but me." }), 200);
    assert.equal(answer.response, "done");
    assert.doesNotMatch((await client.query(bash("ls"), { session_id: "own" })).response, /own/);
  });
}
