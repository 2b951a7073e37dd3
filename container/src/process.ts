/*
 * One live CLI process: takes one turn at a time through a kept-alive query, and ends for good.
 * Owns its limits of time, its interruption and its reaping. Knows nothing of frames, pools or HTTP.
 */
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import type { UUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { query } from "@anthropic-ai/claude-agent-sdk";
import type { PermissionMode, Query, SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { Callbacks } from "./actions/callbacks.ts";
import type { Asks } from "./actions/callbacks.ts";
import { CLIENT_SERVER } from "./actions/terms.ts";
import type { Message } from "./attachments.ts";
import { removeFolders } from "./folders.ts";
import { command, Input, userMessage } from "./input.ts";
import { log, reason } from "./log.ts";
import { rulesAskedFirst } from "./actions/rules.ts";
import { liveOptions } from "./options.ts";
import type { LiveOptions } from "./options.ts";
import { killGroup, killProcesses, MARK, marked } from "./reap.ts";
import { modeOf, rulesOf, sdkOptions } from "./sdk.ts";
import type { Setup } from "./sdk.ts";
import type { User } from "./users.ts";

const START_LIMIT_MS = 30_000;
const TAKE_ON_LIMIT_MS = 5_000;
/** An interrupt that comes too early is lost: it is repeated until the result. */
const INTERRUPT_EVERY_MS = 250;
/** After this long without a result the process is killed. A cancelled turn ends within 1.4 s: the object waits 1.5 s for that. */
const INTERRUPT_LIMIT_MS = 1_000;
/** What a query's messages are called back with: a CLI that does not answer in time is taken to run them. */
const CALL_BACK_LIMIT_MS = 1_000;
/** From the end of its input to SIGKILL. */
const CLOSE_LIMIT_MS = 3_000;
/** From the exit of the process to the end of its messages, when something keeps its pipe open. */
const DRAIN_LIMIT_MS = 250;

/** Messages of a turn that a process began by itself, before anybody runs it: the few of its first moments. */
const MAX_EARLY = 1_000;

/** The process ended under the turn. */
export class ProcessGone extends Error {}

export type Run = {
  live: LiveOptions;
  mode: PermissionMode;
  /** Undefined: nobody is asked, and what would be is denied. */
  asks: Asks | undefined;
  signal: AbortSignal;
  /** Every message of the turn but its result. */
  onMessage: (message: SDKMessage) => void;
  /** The prompt is a command of the CLI's. */
  isCommand: boolean;
  steering: Steering;
  maxSteps: number | undefined;
};

/** How a running turn gets further messages, each by its uuid. */
export type SteeringPort = {
  push(uuid: string, message: Message): void;
  /** True: it was not taken and will not run. */
  cancel(uuid: string): Promise<boolean>;
};

/** Who decides on them. It hears of everything that the process says until its next turn, and of a turn's end before anything that follows. */
export type Steering = {
  /** The process has some that are not taken. */
  readonly pushed: boolean;
  begin(port: SteeringPort, maxSteps?: number): void;
  message(message: SDKMessage): void;
  end(result?: SDKResultMessage): void;
};

/** What the SDK's queries can do beside what its types say. */
type Controls = {
  interrupt(how: { cancelQueued: boolean }): Promise<unknown>;
  cancelAsyncMessage(uuid: string): Promise<boolean>;
};

type Turn = {
  /** Of its message; undefined: the process began it by itself, without one. */
  uuid: string | undefined;
  onMessage: (message: SDKMessage) => void;
  resolve: (result: SDKResultMessage) => void;
  reject: (error: ProcessGone) => void;
  over: Promise<void>;
};

export class AgentProcess {
  readonly #query: Query;
  readonly #input = new Input();
  readonly #mark: string;
  readonly #session: string;
  readonly #user: User | undefined;
  readonly #begun = performance.now();
  #child: ChildProcess | undefined;
  #config: string | undefined;
  /** What it was last told of the options that change live. */
  #live: LiveOptions;
  #mode: PermissionMode;
  readonly callbacks = new Callbacks(() => this.#interrupt());
  /** It began a turn by itself: what it says of it before somebody runs that. */
  #early: SDKMessage[] | undefined;
  #turn: Turn | undefined;
  #steering: Steering | undefined;
  #interrupting: Promise<void> | undefined;
  #gone = false;
  #exited = false;
  #closing: Promise<void> | undefined;
  readonly #end = Promise.withResolvers<void>();
  /** It is up and has said so; rejects with `ProcessGone` where it never comes up. */
  readonly ready: Promise<void>;
  /** It and everything it started is gone. */
  readonly ended: Promise<void>;

  constructor(setup: Omit<Setup, "mark" | "onSpawn" | "asks" | "clientServer">) {
    this.#mark = randomUUID();
    this.#session = setup.session;
    this.#user = setup.user;
    const { model, ask_tools, deny_tools, client_tools } = liveOptions(setup.options);
    const rules = setup.goesOn === true ? { ...(ask_tools && { ask_tools }), ...(deny_tools && { deny_tools }) } : {};
    this.#live = { ...(model !== undefined && { model }), ...rules, ...(client_tools && { client_tools }) };
    this.#mode = modeOf(setup.options);
    if (setup.goesOn === true) {
      this.#early = [];
      this.callbacks.gate.expect();
    }
    const clientServer = client_tools === undefined ? undefined : this.callbacks.serverOf(client_tools);
    const options = sdkOptions({ ...setup, asks: this.callbacks.optionsFor({ everyCall: rulesAskedFirst(setup.options).length > 0 }), clientServer, mark: this.#mark, onSpawn: (child, config) => this.#spawned(child, config) });
    this.#query = query({ prompt: this.#input, options });
    this.ready = this.#start();
    this.ready.catch(() => {});
    this.ended = this.#end.promise.then(() => this.#reap());
    this.ended.catch((error: unknown) => this.#log("reap_failed", { reason: reason(error) }));
    void this.#pump();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get alive(): boolean {
    return !this.#gone && !this.#exited && this.#closing === undefined;
  }

  /**
   * Runs one turn to its result. Throws `ProcessGone` where there is none.
   * The signal interrupts it: the result comes soon, or the process is killed. Aborted before the turn began, it throws.
   */
  async run(content: Message, how: Run): Promise<SDKResultMessage> {
    await this.#interrupting;
    if (!this.alive) throw new ProcessGone("the process had ended");
    await this.#takeOn(how.live, how.mode, how.signal);
    how.signal.throwIfAborted();
    const uuid = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<SDKResultMessage>();
    const early = this.#early;
    this.#early = undefined;
    this.#turn = { uuid: early === undefined ? uuid : undefined, onMessage: how.onMessage, resolve, reject, over: promise.then(noop, noop) };
    this.#steering = how.steering;
    how.steering.begin(this.#steeringPort, how.maxSteps);
    if (how.asks !== undefined) this.callbacks.beginTurn(how.asks);
    if (early === undefined) this.#input.push(how.isCommand ? command(uuid, content) : userMessage(uuid, content));
    else for (const message of early) this.#received(message);
    const interrupt = (): void => this.#interrupt();
    how.signal.addEventListener("abort", interrupt, { once: true });
    return promise.finally(() => {
      how.signal.removeEventListener("abort", interrupt);
      this.callbacks.endTurn();
    });
  }

  /** Nothing more comes of it. */
  get over(): Promise<void> {
    return this.#end.promise;
  }

  /** It goes on by itself with a turn, whatever it is given to run. */
  get goesOn(): boolean {
    return this.#early !== undefined;
  }

  /** Something that it started, or that its user runs otherwise, is there beside it. */
  async hasCompany(): Promise<boolean> {
    return (await marked(`${MARK}=${this.#mark}`, this.#user?.uid)).some((pid) => pid !== this.pid);
  }

  /** Lets it end by itself, for a while. Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#closing ??= this.#close(CLOSE_LIMIT_MS);
    await this.#closing;
  }

  /** Ends it at once. Resolves when nothing of it is left. */
  async kill(): Promise<void> {
    const already = this.#closing !== undefined;
    this.#closing ??= this.#close(0);
    if (already) killGroup(this.pid);
    await this.#closing;
  }

  async #start(): Promise<void> {
    const limit = this.#limit(START_LIMIT_MS, "it did not start in time");
    const died = this.#end.promise.then(() => Promise.reject(new ProcessGone("it ended while it started")));
    died.catch(noop);
    try {
      await Promise.race([this.#query.initializationResult(), limit.expired, died]);
      this.#log("process_ready", { ms: this.#age() });
    } catch (error) {
      this.#log("process_start_failed", { ms: this.#age(), reason: reason(error) });
      void this.kill();
      throw error instanceof ProcessGone ? error : new ProcessGone(reason(error));
    } finally {
      limit.clear();
    }
  }

  /** Tells the process what differs from what it was told last. */
  async #takeOn(live: LiveOptions, mode: PermissionMode, signal: AbortSignal): Promise<void> {
    const { model, effort, thinking, client_tools = [] } = live;
    const changes: (() => Promise<unknown>)[] = [];
    if (model !== this.#live.model) changes.push(() => this.#query.setModel(model));
    // Commands that the process starts from now on have it. An empty one is absent to whoever reads it.
    if (live.traceparent !== this.#live.traceparent) changes.push(() => this.#query.applyFlagSettings({ env: { TRACEPARENT: live.traceparent ?? "" } }));
    if (effort !== this.#live.effort) changes.push(() => this.#query.applyFlagSettings({ effortLevel: effort ?? null }));
    // None for a model that can do without; `null` is what the model does by default.
    if (thinking !== this.#live.thinking) changes.push(() => this.#query.setMaxThinkingTokens(thinking === "off" ? 0 : null));
    // They count from the next call on: before the mode that they are heeded in.
    if (JSON.stringify(rulesOf(live)) !== JSON.stringify(rulesOf(this.#live))) changes.push(() => this.#query.applyFlagSettings({ permissions: rulesOf(live) }));
    if (JSON.stringify(client_tools) !== JSON.stringify(this.#live.client_tools ?? [])) {
      const server = this.callbacks.serverOf(client_tools);
      changes.push(() => this.#query.setMcpServers(client_tools.length === 0 ? {} : { [CLIENT_SERVER]: server }));
    }
    if (mode !== this.#mode) changes.push(() => this.#query.setPermissionMode(mode));
    if (changes.length === 0) return;
    const limit = this.#limit(TAKE_ON_LIMIT_MS, "it did not take the turn's options in time");
    signal.addEventListener("abort", limit.expire, { once: true });
    try {
      for (const change of changes) await Promise.race([change(), limit.expired]);
      this.#live = live;
      this.#mode = mode;
    } catch (error) {
      void this.kill();
      throw new ProcessGone(reason(error));
    } finally {
      signal.removeEventListener("abort", limit.expire);
      limit.clear();
    }
  }

  get #controls(): Controls {
    return this.#query as unknown as Controls;
  }

  get #steeringPort(): SteeringPort {
    return {
      push: (uuid, message) => this.#input.push(userMessage(uuid as UUID, message)),
      cancel: async (uuid) => {
        const answer = this.#controls.cancelAsyncMessage(uuid).catch(() => false);
        return Promise.race([answer, sleep(CALL_BACK_LIMIT_MS, false, { ref: false })]);
      },
    };
  }

  #interrupt(): void {
    this.#interrupting ??= this.#interruptUntilDone().finally(() => {
      this.#interrupting = undefined;
    });
  }

  async #interruptUntilDone(): Promise<void> {
    const turn = this.#turn;
    if (turn === undefined) return;
    const deadline = performance.now() + INTERRUPT_LIMIT_MS;
    let receipt: Promise<void> = Promise.resolve();
    for (let left = INTERRUPT_LIMIT_MS; this.#turn === turn && left > 0; left = deadline - performance.now()) {
      // An early one with this would cancel the turn's own message, and there would be no result.
      const cancelQueued = this.#steering?.pushed === true;
      receipt = this.#controls.interrupt({ cancelQueued }).then(noop, noop);
      await Promise.race([turn.over, sleep(Math.min(INTERRUPT_EVERY_MS, left))]);
    }
    if (this.#turn !== turn) {
      // An interrupt on its way must not meet the next turn.
      await Promise.race([receipt, sleep(INTERRUPT_LIMIT_MS)]);
      return;
    }
    this.#log("process_unresponsive");
    await this.kill();
  }

  async #pump(): Promise<void> {
    let cause = "it ended";
    try {
      for await (const message of this.#query) this.#received(message);
    } catch (error) {
      cause = reason(error);
    }
    this.#over(cause);
  }

  #received(message: SDKMessage): void {
    this.#steering?.message(message);
    if (message.type === "system" && message.subtype === "status" && message.permissionMode !== undefined) this.#mode = message.permissionMode;
    const turn = this.#turn;
    if (turn === undefined) return void (this.#early !== undefined && this.#early.length < MAX_EARLY && this.#early.push(message));
    if (message.type !== "result") return turn.onMessage(message);
    // A result that names other messages is of a turn that nobody here asked for.
    if (turn.uuid !== undefined && message.user_message_uuids?.includes(turn.uuid) === false) return;
    this.#turn = undefined;
    this.#steering?.end(message);
    turn.resolve(message);
  }

  #over(cause: string): void {
    if (this.#gone) return;
    this.#gone = true;
    // What is asked about has not run and will not: it waits on without the process.
    this.callbacks.gate.park();
    this.#input.end();
    this.#query.close();
    const turn = this.#turn;
    this.#turn = undefined;
    this.#steering?.end();
    if (this.#closing === undefined) this.#log("process_died", { in_turn: turn !== undefined, cause });
    turn?.reject(new ProcessGone(cause));
    this.#end.resolve();
  }

  #spawned(child: ChildProcess, config: string): void {
    this.#child = child;
    this.#config = config;
    if (!this.alive) killGroup(child.pid);
    child.once("exit", (code, signal) => {
      this.#exited = true;
      setTimeout(() => this.#over(`it exited with ${signal ?? code}`), DRAIN_LIMIT_MS);
    });
    child.once("error", (error) => this.#over(reason(error)));
  }

  async #close(limitMs: number): Promise<void> {
    this.#input.end();
    const exited = this.#exit();
    if (limitMs > 0) await Promise.race([exited, sleep(limitMs, undefined, { ref: false })]);
    killGroup(this.pid);
    await exited;
    this.#over("it was closed");
    await this.ended;
  }

  async #exit(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => child.once("exit", () => resolve()));
  }

  /** The CLI itself may outlive its messages: it goes first, then what it left running and lying about. */
  async #reap(): Promise<void> {
    const killed = await killProcesses({ leader: this.pid, mark: `${MARK}=${this.#mark}`, uid: this.#user?.uid });
    if (this.#config !== undefined) {
      await removeFolders([this.#config], this.#user).catch((error: unknown) => this.#log("config_remove_failed", { reason: reason(error) }));
    }
    this.#log("process_ended", { age_ms: this.#age(), left_behind: killed });
  }

  #limit(ms: number, message: string): { expired: Promise<never>; expire: () => void; clear: () => void } {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(noop);
    const expire = (): void => reject(new ProcessGone(message));
    const timer = setTimeout(expire, ms);
    return { expired: promise, expire, clear: () => clearTimeout(timer) };
  }

  #log(event: string, fields: Parameters<typeof log>[1] = {}): void {
    log(event, { session: this.#session, pid: this.pid ?? null, ...fields });
  }

  #age(): number {
    return Math.round(performance.now() - this.#begun);
  }
}

function noop(): void {}
