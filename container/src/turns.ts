/*
 * The turns this server knows: each runs to its end whether or not anybody reads its frames.
 * Owns their retention. Every turn's last frames are one `result` and `end`, whatever happens under it.
 */
import type { SDKMessage } from "@anthropic-ai/claude-agent-sdk";
import { setTimeout as sleep } from "node:timers/promises";
import type { Asks, Callbacks } from "./actions/callbacks.ts";
import { allowOnce, decisionMessage, resultMessage } from "./actions/continuation.ts";
import { Entered } from "./actions/entered.ts";
import type { Decision } from "./actions/terms.ts";
import { AttachmentFailed } from "./attachments.ts";
import type { Message } from "./attachments.ts";
import type { Block } from "./content.ts";
import { FrameLog, MAX_FRAME_BYTES, MAX_TURN_FRAME_BYTES } from "./frames.ts";
import type { Entry, Frame, ResultFrame, TurnError } from "./frames.ts";
import { log, reason } from "./log.ts";
import { TurnMapper } from "./mapper.ts";
import { liveOptions } from "./options.ts";
import type { TurnOptions } from "./options.ts";
import { EntryTooLarge, transcriptFrames } from "./pieces.ts";
import { ProcessGone } from "./process.ts";
import type { AgentProcess } from "./process.ts";
import { discard, InvalidRequest, TranscriptCut } from "./request.ts";
import type { Lease, Sessions, Wanted } from "./sessions.ts";
import { modeAfterPlan, modeOf } from "./sdk.ts";
import { compactCommand, Compaction } from "./turn/compaction.ts";
import { RunningLimit } from "./turn/limit.ts";
import { Offers } from "./turn/offers.ts";
import { StructuredOutput } from "./turn/output.ts";
import { InvalidSchema } from "./turn/schema.ts";
import { NoUserLeft } from "./users.ts";
import type { WorkspaceFrame, WorkspaceWanted } from "./workspace/terms.ts";

/** Finished turns whose frames are kept until they are deleted or their conversation has its next turn, at most; the oldest go first. */
export const MAX_FINISHED_TURNS = 64;
const MAX_FINISHED_BYTES = 64 * 1024 * 1024;
/** The caller has its own, shorter limit; this one is for a caller that is gone. */
export const MAX_TURN_MS = 60 * 60_000;

/** How long a call that the SDK lets go of may mean that its process dies, before it is taken to be withdrawn. */
const DEATH_LIMIT_MS = 500;

/** `content`: the blocks of a turn that is more than its prompt. `actions`: its caller answers what the turn asks; `grants` are the rules that it has remembered. */
export type TurnRequest = Wanted & { turn_id: string; prompt: string; content?: Block[]; actions?: true; grants?: unknown[] };

export class Turn {
  readonly id: string;
  readonly frames = new FrameLog();
  /** Of a turn that was parked, the run that goes on with it; 0 is the first. */
  readonly run: number;
  /** The conversation, from when it is known. */
  session: string | null;
  readonly ended: Promise<void>;
  readonly #ending = new AbortController();
  /** Messages that it may take in. */
  readonly offers = new Offers(this.#ending.signal);
  readonly #toldTaken = new Set<string>();
  readonly #end = Promise.withResolvers<void>();
  readonly limit = new RunningLimit(MAX_TURN_MS, () => this.park() || this.stop("the turn took too long"));
  #cutShort = false;
  /** Set where the server itself ends the turn. */
  stopped: TurnError | undefined;
  cancelled = false;

  constructor(id: string, session: string | null, run = 0) {
    this.id = id;
    this.run = run;
    this.session = session;
    this.ended = this.#end.promise;
  }

  /** Aborted when the turn is to end early. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Who is asked in its name, while it has a process. */
  callbacks: Callbacks | undefined;

  /** Undefined: nobody asked that. False: it was decided before. */
  decide(reference: string, decision: Decision): boolean | undefined {
    return this.callbacks?.gate.decide(reference, decision);
  }

  /** It gives up its process while it waits. False: it waits for nothing. */
  park(): boolean {
    return this.callbacks?.gate.park() ?? false;
  }

  /** What it goes on waiting for without its process. */
  get parked(): string[] {
    return this.cancelled || this.stopped !== undefined ? [] : (this.callbacks?.gate.parked ?? []);
  }

  cancel(): void {
    this.cancelled = true;
    this.#ending.abort();
  }

  stop(message: string): void {
    if (this.stopped !== undefined || this.cancelled) return;
    this.stopped = { code: "agent_failed", message };
    this.#ending.abort();
  }

  /** Says which messages it has taken in, each once. */
  tellTaken(ids: readonly string[]): void {
    const untold = ids.filter((id) => !this.#toldTaken.has(id));
    if (untold.length === 0) return;
    for (const id of untold) this.#toldTaken.add(id);
    this.emit({ type: "steered", turn_ids: untold });
  }

  /** From an entry on that cannot be sent, nothing is: what the caller stores has no gap in its middle. */
  emitTranscript(subpath: string | null, entries: readonly Entry[]): void {
    if (this.#cutShort) return;
    try {
      for (const frame of transcriptFrames(subpath, entries)) this.emit(frame);
    } catch (error) {
      if (!(error instanceof EntryTooLarge)) throw error;
      this.#cutShort = true;
      this.stop(error.message);
    }
  }

  /** The caller's transcript has ended before what the process knows. */
  get cutShort(): boolean {
    return this.#cutShort;
  }

  emit(frame: Frame): void {
    if (!this.frames.append(frame)) return this.stop(`a frame of the turn is over ${MAX_FRAME_BYTES} bytes`);
    if (this.frames.overfull) this.stop(`the turn's frames exceed ${MAX_TURN_FRAME_BYTES} bytes`);
    if (frame.type === "end") this.#end.resolve();
  }
}

/** The process was dead, and had done nothing of the turn. Where it was a warm one, it died unnoticed while it was idle. */
class NotReached extends ProcessGone {}

export class Turns {
  readonly #turns = new Map<string, Turn>();
  readonly #sessions: Sessions;
  readonly #instance: string;

  constructor(sessions: Sessions, instance: string) {
    this.#sessions = sessions;
    this.#instance = instance;
  }

  get(id: string): Turn | undefined {
    return this.#turns.get(id);
  }

  get running(): Turn[] {
    return [...this.#turns.values()].filter((turn) => !turn.frames.ended);
  }

  /** The caller has made sure, in this tick, that the conversation can be had. */
  start(request: TurnRequest): Turn {
    if (request.session !== null) this.#begin(request.session, request.workspace);
    const turn = new Turn(request.turn_id, request.session, request.continuation?.run);
    this.#turns.set(turn.id, turn);
    this.#run(turn, request).catch((error: unknown) => log("turn_broken", { turn: turn.id, reason: reason(error) }));
    return turn;
  }

  #begin(session: string, workspace: WorkspaceWanted | undefined): void {
    this.#forgetEndedOf(session);
    if (workspace === undefined) this.#sessions.workspaces.unwatched(session);
    else this.#sessions.workspaces.begin(session, workspace);
  }

  /** Its frames are forgotten; a running turn is cancelled first. */
  async delete(turn: Turn): Promise<void> {
    turn.cancel();
    await turn.ended;
    this.#turns.delete(turn.id);
  }

  /** Ends the turns of a conversation; their frames stay. */
  async cancelOf(session: string): Promise<void> {
    const turns = [...this.#turns.values()].filter((turn) => turn.session === session && !turn.frames.ended);
    for (const turn of turns) turn.cancel();
    await Promise.all(turns.map((turn) => turn.ended));
  }

  /** Ends and forgets the turns of a conversation. */
  async deleteOf(session: string): Promise<void> {
    await Promise.all([...this.#turns.values()].filter((turn) => turn.session === session).map((turn) => this.delete(turn)));
  }

  async #run(turn: Turn, request: TurnRequest): Promise<void> {
    const begun = performance.now();
    const mapper = new TurnMapper({ emit: (frame) => turn.emit(frame), stop: (message) => turn.stop(message) }, request.content);
    let lease: Lease | undefined;
    let result: ResultFrame;
    try {
      lease = await this.#sessions.lease(request, turn.signal).finally(() => discard(request.transcript));
      turn.session = lease.session.id;
      if (request.session === null && request.workspace !== undefined) this.#sessions.workspaces.begin(turn.session, request.workspace);
      turn.emit({ type: "started", agent_session: turn.session, instance: this.#instance, warm: lease.warm });
      try {
        result = await this.#runOn(lease, turn, request, await messageFor(request, lease), mapper);
      } catch (error) {
        if (!(error instanceof NotReached && lease.warm)) throw error;
        const { session } = lease;
        lease = undefined;
        lease = await this.#sessions.restart(session, request, turn.signal);
        result = await this.#runOn(lease, turn, request, await messageFor(request, lease), mapper);
      }
    } catch (error) {
      result = endedBadly(turn, mapper, error);
    }
    turn.limit.end();
    mapper.flush();
    turn.offers.end();
    const settled = await turn.offers.settled();
    lease?.session.detach();
    // The next turn begins with what the caller has.
    if (turn.cutShort || !settled) await lease?.session.forget();
    turn.tellTaken(turn.offers.taken);
    if (request.workspace === undefined) {
      if (lease !== undefined) this.#sessions.release(lease.session, request.options);
      turn.emit(result);
    } else {
      turn.emit(result);
      turn.emit({ type: "workspace", ...(await this.#saved(turn, request.workspace, lease, result, mapper)) });
      if (lease !== undefined) this.#sessions.release(lease.session, request.options);
    }
    turn.emit({ type: "end" });
    this.#forgetOldest();
    log("turn_finished", {
      turn: turn.id,
      session: turn.session,
      status: result.status,
      code: result.error?.code,
      http_status: result.error?.http_status,
      warm: lease?.warm ?? null,
      pid: lease?.session.process?.pid ?? null,
      ms: Math.round(performance.now() - begun),
      sdk_ms: result.duration_ms,
      model_calls: result.model_calls,
      frame_bytes: turn.frames.bytes,
    });
  }

  /** The conversation is still the turn's, and its process alive: nothing else changes the files but what the turn has left running. */
  async #saved(turn: Turn, wanted: WorkspaceWanted, lease: Lease | undefined, result: ResultFrame, mapper: TurnMapper): Promise<WorkspaceFrame> {
    const { workspaces } = this.#sessions;
    const { session } = turn;
    // Nothing has begun.
    if (session === null) return { unchanged: true };
    try {
      const process = lease?.session.process;
      // Of a turn that was cut off nobody knows what its last tool did, and what it had begun may still run.
      const cutOff = result.status !== "completed" || process === undefined;
      const running = async (): Promise<boolean> => cutOff || process.hasCompany();
      return await workspaces.save(session, this.#sessions.userOf(session), wanted, { calm: !cutOff && mapper.onlyRead, running });
    } finally {
      workspaces.end(session);
    }
  }

  async #runOn({ session }: Lease, turn: Turn, request: TurnRequest, message: Message, mapper: TurnMapper): Promise<ResultFrame> {
    if (turn.signal.aborted) return endedEarly(turn, mapper);
    const process = session.process;
    if (process === undefined) throw new NotReached("it ended before the turn began");
    for (const removed of session.takeRemoved()) turn.emit({ type: "attachment_removed", ...removed });
    let reached = false;
    const entered = new Entered();
    turn.callbacks = process.callbacks;
    session.attach((subpath, entries) => {
      reached = true;
      mapper.flush();
      const own = turn.offers.own(entries);
      entered.entries(own);
      turn.emitTranscript(subpath, own);
      mapper.entries(own);
    });
    // What had waited is not of this turn.
    reached = false;
    let answering = false;
    const ending = endingOf(request.options, turn);
    turn.offers.composedBy((blocks) => session.composeOffered(blocks));
    const onMessage = (message: SDKMessage): void => {
      reached = true;
      if (ending?.message(message) ?? true) mapper.message(message);
      // From here on the model is at work and the processor free: time to start the next spare.
      if (answering || message.type !== "stream_event") return;
      answering = true;
      this.#sessions.ensureSpare();
    };
    try {
      const isCommand = request.options.compact === true;
      if (request.continuation !== undefined) allowOnce(request.continuation, process.callbacks.grants);
      const ended = await process.run(isCommand ? compactCommand(request.prompt) : message, {
        live: liveOptions(request.options),
        mode: modeOf(request.options),
        asks: request.actions === true ? asksOf(turn, request, process, mapper, entered) : undefined,
        signal: turn.signal,
        onMessage,
        isCommand,
        steering: turn.offers,
        maxSteps: request.options.max_turns,
      });
      const frame = mapper.result(ended);
      if (turn.parked.length > 0) return mapper.parked(frame, process.callbacks.parkedBy, turn.parked);
      const result = ending?.ending(frame, ended) ?? frame;
      return turn.stopped === undefined ? result : { ...result, status: "failed", error: turn.stopped };
    } catch (error) {
      throw error instanceof ProcessGone && !reached ? new NotReached(error.message) : error;
    }
  }

  /** A conversation's next turn says that its caller has stored those before. */
  #forgetEndedOf(session: string): void {
    for (const turn of this.#turns.values()) if (turn.session === session && turn.frames.ended) this.#turns.delete(turn.id);
  }

  #forgetOldest(): void {
    const finished = [...this.#turns.values()].filter((turn) => turn.frames.ended);
    let bytes = finished.reduce((sum, turn) => sum + turn.frames.bytes, 0);
    let count = finished.length;
    for (const turn of finished) {
      // The last one stays: its reader may be on its way.
      if (count === 1 || (count <= MAX_FINISHED_TURNS && bytes <= MAX_FINISHED_BYTES)) return;
      this.#turns.delete(turn.id);
      bytes -= turn.frames.bytes;
      count -= 1;
    }
  }
}

/** What is pushed; its files are read before anything is sent. */
async function messageFor({ prompt, content, continuation }: TurnRequest, { session, warm }: Lease): Promise<Message> {
  if (continuation !== undefined) return warm && continuation.by === "results" ? resultMessage(continuation) : decisionMessage(continuation);
  return content === undefined ? prompt : session.compose(content);
}

/** Where a turn's questions go. */
function asksOf(turn: Turn, { grants = [], options }: TurnRequest, process: AgentProcess, mapper: TurnMapper, entered: Entered): Asks {
  return {
    grants,
    options,
    afterPlan: modeAfterPlan(options),
    port: {
      async asked(asked) {
        await entered.call(asked.tool_call_id);
        mapper.flush();
        // If the turn is parked without another word, it goes on with them.
        turn.tellTaken(turn.offers.entered);
        turn.limit.restart();
        turn.emit({ type: "action", ...asked });
      },
      resolved(reference, outcome) {
        turn.limit.restart();
        turn.emit({ type: "action_resolved", reference, outcome });
      },
      letGo: () => (turn.signal.aborted ? Promise.resolve("withdrawn") : Promise.race([process.over.then(() => "parked" as const), sleep(DEATH_LIMIT_MS, "withdrawn" as const, { ref: false })])),
    },
  };
}

/** Whoever knows how a turn of these options ends; undefined for one that just answers. */
function endingOf(options: TurnOptions, turn: Turn): Compaction | StructuredOutput | undefined {
  if (options.compact === true) return new Compaction((frame) => turn.emit(frame));
  return options.output_schema === undefined ? undefined : new StructuredOutput();
}

function endedEarly(turn: Turn, mapper: TurnMapper): ResultFrame {
  if (turn.stopped !== undefined) return mapper.endedWithoutResult("failed", "stopped", turn.stopped);
  return mapper.endedWithoutResult("cancelled", "cancelled");
}

function endedBadly(turn: Turn, mapper: TurnMapper, error: unknown): ResultFrame {
  if (turn.cancelled || turn.stopped !== undefined) return endedEarly(turn, mapper);
  if (error instanceof ProcessGone && turn.parked.length > 0) {
    // What it asked about has not run.
    return mapper.parked(mapper.endedWithoutResult("failed", "interrupted"), "results", turn.parked);
  }
  if (error instanceof ProcessGone || error instanceof TranscriptCut) {
    return mapper.endedWithoutResult("failed", "interrupted", { code: "turn_interrupted", message: error.message });
  }
  if (error instanceof AttachmentFailed) {
    return mapper.endedWithoutResult("failed", error.code, { code: error.code, message: error.message });
  }
  if (error instanceof InvalidSchema) {
    return mapper.endedWithoutResult("failed", error.code, { code: error.code, message: error.message });
  }
  if (error instanceof InvalidRequest || error instanceof NoUserLeft) {
    return mapper.endedWithoutResult("failed", "invalid_request", { code: "agent_failed", message: error.message });
  }
  log("turn_threw", { turn: turn.id, reason: reason(error) });
  return mapper.endedWithoutResult("failed", "error", { code: "agent_failed", message: "the agent server could not run the turn" });
}
