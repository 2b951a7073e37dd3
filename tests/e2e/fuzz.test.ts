/*
 * The contract under random and hostile requests: every answer is one of its own, nothing crashes, nothing leaks.
 * FUZZ_SEED and FUZZ_MS choose another run; a failure tells its seed and its request.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "./client.ts";
import { agent, answer, check, isFromProxy } from "./fuzz/contract.ts";
import type { FuzzAnswer } from "./fuzz/contract.ts";
import type { FuzzRequest } from "./fuzz/requests.ts";
import { Requests } from "./fuzz/requests.ts";
import { Random } from "./soak/random.ts";
import { service } from "./support.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const DURATION_MS = Number(process.env["FUZZ_MS"] ?? 15_000);
const CONNECTIONS = 8;
const CANARY = "zq7-only-the-canary-says-this";
const MAX_SHOWN = 1_000;
/** Above the duration by what the last turns take. */
const TIME_LIMIT_MS = DURATION_MS + 120_000;

const running = service();

test("the product starts", () => assert.match(running.url, /^http:/));

test("every answer to whatever request is one of the contract's", { timeout: TIME_LIMIT_MS }, async (context) => {
  const canary = new Client(running.url, "canary");
  await canary.query(`[[say ${CANARY}]]`, { session_id: "fuzz" });
  const before = await canary.conversation("fuzz");

  const random = new Random(SEED);
  const connections = agent(CONNECTIONS);
  const end = performance.now() + DURATION_MS;
  const statuses = new Map<number, number>();
  let proxied = 0;
  const fuzz = async (requests: Requests): Promise<void> => {
    while (performance.now() < end) {
      const request = requests.next();
      let answered: FuzzAnswer | undefined;
      try {
        answered = await answer(running.url, connections, request);
        if (isFromProxy(answered)) {
          proxied += 1;
          continue;
        }
        check(request, answered);
        assert.ok(!answered.body.includes(CANARY), "the canary's words reached another account");
        statuses.set(answered.status, (statuses.get(answered.status) ?? 0) + 1);
      } catch (error) {
        throw new Error(`seed ${SEED}: ${error instanceof Error ? error.message : String(error)}\n${shown(request)}\n${JSON.stringify(answered)?.slice(0, MAX_SHOWN)}`, { cause: error });
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, () => fuzz(new Requests(random.fork()))));
  } finally {
    connections.destroy();
  }

  const sorted = [...statuses].sort(([a], [b]) => a - b);
  const count = sorted.reduce((sum, [, count]) => sum + count, 0);
  context.diagnostic(`${sorted.map(([status, count]) => `${status}: ${count}`).join(", ")}; the development server's own: ${proxied}`);
  assert.ok(proxied < count / 100, "nearly every answer is the Worker's");
  for (const status of [200, 400, 404, 405, 413, 415]) assert.ok(statuses.has(status), `${status} was provoked`);
  assert.deepEqual((await canary.conversation("fuzz")).messages, before.messages, "the canary is as it was");
  const faults = running.stack.logs.filter((line) => /panicked|storage_failed|object_unreachable|bad_config|Uncaught/.test(line));
  assert.deepEqual(faults, []);
});

function shown({ body, ...request }: FuzzRequest): string {
  return JSON.stringify({ ...request, body: body === undefined ? undefined : body.toString("latin1").slice(0, MAX_SHOWN), body_bytes: body?.length });
}
