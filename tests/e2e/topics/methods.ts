/*
 * HEAD and OPTIONS on every route, and bodies where none is needed: whom they name is meant.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Client } from "../client.ts";
import type { Service } from "../support.ts";

const GET = "GET, HEAD, OPTIONS";
const POST = "POST, OPTIONS";
const ALLOW: Record<string, string> = {
  "/health": GET,
  "/query": POST,
  "/conversations": GET,
  "/conversations/some": "GET, HEAD, PATCH, DELETE, OPTIONS",
  "/conversations/some/cancel": POST,
  "/conversations/some/events": GET,
  "/turns/some": GET,
  "/storage-stats": GET,
  "/prewarm": POST,
  "/purge": POST,
  "/purge-runs": "GET, HEAD, POST, OPTIONS",
};
/** What an answer has however often it is asked for. */
const STABLE = ["content-type", "cache-control", "x-content-type-options", "link", "allow"];

export function methods(service: Service): void {
  let client: Client;
  let sessionId: string;
  before(async () => {
    client = service.newClient();
    sessionId = (await client.query("[[say ok]]")).session_id;
    await client.query("[[say ok]]");
  });

  test("OPTIONS is answered with the methods of the path, without a key, a body or a word to pages of other sites", async () => {
    for (const [path, allow] of Object.entries(ALLOW)) {
      const headers = { origin: "https://app.example", "access-control-request-method": "POST" };
      const response = await fetch(service.url + path, { method: "OPTIONS", headers });
      assert.deepEqual([response.status, response.headers.get("allow"), await response.text()], [204, allow, ""], path);
      assert.match(response.headers.get("x-request-id") ?? "", /^req_/);
      assert.deepEqual([...response.headers.keys()].filter((name) => name.startsWith("access-control")), [], path);
    }
    await problem(fetch(`${service.url}/nowhere`, { method: "OPTIONS" }), 404, "not_found");
  });

  test("a method that a path does not have is told the same methods", async () => {
    for (const [path, allow] of Object.entries(ALLOW)) {
      const response = await fetch(service.url + path, { method: "PUT" });
      assert.equal(response.headers.get("allow"), allow, path);
      await problem(response, 405, "method_not_allowed");
    }
  });

  test("HEAD is answered like GET, without the body", async () => {
    const paths = ["/health", "/conversations?limit=1", `/conversations/${sessionId}`, `/conversations/${sessionId}/events`, "/storage-stats", "/purge-runs", "/conversations/none", "/conversations/-a"];
    for (const path of paths) {
      const get = await client.request("GET", path);
      await get.text();
      const head = await client.request("HEAD", path);
      assert.deepEqual([head.status, await head.text()], [get.status, ""], path);
      for (const name of STABLE) assert.equal(head.headers.get(name), get.headers.get(name), `${path}: ${name}`);
      assert.match(head.headers.get("x-request-id") ?? "", /^req_/);
    }
    assert.equal((await client.request("HEAD", "/query")).status, 405);
  });

  test("the account that a body names counts where no body is needed", async () => {
    const send = (method: string, path: string, body: string, type = "application/json"): Promise<Response> =>
      fetch(service.url + path, { method, headers: { "content-type": type }, body });
    const named = JSON.stringify({ accountId: client.accountId });
    const { session_id } = await client.query("[[say mine]]");
    assert.equal((await json<{ success: boolean }>(await send("POST", `/conversations/${session_id}/cancel`, named), 200)).success, true);
    await problem(send("POST", `/conversations/${session_id}/cancel`, "{}"), 404, "not_found");
    await json(await send("POST", "/purge", named), 200);
    await json(await send("DELETE", `/conversations/${session_id}`, "{}"), 200);
    await client.conversation(session_id);
    await json(await send("DELETE", `/conversations/${session_id}`, named), 200);
    await problem(client.request("GET", `/conversations/${session_id}`), 404, "not_found");
    await problem(send("POST", "/purge", '{"accountId":'), 400, "invalid_json");
    await problem(send("POST", "/purge", '{"accountId":7}'), 400, "invalid_account");
    await problem(send("POST", "/purge?accountId=one", named), 400, "invalid_account");
    await problem(send("POST", "/purge", "accountId=one", "application/x-www-form-urlencoded"), 415, "unsupported_media_type");
    await problem(send("POST", "/purge", JSON.stringify({ long: "x".repeat(70_000) })), 413, "body_too_large");
  });
}
