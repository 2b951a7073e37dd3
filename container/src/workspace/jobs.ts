/*
 * The queue in front of the worker thread, and the thread's life: it starts with the first job, one job runs at a time, and one that
 * does not end in time, or takes more memory than it may, ends with its thread. The next job has a new one.
 */
import { Worker } from "node:worker_threads";
import type { Reply } from "./thread.ts";
import type { Answers, Job } from "./work.ts";

const MAX_QUEUED_JOBS = 256;
/** 50,000 files take about a third of it. */
const MAX_OLD_SPACE_MB = 192;
const MAX_YOUNG_SPACE_MB = 32;

/** The job was not done. `code` is an error's of the file system, or one of our own. */
export class JobFailed extends Error {
  readonly code: string;

  constructor(code: string, message = code) {
    super(message);
    this.code = code;
  }
}

type Queued = { job: Job; limitMs: number; resolve: (answer: Answers[Job["kind"]]) => void; reject: (error: JobFailed) => void };

export class Jobs {
  readonly #queue: Queued[] = [];
  #worker: Worker | undefined;
  #running: Queued | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** The time counts from when it begins. Jobs are done in the order in which they are asked for. */
  run<K extends Job["kind"]>(job: Extract<Job, { kind: K }>, limitMs: number): Promise<Answers[K]> {
    return new Promise((resolve, reject) => {
      if (this.#queue.length >= MAX_QUEUED_JOBS) return reject(new JobFailed("busy"));
      this.#queue.push({ job, limitMs, resolve: resolve as Queued["resolve"], reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const running = this.#queue.shift();
    if (running === undefined) return;
    this.#running = running;
    const worker = (this.#worker ??= this.#started());
    this.#timer = setTimeout(() => this.#end(worker, "out_of_time"), running.limitMs).unref();
    worker.postMessage(running.job);
  }

  #settle(settle: (queued: Queued) => void): void {
    clearTimeout(this.#timer);
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) settle(running);
    this.#next();
  }

  #started(): Worker {
    const worker = new Worker(new URL("./thread.ts", import.meta.url), {
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: MAX_OLD_SPACE_MB, maxYoungGenerationSizeMb: MAX_YOUNG_SPACE_MB },
    });
    worker.on("message", (reply: Reply) => {
      // What a job still says that has been given up is not another's answer.
      if (worker !== this.#worker) return;
      this.#settle(({ resolve, reject }) => ("answer" in reply ? resolve(reply.answer) : reject(new JobFailed(reply.failed, reply.message))));
    });
    worker.on("error", (error: NodeJS.ErrnoException) => this.#end(worker, error.code ?? error.name));
    worker.on("exit", () => this.#end(worker, "worker_ended"));
    worker.unref();
    return worker;
  }

  /** The next job begins when nothing of this one runs any more. */
  #end(worker: Worker, cause: string): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    void worker.terminate().then(() => this.#settle(({ reject }) => reject(new JobFailed(cause))));
  }
}
