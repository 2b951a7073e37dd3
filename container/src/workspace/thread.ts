/*
 * The worker thread: one job after the other. What it says of a failure is a code, never a path.
 */
import { parentPort } from "node:worker_threads";
import { work } from "./work.ts";
import type { Answers, Job } from "./work.ts";

export type Reply = { answer: Answers[Job["kind"]] } | { failed: string; message?: string };

const MAX_WORD_CHARS = 64;

parentPort?.on("message", (job: Job) => {
  parentPort?.postMessage(replyTo(job));
});

function replyTo(job: Job): Reply {
  try {
    return { answer: work(job) };
  } catch (error) {
    if (!(error instanceof Error)) return { failed: "error" };
    const { code, name, message } = error as NodeJS.ErrnoException;
    // Node's own messages name files.
    return code === "invalid_index" || code === "pack_damaged" ? { failed: code, message } : { failed: (code ?? name).slice(0, MAX_WORD_CHARS) };
  }
}
