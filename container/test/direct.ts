/*
 * The real SDK as the server sets it up, without the server: for what the protocol of turns has no call for. Holds no test.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { query } from "@anthropic-ai/claude-agent-sdk";
import type { Query, SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Model } from "../../dev/model/server.ts";
import { configFrom } from "../src/config.ts";
import { makeFolders, pathsOf } from "../src/folders.ts";
import type { ResultFrame } from "../src/frames.ts";
import { userMessage } from "../src/input.ts";
import { TurnMapper } from "../src/mapper.ts";
import type { TurnOptions } from "../src/options.ts";
import { sdkOptions, sessionStore } from "../src/sdk.ts";

export class Direct {
  readonly #root: string;
  readonly #said: SDKUserMessage[] = [];
  #wake: () => void = () => {};
  readonly query: Query;

  private constructor(root: string, make: (input: AsyncIterable<SDKUserMessage>) => Query) {
    this.#root = root;
    this.query = make(this.#input());
  }

  static async start(model: Model, options: TurnOptions): Promise<Direct> {
    const root = mkdtempSync(join(tmpdir(), "agent-direct-"));
    const { PATH = "" } = process.env;
    const env = { PATH, IS_SANDBOX: "1", ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: "placeholder", WORKSPACE_ROOT: join(root, "workspace"), STATE_ROOT: join(root, "state") };
    const config = configFrom(env);
    const session = randomUUID();
    const paths = pathsOf(config, session);
    await makeFolders(paths, undefined);
    const store = sessionStore({ append: () => {}, load: async () => [], subpaths: async () => [] });
    const setup = { session, resume: false, options, paths, user: undefined, env: config.childEnv, mark: randomUUID(), store, asks: {}, onSpawn: () => {} };
    return new Direct(root, (input) => query({ prompt: input, options: sdkOptions(setup) }));
  }

  /** One message to its result. */
  async turn(content: string): Promise<ResultFrame> {
    const mapper = new TurnMapper({ emit: () => {}, stop: (message) => assert.fail(message) });
    this.#said.push(userMessage(randomUUID(), content));
    this.#wake();
    for (;;) {
      const { value, done } = await this.query.next();
      assert.ok(done !== true, "the process ended");
      if (value.type === "result") return mapper.result(value);
      mapper.message(value);
    }
  }

  async stop(): Promise<void> {
    this.query.close();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  async *#input(): AsyncGenerator<SDKUserMessage, void> {
    for (;;) {
      const message = this.#said.shift();
      if (message !== undefined) yield message;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
