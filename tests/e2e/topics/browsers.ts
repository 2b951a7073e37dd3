/*
 * Pages of other sites, as browsers send what these ask for: on a stack that names the origin PAGE and takes keys.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, problem } from "../client.ts";
import type { Service } from "../support.ts";

/** The origin of a page that may ask. */
export const PAGE = "https://app.example";
const OTHERS = ["https://evil.example", "http://app.example", "https://app.example:8443", "null"];
const EXPOSED = ["x-request-id", "link", "location", "retry-after", "server-timing", "idempotent-replayed", "ratelimit", "ratelimit-policy", "traceparent"];

const corsHeaders = (response: Response): string[] => [...response.headers.keys()].filter((name) => name.startsWith("access-control"));
const list = (response: Response, name: string): string[] => (response.headers.get(name) ?? "").split(", ");

export function browsers(service: Service, authorization: string): void {
  const preflight = (path: string, origin: string): Promise<Response> =>
    fetch(service.url + path, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type" },
    });

  test("a preflight of a page that may ask says what it may send", async () => {
    const response = await preflight("/query", PAGE);
    assert.deepEqual([response.status, await response.text()], [204, ""]);
    assert.equal(response.headers.get("access-control-allow-origin"), PAGE);
    assert.ok(list(response, "access-control-allow-methods").includes("POST"));
    const headers = list(response, "access-control-allow-headers");
    for (const name of ["authorization", "content-type", "idempotency-key", "last-event-id", "prefer"]) assert.ok(headers.includes(name), name);
    assert.ok(Number(response.headers.get("access-control-max-age")) > 0);
    assert.match(response.headers.get("vary") ?? "", /origin/i);
  });

  test("a page that may ask reads its answer, its events and a refusal, and their headers", async () => {
    const headers = { authorization, origin: PAGE, "content-type": "application/json" };
    const query = (fields: object, more: Record<string, string> = {}): Promise<Response> =>
      fetch(`${service.url}/query`, { method: "POST", headers: { ...headers, ...more }, body: JSON.stringify({ accountId: "page", ...fields }) });
    const answer = await query({ query: "[[say ok]]" });
    const { session_id } = await json<{ session_id: string }>(answer.clone(), 200);
    const events = await fetch(`${service.url}/conversations/${session_id}/events?accountId=page`, { headers });
    const accepted = await query({ query: "[[say ok]]" }, { prefer: "respond-async" });
    const refused = await fetch(`${service.url}/conversations`, { headers: { origin: PAGE } });
    const health = await fetch(`${service.url}/health`, { headers: { origin: PAGE } });
    for (const response of [answer, events, accepted, refused, health]) {
      assert.equal(response.headers.get("access-control-allow-origin"), PAGE, response.url);
      assert.deepEqual(list(response, "access-control-expose-headers"), EXPOSED);
      assert.match(response.headers.get("vary") ?? "", /origin/i);
      assert.equal(response.headers.get("access-control-allow-credentials"), null);
    }
    assert.match(await events.text(), /^event: done$/m);
    assert.ok(answer.headers.get("server-timing") && accepted.headers.get("location"));
    await problem(refused, 401, "unauthorized");
  });

  test("a page that nobody named hears nothing of it, and neither does whoever is no page", async () => {
    for (const origin of OTHERS) {
      assert.deepEqual(corsHeaders(await preflight("/query", origin)), [], origin);
      const answer = await fetch(`${service.url}/conversations`, { headers: { authorization, origin } });
      assert.deepEqual([answer.status, corsHeaders(answer)], [200, []], origin);
    }
    assert.deepEqual(corsHeaders(await fetch(`${service.url}/health`)), []);
  });
}
