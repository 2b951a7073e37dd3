/*
 * What the platform keeps of a request without being asked: its logs and traces. The local runtime keeps them in files, which are read here
 * as bytes.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Service } from "../support.ts";

const STORE = "v3/observability";
const WRITTEN_MS = 20_000;
const LOOK_EVERY_MS = 200;

export function traces(service: Service): void {
  test("nothing that anybody said is in the platform's logs and traces", async () => {
    const client = service.newClient();
    await client.query("[[say my secret is CANARY-ANSWER]] and mine is CANARY-PROMPT", { session_id: "diary" });
    await client.patch("diary", { title: "CANARY-TITLE", metadata: { key: "CANARY-METADATA" } });
    await client.request("GET", "/conversations?q=CANARY-SEARCH");
    await client.request("DELETE", "/conversations/diary");
    // The last that is traced: when it is there, so is all before it.
    await client.request("GET", "/conversations/the-end-of-the-canaries");
    const kept = await keptWith(service, "the-end-of-the-canaries");
    assert.ok(kept.includes("/conversations/diary"), "the store that is read is the one that is written");
    for (const canary of ["ANSWER", "PROMPT", "TITLE", "METADATA"]) assert.ok(!kept.includes(`CANARY-${canary}`), canary);
    // The public URL of a search has its words; `redact_query_string` keeps them out on Cloudflare, not here. The command has them in its body.
    assert.doesNotMatch(kept, /http:\/\/account\/\?[^"\s]{0,2000}CANARY/);
  });
}

/** All that is kept, as soon as it has `text`. */
async function keptWith(service: Service, text: string): Promise<string> {
  const { state } = service.stack;
  assert.ok(state !== undefined);
  for (const deadline = performance.now() + WRITTEN_MS; ; await sleep(LOOK_EVERY_MS)) {
    const files = (await readdir(join(state, STORE), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const texts = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), "latin1")));
    const kept = texts.join("\n");
    if (kept.includes(text)) return kept;
    assert.ok(performance.now() < deadline, `no trace of ${text} within ${WRITTEN_MS} ms`);
  }
}
