/*
 * Limits in time, on a stack where they are short: a turn's, a container's idleness, a silent stream's heartbeat.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Client } from "./client.ts";
import type { EventStream, ServerEvent } from "./event-stream.ts";
import { descendantsOf, gone } from "./processes.ts";
import { service } from "./support.ts";

/** Above the heartbeat's 15 s, so that one hanging turn shows both. */
const TURN_TIMEOUT_S = 17;
const CONTAINER_IDLE_S = 4;
/** From when a container is idle to when it is gone: its alarm, SIGTERM and the server's exit. */
const STOP_MS = 15_000;

const running = service({ vars: { TURN_TIMEOUT: `${TURN_TIMEOUT_S}s`, CONTAINER_IDLE: `${CONTAINER_IDLE_S}s` } });

// The two groups wait for different things on different accounts, so they wait at the same time;
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
