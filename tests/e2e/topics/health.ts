/*
 * What a deployment tells of itself: GET /health and GET /openapi.json.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { json } from "../client.ts";
import { OPENAPI } from "../contract.ts";
import type { Service } from "../support.ts";

export function health(service: Service): void {
  test("health says that the service is healthy and has what it needs", async () => {
    const { timestamp, version, ...rest } = await json<Record<string, unknown>>(await fetch(`${service.url}/health`), 200);
    assert.deepEqual({ status: rest["status"], hasToken: rest["hasToken"], hasContainer: rest["hasContainer"] }, {
      status: "healthy",
      hasToken: true,
      hasContainer: true,
    });
    assert.match(String(version), /^\d+\.\d+\.\d+/);
    assert.equal(new Date(String(timestamp)).toISOString(), timestamp);
  });

  test("the contract is served as it is checked in, to pages of any origin and with a validator", async () => {
    const response = await fetch(`${service.url}/openapi.json`);
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.deepEqual(await response.json(), OPENAPI);
    const etag = response.headers.get("etag");
    assert.ok(etag);
    const again = await fetch(`${service.url}/openapi.json`, { headers: { "if-none-match": etag } });
    assert.equal(again.status, 304);
  });

  test("every answer has its own request id", async () => {
    const ids = [];
    for (const path of ["/health", "/conversations", "/nowhere"]) {
      ids.push((await fetch(service.url + path)).headers.get("x-request-id"));
    }
    assert.equal(new Set(ids).size, 3);
    assert.ok(ids.every((id) => id !== null && id.length >= 16));
  });
}
