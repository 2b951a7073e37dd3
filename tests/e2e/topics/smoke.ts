/*
 * test.sh and test-purge.sh: what an operator runs against a live server.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Service } from "../support.ts";

const SCRIPT = fileURLToPath(new URL("../../../test.sh", import.meta.url));
const PURGE_SCRIPT = fileURLToPath(new URL("../../../test-purge.sh", import.meta.url));
const run = promisify(execFile);

export function smoke(service: Service): void {
  test("test.sh passes against the running service", async () => {
    const { stdout } = await run(SCRIPT, [new URL(service.url).port]);
    assert.deepEqual(stdout.trim().split("\n").map((line) => line.split(" ")[0]), ["ok", "ok", "ok", "ok", "passed:"]);
  });

  test("test.sh fails with a clear message where no server listens", async () => {
    // Port 9 (discard) has no listener.
    await assert.rejects(run(SCRIPT, ["9"]), (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr, /no server answers at http:\/\/localhost:9.*npm run dev/s);
      return true;
    });
  });

  test("test-purge.sh passes, and leaves nothing behind", async () => {
    const client = service.newClient();
    const { stdout } = await run(PURGE_SCRIPT, { env: { ...process.env, BASE_URL: service.url, ACCOUNT_ID: client.accountId } });
    const lines = stdout.trim().split("\n");
    assert.ok(lines.length > 25 && lines.slice(0, -1).every((line) => line.startsWith("ok ")), stdout);
    assert.match(lines.at(-1) ?? "", /^passed: /);
    assert.deepEqual((await client.page()).ids, []);
  });

  test("test-purge.sh works in an account that is in use", async () => {
    const client = service.newClient();
    await client.query("[[say ok]]", { session_id: "kept" });
    await run(PURGE_SCRIPT, { env: { ...process.env, BASE_URL: service.url, ACCOUNT_ID: client.accountId } });
    assert.deepEqual((await client.page()).ids, ["kept"]);
  });

  test("test-purge.sh stops at the first check that fails", async () => {
    await assert.rejects(run(PURGE_SCRIPT, { env: { ...process.env, BASE_URL: "http://localhost:9" } }), (error: { code: number; stdout: string; stderr: string }) => {
      assert.deepEqual([error.code, error.stdout], [1, ""]);
      assert.match(error.stderr, /^FAIL  the service at http:\/\/localhost:9 is healthy/);
      return true;
    });
  });
}
