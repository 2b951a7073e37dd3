/*
 * Containers that do not come up: the caller learns of it in time, and the turn is over.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { problem } from "./client.ts";
import type { Client } from "./client.ts";
import type { Image } from "../../dev/engine/engine.ts";
import { service } from "./support.ts";

/** The contract: 503 after a minute; the rest is the way there and back on a busy machine. */
const UNAVAILABLE_MS = 66_000;

const directory = mkdtempSync(join(tmpdir(), "e2e-image-"));
after(() => rmSync(directory, { recursive: true }));

// The first container runs and never listens; those after it end at once.
const image: Image = { command: ["/bin/sh", "-c", `mkdir ${directory}/taken 2>/dev/null && exec sleep 300; exit 3`], cwd: directory };
const running = service({ image });

describe("a container that does not start", { concurrency: true }, () => {
  const cases: Record<string, { client: Client; response: Response; tookMs: number }> = {};

  async function ask(name: string): Promise<void> {
    const client = running.newClient();
    const start = performance.now();
    const response = await client.post("What is 2+2?", { session_id: "unlucky" });
    cases[name] = { client, response, tookMs: performance.now() - start };
  }

  for (const name of ["that runs but never listens", "that ends at once"]) {
    describe(name, { concurrency: false }, () => {
      before(() => ask(name));

      test("is 503 container_unavailable with Retry-After after a minute", async () => {
        const { response, tookMs } = cases[name] as (typeof cases)[string];
        assert.ok(tookMs < UNAVAILABLE_MS, `${Math.round(tookMs)} ms`);
        assert.match(response.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
        await problem(response, 503, "container_unavailable");
      });

      test("leaves a failed turn, its prompt and no answer", async () => {
        const { client } = cases[name] as (typeof cases)[string];
        const { messages } = await client.conversation("unlucky");
        assert.deepEqual(messages.map((message) => message.role), ["user"]);
        const turn = await client.turn(messages[0]?.turn_id ?? "");
        assert.deepEqual([turn.status, turn.error?.code], ["failed", "container_unavailable"]);
      });
    });
  }
});
