/*
 * The worker thread: one job after the other. What it says of a failure is a code, never a path.
 */
import { getHeapStatistics } from "node:v8";
import { parentPort } from "node:worker_threads";
import { work } from "./work.ts";
import type { Answers, Job } from "./work.ts";

type Outcome = { answer: Answers[Job["kind"]] } | { failed: string; message?: string };
/** `bytes`: what the thread holds. */
export type Reply = Outcome & { bytes: number };

const MAX_WORD_CHARS = 64;

parentPort?.on("message", (job: Job) => {
  const outcome = outcomeOf(job);
  const { total_heap_size, external_memory } = getHeapStatistics();
  parentPort?.postMessage({ ...outcome, bytes: total_heap_size + external_memory } satisfies Reply);
});

function outcomeOf(job: Job): Outcome {
  try {
    return { answer: work(job) };
  } catch (error) {
    if (!(error instanceof Error)) return { failed: "error" };
    const { code, name, message } = error as NodeJS.ErrnoException;
    // Node's own messages name files.
    return code === "invalid_index" || code === "pack_damaged" ? { failed: code, message } : { failed: (code ?? name).slice(0, MAX_WORD_CHARS) };
  }
}
