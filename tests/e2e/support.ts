/*
 * The running product that the end-to-end tests share: one stack per test process, started with the first test and
 * stopped after the last, which then also checks that no process was left behind. Holds no test.
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import type { LoggedRequest } from "../../dev/model/control.ts";
import { startStack } from "../../dev/stack.ts";
import type { Stack, StackOptions } from "../../dev/stack.ts";
import { Client } from "./client.ts";
import { descendantsOf, gone } from "./processes.ts";

/** The secret that the stack is configured with; nothing but the model may ever see it. */
export const SECRET = "sk-ant-e2e-5e0f3a9b7c";

/** Keeps the memory of a run low: few live processes, and containers go soon after their test. */
const VARS = { WARM_SESSIONS: "4", CONTAINER_IDLE: "45s" };

/** The Worker's build where it is not up to date, then wrangler, workerd and the engine, on a machine that is busy. */
const START_TIMEOUT_MS = 600_000;
const MODEL_REQUEST_TIMEOUT_MS = 30_000;
/** A killed process is reaped when the kernel and init get to it. */
const EXIT_MS = 5_000;

export class Service {
  #stack: Stack | undefined;
  #model: Model | undefined;

  get stack(): Stack {
    assert.ok(this.#stack, "the stack runs while tests run");
    return this.#stack;
  }

  get model(): Model {
    assert.ok(this.#model, "the model runs while tests run");
    return this.#model;
  }

  get url(): string {
    return this.stack.url;
  }

  /** A user of an account that nobody used before, and so of a container that does not run yet. */
  newClient(): Client {
    return new Client(this.url);
  }

  async start({ vars, ...options }: StackOptions): Promise<void> {
    this.#model = await startModel();
    this.#stack = await startStack({
      model: this.#model,
      secrets: { ANTHROPIC_API_KEY: SECRET },
      vars: { ...VARS, ...vars },
      ...options,
    });
  }

  /** Stops everything and fails where a process of it is left. */
  async stop(): Promise<void> {
    const processes = descendantsOf(process.pid);
    await this.#stack?.stop();
    await this.#model?.close();
    for (const pid of processes) await gone(pid, EXIT_MS);
  }

  /** The model's requests for this prompt (and not for one before it in the same conversation). */
  asked(prompt: string): LoggedRequest[] {
    return this.model.control.requests().filter((request) => request.user_texts.at(-1) === prompt);
  }

  /** Waits until the model was asked this and hangs. */
  hanging(prompt: string): Promise<LoggedRequest> {
    return this.model.control.waitFor(
      (request) => request.user_texts.at(-1) === prompt && request.state === "hanging",
      MODEL_REQUEST_TIMEOUT_MS,
    );
  }
}

/** A stack with these options for all tests of this process. */
export function service(options: StackOptions = {}): Service {
  const running = new Service();
  before(() => running.start(options), { timeout: START_TIMEOUT_MS });
  after(() => running.stop(), { timeout: START_TIMEOUT_MS });
  return running;
}
