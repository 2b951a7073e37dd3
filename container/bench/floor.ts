/**
 * The floor, as a program: the Claude Agent SDK alone, with the options that the agent server gives it and nothing around it.
 * Told over IPC what to run, it says how long that took. Its environment names the model and directories of its own.
 */
import { randomUUID } from "node:crypto";
import { query } from "@anthropic-ai/claude-agent-sdk";
import type { Options, Query, SDKMessage, SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import { configFrom } from "../src/config.ts";
import { makeFolders, pathsOf } from "../src/folders.ts";
import { sdkOptions } from "../src/sdk.ts";

/** One turn, in milliseconds since it was asked for. */
export type Times = { firstTextMs: number; ms: number };
/** `processes`: how many live ones take a turn at once; 0 asks for one fresh query. */
export type Ask = { id: number; prompt: string; processes: number };
export type Answer = { id: number; times: Times[] } | { id: number; error: string };

const config = configFrom(process.env);
const live: Live[] = [];

/** One process that is kept alive: its input waits for the next message. */
class Live {
  readonly #query: Query;
  #take: (message: SDKUserMessage) => void = () => {};

  constructor(options: Options) {
    this.#query = query({ prompt: this.#input(), options });
  }

  async run(prompt: string): Promise<Times> {
    await this.#query.initializationResult();
    const timer = new Timer();
    this.#take({ type: "user", message: { role: "user", content: prompt }, parent_tool_use_id: null, uuid: randomUUID() });
    for (;;) {
      const next = await this.#query.next();
      if (next.done === true) throw new Error("the floor's process ended under its turn");
      if (timer.heard(next.value)) return timer.times;
    }
  }

  close(): void {
    this.#query.close();
  }

  async *#input(): AsyncGenerator<SDKUserMessage, void> {
    for (;;) yield await new Promise<SDKUserMessage>((resolve) => (this.#take = resolve));
  }
}

/** From now to the first piece of text and to the result. */
class Timer {
  readonly #begun = performance.now();
  readonly times: Times = { firstTextMs: NaN, ms: NaN };

  /** Whether it was the result. */
  heard(message: SDKMessage): boolean {
    const ms = performance.now() - this.#begun;
    if (Number.isNaN(this.times.firstTextMs) && isText(message)) this.times.firstTextMs = ms;
    if (message.type !== "result") return false;
    if (message.is_error) throw new Error(`the floor's turn failed: ${message.subtype}`);
    this.times.ms = ms;
    return true;
  }
}

function isText(message: SDKMessage): boolean {
  return message.type === "stream_event" && message.event.type === "content_block_delta" && message.event.delta.type === "text_delta";
}

/** As the agent server sets up a new conversation; what the store is given goes nowhere. */
async function newConversation(): Promise<Options> {
  const session = randomUUID();
  const paths = pathsOf(config, session);
  await makeFolders(paths, undefined);
  return sdkOptions({
    session,
    resume: false,
    options: {},
    paths,
    user: undefined,
    env: config.childEnv,
    mark: session,
    store: { append: () => Promise.resolve(), load: () => Promise.resolve(null) },
    asks: {},
    onSpawn: () => {},
  });
}

async function fresh(prompt: string): Promise<Times[]> {
  const options = await newConversation();
  const timer = new Timer();
  for await (const message of query({ prompt, options })) timer.heard(message);
  return [timer.times];
}

/** A turn of each of the first `count` live processes, all at once. */
async function warm(prompt: string, count: number): Promise<Times[]> {
  while (live.length < count) live.push(new Live(await newConversation()));
  return Promise.all(live.slice(0, count).map((each) => each.run(prompt)));
}

process.on("message", ({ id, prompt, processes }: Ask) => {
  const send = (answer: Answer): void => void process.send?.(answer);
  (processes === 0 ? fresh(prompt) : warm(prompt, processes)).then(
    (times) => send({ id, times }),
    (error: unknown) => send({ id, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.once("disconnect", () => {
  for (const each of live) each.close();
});
