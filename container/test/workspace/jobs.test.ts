/*
 * The worker thread's queue: order, bounds, and what a job that does not end takes with it.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { IDLE_MS, Jobs } from "../../src/workspace/jobs.ts";
import type { SaveJob } from "../../src/workspace/work.ts";
import { Place } from "./place.ts";

/** The queue alone keeps no process alive; a test that waits for it does. */
async function awaited<T>(promise: Promise<T>): Promise<T> {
  const alive = setInterval(() => {}, 1000);
  try {
    return await promise;
  } finally {
    clearInterval(alive);
  }
}

function saveOf(place: Place, how: Partial<SaveJob> = {}): SaveJob {
  return { kind: "save", ...place.where, base: 0, exclude: [], maxFiles: 1000, maxBytes: 1 << 20, deadline: Date.now() + 60_000, ...how };
}

/** Its rules take longer than the world lasts to say that they don't match. */
function hostile(): Place {
  const place = new Place();
  place.write(".agentignore", `${"*a".repeat(40)}b\n`);
  mkdirSync(place.path("a".repeat(200)));
  return place;
}

function ordinary(): Place {
  const place = new Place();
  place.write("a", "a");
  return place;
}

test("a job that does not end in time ends with its thread, and the next one is done", async () => {
  const jobs = new Jobs();
  const stuck = jobs.run<"save">(saveOf(hostile()), 1000);
  const next = jobs.run<"save">(saveOf(ordinary()), 60_000);
  await assert.rejects(awaited(stuck), { code: "out_of_time" });
  assert.ok("save" in (await awaited(next)));
});

test("a job whose time is over before its turn is not begun", async () => {
  const jobs = new Jobs();
  const place = ordinary();
  const stuck = jobs.run<"save">(saveOf(hostile()), 1500);
  const late = jobs.run<"remove">({ kind: "remove", ...place.where, path: "a" }, 200);
  await assert.rejects(awaited(late), { code: "out_of_time" });
  await assert.rejects(awaited(stuck), { code: "out_of_time" });
  assert.ok("save" in (await awaited(jobs.run<"save">(saveOf(place), 60_000))));
});

test("a save whose own time is over gives up between two files", async () => {
  const jobs = new Jobs();
  await assert.rejects(awaited(jobs.run<"save">(saveOf(ordinary(), { deadline: Date.now() - 1 }), 60_000)), { code: "out_of_time" });
});

test("more jobs than the queue holds are refused, and those in it are done", async () => {
  const jobs = new Jobs();
  const place = ordinary();
  const all = await awaited(Promise.allSettled(Array.from({ length: 300 }, () => jobs.run<"remove">({ kind: "remove", ...place.where, path: "b" }, 60_000))));
  const refused = all.filter((each) => each.status === "rejected");
  assert.deepEqual([refused.length, refused[0]?.reason.code], [300 - 256 - 1, "busy"]);
});

test("a failure is told by its code, and names no file", async () => {
  const jobs = new Jobs();
  const place = ordinary();
  await assert.rejects(awaited(jobs.run<"extract">({ kind: "extract", ...place.where, no: 1, pack: place.path("nothing") }, 60_000)), (error: Error) => {
    assert.doesNotMatch(error.message, /\//);
    return "code" in error && error.code === "ENOENT";
  });
});

test("a conversation's next job goes on with a new thread where the last one ended with what it held", async () => {
  const jobs = new Jobs();
  const place = ordinary();
  for (let n = 0; n < 20_000; n++) place.write(`f${n}`, "");
  assert.ok("save" in (await awaited(jobs.run<"save">(saveOf(place, { maxFiles: 50_000 }), 60_000))));
  await awaited(jobs.run<"promote">({ kind: "promote", store: place.store }, 60_000));
  await sleep(IDLE_MS + 1000);
  place.settle();
  assert.ok("unchanged" in (await awaited(jobs.run<"save">(saveOf(place, { base: 1, maxFiles: 50_000 }), 60_000))));
});
