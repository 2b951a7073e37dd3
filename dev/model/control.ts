/*
 * What tests see of the stand-in and how they steer it: the log of requests, rules for the next requests,
 * and the gate that hanging requests wait at. Never reads or writes HTTP.
 */
import { EventEmitter, once } from "node:events";
import type { Block, ReadBlock } from "./blocks.ts";
import type { Usage } from "./message.ts";
import type { MessagesRequest } from "./request.ts";
import type { Failure } from "./script.ts";

export const MAX_LOGGED_REQUESTS = 1_000;
export const MAX_LOGGED_TEXTS = 200;
export const MAX_LOGGED_TEXT_CHARS = 4_096;
export const MAX_LOGGED_SYSTEM_CHARS = 16_384;
export const MAX_LOGGED_BLOCKS = 500;
export const MAX_LOGGED_TITLE_CHARS = 256;
export const MAX_RULES = 64;
export const MAX_SCRIPTS = 64;

/** A request as the log shows it. Field names are those of GET /control/requests. */
export type LoggedRequest = {
  /** Milliseconds since the epoch. */
  at: number;
  path: string;
  model: string;
  effort: string | null;
  /** The request's `thinking.type`. */
  thinking: string | null;
  stream: boolean;
  x_api_key: string | null;
  authorization: string | null;
  message_count: number;
  /** The system prompt, cut at MAX_LOGGED_SYSTEM_CHARS. */
  system: string;
  /** What the user said, oldest first: the newest MAX_LOGGED_TEXTS, each cut at MAX_LOGGED_TEXT_CHARS. */
  user_texts: string[];
  tool_names: string[];
  /** The content blocks of all messages: the newest MAX_LOGGED_BLOCKS. */
  blocks: Block[];
  /** Those of the user's last message. */
  last_blocks: Block[];
  /** `open` while it is being answered, `hanging` while it waits at the gate; `aborted`: the caller left. */
  state: "open" | "hanging" | "answered" | "aborted";
  aborted: boolean;
  /** The status it was answered with; null before. */
  status: number | null;
  /** What its answer has told of its usage so far; null before that. */
  usage: Usage | null;
  /** The bytes of what a streamed answer has said so far, as its JSON has them. */
  said_bytes: number;
};

export type Rule = { fail?: Failure; delayMs?: number; hang?: boolean; times?: number };

/** A request was waited for and did not come (or not as described). */
export class RequestMissing extends Error {}

/** Writes the directives of a question that stands for what somebody else said. */
export type Author = (request: MessagesRequest) => string | undefined;

export class Control {
  readonly #log: LoggedRequest[] = [];
  readonly #scripts = new Map<string, string>();
  #author: Author | undefined;
  #rules: { rule: Rule; left: number }[] = [];
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #gate = Promise.withResolvers<void>();

  /** The requests so far, oldest first: at most MAX_LOGGED_REQUESTS. */
  requests(): readonly LoggedRequest[] {
    return this.#log;
  }

  clearRequests(): void {
    this.#log.length = 0;
  }

  /** Applies to the next requests, `times` of them or until cleared. Of several rules the oldest goes first. */
  addRule(rule: Rule): void {
    if (this.#rules.length >= MAX_RULES) throw new RangeError(`at most ${MAX_RULES} rules at a time`);
    this.#rules.push({ rule, left: rule.times ?? Infinity });
  }

  clearRules(): void {
    this.#rules = [];
  }

  /** This question is answered as if its directives were these, so that it can read as a person's does. */
  script(question: string, directives: string): void {
    if (this.#scripts.size >= MAX_SCRIPTS) throw new RangeError(`at most ${MAX_SCRIPTS} scripts at a time`);
    this.#scripts.set(question, directives);
  }

  /** Questions without a script are answered as this says, if it says anything. */
  scriptedBy(author: Author): void {
    this.#author = author;
  }

  /** For the server: the same request, with the directives of its question. */
  scripted(request: MessagesRequest): MessagesRequest {
    const directives = this.#scripts.get(request.userTexts.at(-1) ?? "") ?? this.#author?.(request);
    return directives === undefined ? request : { ...request, userTexts: request.userTexts.with(-1, directives) };
  }

  /** Lets every hanging request go on; says how many there were. */
  release(): number {
    const hanging = this.#log.filter((request) => request.state === "hanging").length;
    this.#gate.resolve();
    this.#gate = Promise.withResolvers<void>();
    return hanging;
  }

  /** The first logged request, past or to come, that the predicate holds for. Throws RequestMissing after `timeoutMs`. */
  async waitFor(predicate: (request: LoggedRequest) => boolean, timeoutMs = 10_000): Promise<LoggedRequest> {
    const deadline = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const found = this.#log.find(predicate);
      if (found !== undefined) return found;
      try {
        await once(this.#changes, "change", { signal: deadline });
      } catch {
        throw new RequestMissing(`no such request within ${timeoutMs} ms; seen: ${this.#log.length}`);
      }
    }
  }

  /** For the server: notes a request that arrived. */
  arrived(path: string, headers: { xApiKey: string | null; authorization: string | null }, request: MessagesRequest): LoggedRequest {
    const logged: LoggedRequest = {
      at: Date.now(),
      path,
      model: request.model,
      effort: request.effort,
      thinking: request.thinking,
      stream: request.stream,
      x_api_key: headers.xApiKey,
      authorization: headers.authorization,
      message_count: request.messageCount,
      system: request.system.slice(0, MAX_LOGGED_SYSTEM_CHARS),
      user_texts: request.userTexts.slice(-MAX_LOGGED_TEXTS).map((text) => text.slice(0, MAX_LOGGED_TEXT_CHARS)),
      tool_names: request.toolNames,
      blocks: loggedBlocks(request.blocks),
      last_blocks: loggedBlocks(request.lastBlocks),
      state: "open",
      aborted: false,
      status: null,
      usage: null,
      said_bytes: 0,
    };
    if (this.#log.length >= MAX_LOGGED_REQUESTS) this.#log.shift();
    this.#log.push(logged);
    this.#changes.emit("change");
    return logged;
  }

  /** For the server: notes what became of a request. */
  update(logged: LoggedRequest, change: Partial<Pick<LoggedRequest, "state" | "status" | "usage" | "said_bytes">>): void {
    Object.assign(logged, change);
    logged.aborted = logged.state === "aborted";
    this.#changes.emit("change");
    if (change.state === "answered" || change.state === "aborted") this.#changes.emit("end", logged);
  }

  /** Calls `listener` with each request that has been answered or aborted. */
  onEnd(listener: (request: LoggedRequest) => void): void {
    this.#changes.on("end", listener);
  }

  /** For the server: the rule for this request, used up by it. */
  takeRule(): Rule | undefined {
    const first = this.#rules[0];
    if (first === undefined) return undefined;
    first.left -= 1;
    if (first.left <= 0) this.#rules.shift();
    return first.rule;
  }

  /** For the server: resolves at the next release. */
  released(): Promise<void> {
    return this.#gate.promise;
  }
}

function loggedBlocks(blocks: ReadBlock[]): Block[] {
  return blocks.slice(-MAX_LOGGED_BLOCKS).map(({ tokens: _, title, ...block }) => ({ ...block, title: title?.slice(0, MAX_LOGGED_TITLE_CHARS) ?? null }));
}
