/*
 * The real SDK as the server sets it up, without the server: messages of blocks, and what the protocol of turns has no call for. Holds no test.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { query } from "@anthropic-ai/claude-agent-sdk";
import type { Query, SDKResultMessage, SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Model } from "../../dev/model/server.ts";
import { configFrom } from "../src/config.ts";
import type { Attached } from "../src/events/removals.ts";
import { makeFolders, pathsOf } from "../src/folders.ts";
import type { Entry, Frame, ResultFrame } from "../src/frames.ts";
import { TurnMapper } from "../src/mapper.ts";
import type { TurnOptions } from "../src/options.ts";
import { sdkOptions, sessionStore } from "../src/sdk.ts";

type Content = SDKUserMessage["message"]["content"];
type Stored = { subpath: string | null; entry: Entry };

export class Direct {
  readonly #root: string;
  readonly #said: SDKUserMessage[] = [];
  #wake: () => void = () => {};
  #mapper: TurnMapper | undefined;
  readonly query: Query;
  readonly session: string;
  /** What a caller would have stored. */
  readonly stored: Stored[];

  private constructor(root: string, session: string, stored: Stored[], make: (input: AsyncIterable<SDKUserMessage>, direct: Direct) => Query) {
    this.#root = root;
    this.session = session;
    this.stored = stored;
    this.query = make(this.#input(), this);
  }

  static async start(model: Model, options: TurnOptions, goOn?: { session: string; stored: Stored[] }): Promise<Direct> {
    const root = mkdtempSync(join(tmpdir(), "agent-direct-"));
    const { PATH = "" } = process.env;
    const env = { PATH, IS_SANDBOX: "1", ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: "placeholder", WORKSPACE_ROOT: join(root, "workspace"), STATE_ROOT: join(root, "state") };
    const config = configFrom(env);
    const session = goOn?.session ?? randomUUID();
    const paths = pathsOf(config, session);
    await makeFolders(paths, undefined);
    return new Direct(root, session, [...(goOn?.stored ?? [])], (input, direct) => {
      const of = (subpath: string | null): Entry[] => direct.stored.filter((line) => line.subpath === subpath).map(({ entry }) => entry);
      const store = sessionStore({
        append: (subpath, entries) => {
          direct.stored.push(...entries.map((entry) => ({ subpath, entry })));
          direct.#mapper?.entries(entries);
        },
        load: async (subpath) => of(subpath),
        subpaths: async () => [],
      });
      const setup = { session, resume: goOn !== undefined, options, paths, user: undefined, env: config.childEnv, mark: randomUUID(), store, onSpawn: () => {} };
      return query({ prompt: input, options: sdkOptions(setup) });
    });
  }

  /** One message to its result. */
  async turn(content: Content, attached: Attached[] = []): Promise<{ frames: Frame[]; result: ResultFrame }> {
    const frames: Frame[] = [];
    const mapper = new TurnMapper({ emit: (frame) => frames.push(frame), stop: (message) => frames.push({ type: "notice", code: "stopped", message }) }, attached);
    this.#mapper = mapper;
    this.#said.push({ type: "user", message: { role: "user", content }, parent_tool_use_id: null, uuid: randomUUID() });
    this.#wake();
    const result = await this.#result(mapper);
    mapper.flush();
    return { frames, result: mapper.result(result) };
  }

  async stop(): Promise<void> {
    this.query.close();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  async #result(mapper: TurnMapper): Promise<SDKResultMessage> {
    for (;;) {
      const { value, done } = await this.query.next();
      if (done === true) throw new Error("the process ended");
      if (value.type === "result") return value;
      mapper.message(value);
    }
  }

  async *#input(): AsyncGenerator<SDKUserMessage, void> {
    for (;;) {
      const message = this.#said.shift();
      if (message !== undefined) yield message;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
