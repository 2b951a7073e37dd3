/*
 * The variables that say how the CLI resumes a conversation with open calls. Nobody documents them: each is held here to what actions rest on, and to the
 * difference that it makes, so that an upgrade of the SDK that changes either is noticed.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { query } from "@anthropic-ai/claude-agent-sdk";
import type { SDKMessage, SDKResultMessage, SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import { startModel } from "../../../dev/model/server.ts";
import type { Model } from "../../../dev/model/server.ts";
import { resultEntries } from "../../src/actions/continuation.ts";
import { configFrom } from "../../src/config.ts";
import { makeFolders, pathsOf } from "../../src/folders.ts";
import type { Entry } from "../../src/frames.ts";
import { Input, userMessage } from "../../src/input.ts";
import { sdkOptions, sessionStore } from "../../src/sdk.ts";

const DISABLE = "CLAUDE_CODE_DISABLE_DEFERRED_TOOL_RESUME";
const GO_ON = "CLAUDE_CODE_RESUME_INTERRUPTED_TURN";
const GOING_ON = "Continue from where you left off.";

/** One conversation on the real SDK, from process to process. */
class Conversation {
  readonly entries: Entry[] = [];
  readonly root = mkdtempSync(join(tmpdir(), "agent-resume-"));
  readonly session = randomUUID();
  /** Calls that the hook before tools, or the question whether one may run, heard of. */
  readonly heard: string[] = [];
  readonly #model: Model;
  #hears = Promise.withResolvers<void>();

  constructor(model: Model) {
    this.#model = model;
  }

  get heardOf(): Promise<void> {
    return this.#hears.promise;
  }

  /** The process says what it says; `goOn` and `env` as the server sets it up, or as it does not. */
  async process(env: Record<string, string | undefined>, use: (said: AsyncIterator<SDKMessage>, input: Input) => Promise<void>): Promise<void> {
    const config = configFrom({
      PATH: process.env["PATH"] ?? "",
      IS_SANDBOX: "1",
      ANTHROPIC_BASE_URL: this.#model.url,
      ANTHROPIC_API_KEY: "placeholder",
      WORKSPACE_ROOT: join(this.root, "workspace"),
      STATE_ROOT: join(this.root, "state"),
    });
    const paths = pathsOf(config, this.session);
    await makeFolders(paths, undefined);
    const resume = this.entries.length > 0;
    const own = (subpath: string | null): boolean => subpath === null;
    const store = sessionStore({
      append: (subpath, entries) => void (own(subpath) && this.entries.push(...entries)),
      load: async (subpath) => (own(subpath) ? this.entries : []),
      subpaths: async () => [],
    });
    const hear = (what: string): void => {
      this.heard.push(what);
      this.#hears.resolve();
    };
    const asks: Parameters<typeof sdkOptions>[0]["asks"] = {
      hooks: { PreToolUse: [{ matcher: "Bash", hooks: [async () => (hear("hook"), { hookSpecificOutput: { hookEventName: "PreToolUse", permissionDecision: "defer" } })] }] },
      canUseTool: async () => (hear("canUseTool"), { behavior: "deny", message: "no", interrupt: true }),
    };
    const input = new Input();
    const options = sdkOptions({ session: this.session, resume, options: { permission_mode: "default" }, paths, user: undefined, env: config.childEnv, mark: randomUUID(), store, asks, onSpawn: () => {} });
    const running = query({ prompt: input as AsyncIterable<SDKUserMessage>, options: { ...options, env: { ...options.env, ...env } } });
    try {
      await running.initializationResult();
      await use(running[Symbol.asyncIterator](), input);
    } finally {
      input.end();
      running.close();
    }
  }

  /** A turn that ends at a call that the hook leaves open. */
  async leftOpen(): Promise<void> {
    await this.process({}, async (said, input) => {
      input.push(userMessage(randomUUID(), '[[tool Bash {"command":"touch ran"}]]'));
      assert.equal((await resultOf(said)).terminal_reason, "tool_deferred");
    });
    this.heard.length = 0;
    this.#hears = Promise.withResolvers();
  }

  /** The open call gets this result behind the transcript. */
  answer(content: string): void {
    const calls = this.entries.flatMap((entry) => ((entry["message"] as { content?: unknown } | undefined)?.content ?? []) as { type?: string; id?: string }[]);
    const id = calls.findLast(({ type }) => type === "tool_use")?.id;
    assert.ok(id !== undefined);
    const lines = resultEntries(this.entries, { run: 1, by: "results", actions: [{ reference: "r", kind: "tool", tool_call_id: id, decision: { decision: "result", content } }] });
    assert.ok(lines !== undefined);
    this.entries.push(...lines);
  }

  get ran(): boolean {
    return existsSync(join(this.root, "workspace", this.session, "ran"));
  }
}

async function resultOf(said: AsyncIterator<SDKMessage>): Promise<SDKResultMessage> {
  for (;;) {
    const { value, done } = await said.next();
    assert.ok(done !== true, "the process ended");
    if (value.type === "result") return value;
  }
}

describe("variables of a resume", () => {
  let model: Model;
  let conversation: Conversation;

  before(async () => {
    model = await startModel();
  });
  beforeEach(async () => {
    conversation = new Conversation(model);
    await conversation.leftOpen();
    model.control.clearRequests();
  });
  after(() => model.close());

  const lastTexts = (): (string | undefined)[] => model.control.requests().map(({ user_texts }) => user_texts.at(-1));

  test(`${DISABLE}: a call that was left open is closed when the conversation is resumed, and neither asked about nor run`, async () => {
    await conversation.process({ [DISABLE]: "1" }, async (said, input) => {
      input.push(userMessage(randomUUID(), "[[say after]]"));
      const result = await resultOf(said);
      assert.equal(result.subtype === "success" && result.result, "after");
    });
    assert.deepEqual([conversation.heard, conversation.ran], [[], false]);
    await rm(conversation.root, { recursive: true, force: true });
  });

  test(`without ${DISABLE} the CLI takes up such a call by itself`, async () => {
    await conversation.process({ [DISABLE]: undefined }, async (said) => {
      await Promise.race([conversation.heardOf, resultOf(said)]);
    });
    assert.notDeepEqual(conversation.heard, [], "if the CLI does not do that any more, the variable can go");
    await rm(conversation.root, { recursive: true, force: true });
  });

  test(`${GO_ON}: a transcript that ends with results goes on without a message`, async () => {
    conversation.answer("42");
    model.control.script(GOING_ON, "[[say went on]]");
    await conversation.process({ [GO_ON]: "1" }, async (said) => {
      const result = await resultOf(said);
      assert.equal(result.subtype === "success" && result.result, "went on");
      assert.equal((result as { resume_reason?: string }).resume_reason, "interrupted_turn");
    });
    assert.deepEqual([lastTexts(), conversation.heard, conversation.ran], [[GOING_ON], [], false]);
    assert.match(JSON.stringify(conversation.entries), /"42"/);
    await rm(conversation.root, { recursive: true, force: true });
  });

  test(`without ${GO_ON} such a transcript waits for a message`, async () => {
    conversation.answer("42");
    await conversation.process({}, async (said, input) => {
      input.push(userMessage(randomUUID(), "[[say asked]]"));
      const result = await resultOf(said);
      assert.equal(result.subtype === "success" && result.result, "asked");
    });
    assert.deepEqual(lastTexts(), ["[[say asked]]"]);
    await rm(conversation.root, { recursive: true, force: true });
  });

  test(`${GO_ON}: where nothing is open nothing starts by itself`, async () => {
    const other = new Conversation(model);
    await other.process({}, async (said, input) => {
      input.push(userMessage(randomUUID(), "[[say whole]]"));
      await resultOf(said);
    });
    model.control.clearRequests();
    await other.process({ [GO_ON]: "1" }, async (said, input) => {
      input.push(userMessage(randomUUID(), "[[say asked]]"));
      await resultOf(said);
    });
    assert.deepEqual(lastTexts(), ["[[say asked]]"]);
    await rm(other.root, { recursive: true, force: true });
    await rm(conversation.root, { recursive: true, force: true });
  });
});
