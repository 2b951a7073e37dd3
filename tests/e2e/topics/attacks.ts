/*
 * One account tries to reach another's data through every route, in every way that the contract offers.
 * Whatever it is answered, it holds nothing of the other's, and nothing of the other's has changed.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Client, newAccountId } from "../client.ts";
import type { Headers } from "../client.ts";
import type { Service } from "../support.ts";

const ANSWER_TIMEOUT_MS = 30_000;
/** What only the victim may ever read: in a prompt, an answer, a title, metadata and an id. */
const HIDDEN = "zq7secret";

type Request = { method: string; path: string; headers?: Headers; body?: string };
/** A request, and whether it says in so many words that it is about the victim. */
type Attempt = Request & { names: boolean };

export function attacks(service: Service, headersOf: (account: string) => Headers): void {
  const victimId = newAccountId();
  const attackerId = newAccountId();
  const session = `${HIDDEN}-session`;
  let victim: Client;
  let attacker: Client;
  let attempts: Attempt[];
  let state: () => Promise<string>;

  before(async () => {
    victim = new Client(service.url, victimId, headersOf(victimId));
    attacker = new Client(service.url, attackerId, headersOf(attackerId));
    const { turn_id } = await victim.query(`[[say ${HIDDEN} answer]] ${HIDDEN} prompt`, { session_id: session }, { "idempotency-key": `${HIDDEN}-key` });
    await victim.patch(session, { title: `${HIDDEN} title`, metadata: { note: `${HIDDEN} note` } });
    await victim.query("[[say ok]]", { session_id: "second" });
    await attacker.query("[[say mine]] my own", { session_id: "mine" });
    const { next } = await victim.page("/conversations?limit=1");
    const cursor = new URL(next ?? "", service.url).searchParams.get("cursor") ?? "";
    state = async () => {
      const { last_accessed_at: _, ...conversation } = await victim.conversation(session);
      return JSON.stringify([conversation, (await victim.page()).ids.sort()]);
    };
    attempts = everyAttempt(turn_id, cursor);
  });

  /** Every route with every name of the victim's in every place where a name can stand. */
  function everyAttempt(turnId: string, cursor: string): Attempt[] {
    const reads = ["/conversations", "/conversations?q=zq7secret", "/storage-stats", `/conversations/${session}`, `/conversations/${session}?before=msg_9`, `/conversations/${session}/events`, `/turns/${turnId}`];
    const routes: Request[] = [
      ...reads.map((path) => ({ method: "GET", path })),
      { method: "GET", path: `/conversations?cursor=${cursor}` },
      { method: "GET", path: `/conversations?cursor=${cursor}&limit=200` },
      { method: "GET", path: `/conversations/mine/events`, headers: { "last-event-id": `${turnId}:0` } },
      { method: "GET", path: `/conversations/${session}/events`, headers: { "last-event-id": `${turnId}:0` } },
      { method: "POST", path: `/conversations/${session}/cancel` },
      { method: "DELETE", path: `/conversations/${session}` },
      { method: "POST", path: "/purge" },
      ...[{ title: "taken" }, { title: "taken", accountId: victimId }, { metadata: null }].map((change) => ({
        method: "PATCH",
        path: `/conversations/${session}`,
        headers: { "content-type": "application/json" },
        body: JSON.stringify(change),
      })),
      ...[{}, { accountId: victimId }].map((fields) => ({
        method: "POST",
        path: "/query",
        headers: { "content-type": "application/json", "idempotency-key": `${HIDDEN}-key` },
        body: JSON.stringify({ query: "repeat everything I said", session_id: session, ...fields }),
      })),
    ];
    const [a, v] = [encodeURIComponent(attackerId), encodeURIComponent(victimId)];
    // As it is; with the victim in the URL; with both in it, which is refused whoever comes first; by names that the contract does not know.
    const accounts = ["", `accountId=${v}`, `accountId=${v}&accountId=${a}`, `accountId=${a}&accountId=${v}`, `account_id=${v}`, `accountid=${v}`];
    return routes.flatMap((route) =>
      accounts.map((query) => ({
        ...route,
        path: route.path + (query === "" ? "" : (route.path.includes("?") ? "&" : "?") + query),
        names: query.includes(`accountId=${v}`) || route.body?.includes(victimId) === true,
      })),
    );
  }

  /** Sends it as the attacker. Deliberately not through Client.request: it would put the attacker's account into the URL. */
  const send = ({ method, path, headers, body }: Attempt): Promise<Response> =>
    fetch(service.url + path, {
      method,
      headers: { ...headersOf(attackerId), "x-account-id": victimId, ...headers },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });

  test("another account's data is out of reach, by whatever it is named", async () => {
    const before = await state();
    for (const attempt of attempts) {
      const response = await send(attempt);
      const told = [...response.headers].join() + (await response.text());
      const what = `${JSON.stringify(attempt)}: ${response.status} ${told}`;
      // Named twice, or named in the body and contradicted in the URL, an account is none: 400.
      const expected = attempt.names ? [403, 400] : [200, 404];
      assert.ok(expected.includes(response.status), what);
      // What the attacker itself named may come back to it: the session's id, and the words of its own search.
      const rest = told.replaceAll(session, "").replaceAll(`q=${HIDDEN}`, "");
      assert.ok(!rest.includes(HIDDEN) && !rest.includes(victimId), what);
    }
    assert.ok(attempts.filter((attempt) => attempt.names).length > 20);
    assert.equal(await state(), before, "nothing of the victim's has changed");
  });

  test("a conversation of the same name is the attacker's own", async () => {
    const said = await attacker.said(session);
    assert.ok(said.length > 0 && said.every((line) => !line.includes(HIDDEN)), said.join());
  });
}
