/*
 * Limits in time, on a stack where they are short, if they can be: a turn's, a container's idleness, a silent stream's heartbeat, a body's.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { before, describe, test } from "node:test";
import { problem } from "./client.ts";
import type { Client } from "./client.ts";
import type { EventStream, ServerEvent } from "./event-stream.ts";
import { descendantsOf, gone } from "./processes.ts";
import { service } from "./support.ts";

/** Above the heartbeat's 15 s, so that one hanging turn shows both. */
const TURN_TIMEOUT_S = 17;
const CONTAINER_IDLE_S = 4;
/** From when a container is idle to when it is gone: its alarm, SIGTERM and the server's exit. */
const STOP_MS = 15_000;
/** What the Worker gives a body to come whole. */
const BODY_LIMIT_MS = 60_000;
/** A pause between two bytes of a body: nothing that watches over silence minds it. */
const TRICKLE_MS = 1_000;

const running = service({ vars: { TURN_TIMEOUT: `${TURN_TIMEOUT_S}s`, CONTAINER_IDLE: `${CONTAINER_IDLE_S}s` } });

/** A query whose body comes a byte at a time and never ends; what it is answered, and after how long. */
function trickled(headers: Record<string, string>): Promise<{ response: Response; tookMs: number }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(running.url);
    const start = performance.now();
    const sending = request({ host: "127.0.0.1", port, method: "POST", path: "/query", headers: { "content-type": "application/json", ...headers } }, (message) => {
      const tookMs = performance.now() - start;
      const told = Object.entries(message.headers).map(([name, value]): [string, string] => [name, String(value)]);
      text(message).then((body) => resolve({ response: new Response(body, { status: message.statusCode ?? 0, headers: told }), tookMs }), reject);
    });
    sending.once("error", reject);
    const more = setInterval(() => sending.write(" "), TRICKLE_MS);
    sending.once("close", () => clearInterval(more));
    sending.once("response", (message) => message.once("end", () => sending.destroy()));
    sending.write("{");
  });
}

// The groups wait for different things on different accounts, so they wait at the same time;
// within a group one test follows the other.
describe("limits", { concurrency: true }, () => {
  describe("a turn that hangs", { concurrency: false }, () => {
    let client: Client;
    let events: EventStream;
    let last: ServerEvent;
    let tookMs: number;
    const session_id = "hanging";
    const prompt = "[[hang]] too long";
    before(async () => {
      client = running.newClient();
      await client.query("[[say warm]]", { session_id });
      events = await client.stream(prompt, { session_id });
      await running.hanging(prompt);
      const start = performance.now();
      last = await events.toEnd();
      tookMs = performance.now() - start;
    });

    test("ends at its time limit as turn_timeout", () => {
      assert.equal(last.event, "error");
      assert.deepEqual([last.data["code"], last.data["status"]], ["turn_timeout", 504]);
      assert.ok(Math.abs(tookMs - TURN_TIMEOUT_S * 1_000) < 3_000, `${Math.round(tookMs)} ms`);
    });

    test("is failed when it is read", async () => {
      const turn = await client.turn(String(events.events[0]?.data["turn_id"]));
      assert.deepEqual([turn.status, turn.error?.code], ["failed", "turn_timeout"]);
    });

    test("leaves its conversation usable", async () => {
      assert.equal((await client.query("[[say usable]]", { session_id })).response, "usable");
    });

    test("sends a comment line at least every 15 s while nothing happens", () => {
      assert.ok(events.comments >= 1);
    });
  });

  describe("a body that trickles", { concurrency: true }, () => {
    for (const [what, headers] of [
      ["whose length is told", { "content-length": "1000" }],
      ["that comes in chunks", {}],
    ] as const) {
      test(`${what} is request_timeout`, async () => {
        const { response, tookMs } = await trickled(headers);
        await problem(response, 408, "request_timeout");
        assert.ok(Math.abs(tookMs - BODY_LIMIT_MS) < 5_000, `${Math.round(tookMs)} ms`);
      });
    }
  });

  describe("an idle container", { concurrency: false }, () => {
    let client: Client;
    let server: number;
    let below: number[];
    before(async () => {
      client = running.newClient();
      const known = new Set(running.stack.engine?.containers().map((container) => container.name));
      await client.query("[[say noted]] The word is lime.", { session_id: "idle" });
      const mine = running.stack.engine?.containers().filter((container) => container.running && !known.has(container.name));
      // The other group's container may have started meanwhile; only ours becomes idle now.
      assert.ok(mine !== undefined && mine.length >= 1);
      const { response } = await client.query('[[tool Bash {"command":"cut -d\' \' -f4 /proc/$PPID/stat"}]]', { session_id: "idle" });
      server = Number(response);
      assert.ok(mine.some((container) => container.pid === server), `${server} is a container`);
      below = descendantsOf(server);
    });

    test("is stopped with all its processes, and reads in between do not keep it", async () => {
      const reading = setInterval(() => void client.request("GET", "/conversations").then((response) => response.body?.cancel()), 1_000);
      try {
        for (const pid of [server, ...below]) await gone(pid, CONTAINER_IDLE_S * 1_000 + STOP_MS);
      } finally {
        clearInterval(reading);
      }
    });

    test("is started again by the next turn, which knows the conversation", async () => {
      const { response } = await client.query("repeat everything I said", { session_id: "idle" });
      assert.match(response, /The word is lime\./);
    });
  });
});
