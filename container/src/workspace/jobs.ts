/*
 * The queue in front of the worker thread, and the thread's life: it starts with the first job, one job runs at a time, and one that
 * does not end in time, or takes more memory than it may, ends with its thread. The next job has a new one.
 */
import { Worker } from "node:worker_threads";
import type { Reply } from "./thread.ts";
import type { Answers, Job } from "./work.ts";

const MAX_QUEUED_JOBS = 256;
/** 50,000 files take less than the half of it. */
const MAX_OLD_SPACE_MB = 128;
const MAX_YOUNG_SPACE_MB = 16;
/** A thread that holds more than this ends when it has had nothing to do for so long: a process gives no memory back otherwise. */
const IDLE_BYTES = 64 * 1024 * 1024;
export const IDLE_MS = 5_000;
const OUT_OF_TIME = "out_of_time";

/** The job was not done. `code` is an error's of the file system, or one of our own. */
export class JobFailed extends Error {
  readonly code: string;

  constructor(code: string, message = code) {
    super(message);
    this.code = code;
  }
}

type Queued = { job: Job; timer: NodeJS.Timeout; resolve: (answer: Answers[Job["kind"]]) => void; reject: (error: JobFailed) => void };

export class Jobs {
  readonly #queue: Queued[] = [];
  #worker: Worker | undefined;
  #running: Queued | undefined;
  #idle: NodeJS.Timeout | undefined;

  /** Jobs are done in the order in which they are asked for. The time counts from now on. */
  run<K extends Job["kind"]>(job: Extract<Job, { kind: K }>, limitMs: number): Promise<Answers[K]> {
    return new Promise((resolve, reject) => {
      if (this.#queue.length >= MAX_QUEUED_JOBS) return reject(new JobFailed("busy"));
      const timer = setTimeout(() => this.#expire(queued), limitMs).unref();
      const queued: Queued = { job, timer, resolve: resolve as Queued["resolve"], reject };
      this.#queue.push(queued);
      this.#next();
    });
  }

  #next(): void {
    if (this.#running !== undefined) return;
    clearTimeout(this.#idle);
    this.#running = this.#queue.shift();
    if (this.#running !== undefined) (this.#worker ??= this.#started()).postMessage(this.#running.job);
  }

  #settle(settle: (queued: Queued) => void): void {
    const running = this.#running;
    this.#running = undefined;
    clearTimeout(running?.timer);
    if (running !== undefined) settle(running);
    this.#next();
  }

  #expire(queued: Queued): void {
    if (queued === this.#running) return this.#end(this.#worker, OUT_OF_TIME);
    this.#queue.splice(this.#queue.indexOf(queued), 1);
    queued.reject(new JobFailed(OUT_OF_TIME));
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
      if (this.#running === undefined && reply.bytes > IDLE_BYTES) this.#idle = setTimeout(() => this.#end(worker, OUT_OF_TIME), IDLE_MS).unref();
    });
    worker.on("error", (error: NodeJS.ErrnoException) => this.#end(worker, error.code ?? error.name));
    worker.on("exit", () => this.#end(worker, "worker_ended"));
    worker.unref();
    return worker;
  }

  /** The next job begins when nothing of this one runs any more. */
  #end(worker: Worker | undefined, cause: string): void {
    if (worker === undefined || worker !== this.#worker) return;
    this.#worker = undefined;
    void worker.terminate().then(() => this.#settle(({ reject }) => reject(new JobFailed(cause))));
  }
}
