/*
 * test.sh: the smoke test that an operator runs.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Service } from "../support.ts";

const SCRIPT = fileURLToPath(new URL("../../../test.sh", import.meta.url));
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
}
