/*
 * The conversations of this container: who has a live process, who gives it up, and the spare for the next new one.
 * Owns the bound on processes. A lease is exclusive: one turn of a conversation at a time.
 */
import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { ClientTool } from "./actions/client-tools.ts";
import type { Continuation } from "./actions/terms.ts";
import type { Config } from "./config.ts";
import { pathsOf } from "./folders.ts";
import { Gate } from "./gate.ts";
import { log, reason } from "./log.ts";
import { processKey, servesOneTurn } from "./options.ts";
import type { TurnOptions } from "./options.ts";
import { ProcessGone } from "./process.ts";
import type { AgentProcess } from "./process.ts";
import { Session } from "./session.ts";
import type { SessionContext } from "./session.ts";
import { Transcripts } from "./transcript.ts";
import type { TranscriptLine } from "./transcript.ts";
import { checkSchema, checkToolSchemas, InvalidSchema } from "./turn/schema.ts";
import type { User, Users } from "./users.ts";
import type { WorkspaceWanted } from "./workspace/terms.ts";
import { Workspaces } from "./workspace/workspaces.ts";

export type Wanted = {
  /** Null: a new conversation under an id of the server's choosing. */
  session: string | null;
  /** It is an existing conversation. */
  resume: boolean;
  options: TurnOptions;
  /** The stored transcript, where the caller sent it along. A live process needs none. */
  transcript?: AsyncIterable<TranscriptLine>;
  /** It is the rest of a parked turn. */
  continuation?: Continuation;
  /** The stored workspace that the turn must stand on, where workspaces are stored. */
  workspace?: WorkspaceWanted;
};

/** `warm`: the process was up when the turn came. */
export type Lease = { session: Session; warm: boolean };
export type Refusal = "session_busy" | "workspace_required" | "transcript_required" | "at_capacity";

type Spare = { session: Session; key: string; started: Promise<AgentProcess>; cancel: AbortController; ready: boolean };

export class Sessions {
  /** In order of use, the least recent first. */
  readonly #sessions = new Map<string, Session>();
  readonly #idleTimers = new Map<string, NodeJS.Timeout>();
  readonly #context: SessionContext;
  #spare: Spare | undefined;
  #spareOptions: TurnOptions = {};
  /** Processes that nobody has any more and that are not gone yet. */
  readonly #leaving = new Set<Promise<void>>();
  #draining = false;

  constructor(config: Config, users: Users) {
    const transcripts = new Transcripts((session) => join(config.stateRoot, session, "transcript.jsonl"));
    const workspaces = new Workspaces((session) => {
      const paths = pathsOf(config, session);
      return { root: paths.workspace, store: join(paths.state, "workspace") };
    });
    // A cold start is bound by the processor: more at once make each of them slower.
    this.#context = { config, transcripts, workspaces, users, coldStarts: new Gate(availableParallelism()), reclaimUser: () => this.#reclaimUser() };
  }

  get transcripts(): Transcripts {
    return this.#context.transcripts;
  }

  get workspaces(): Workspaces {
    return this.#context.workspaces;
  }

  /** How many conversations have a live process, the spare not counted. */
  get live(): number {
    return [...this.#sessions.values()].filter((session) => session.live).length;
  }

  /** Why a turn cannot have its conversation now; undefined where `lease` can be called in the same tick. */
  refusal(wanted: Wanted): Refusal | undefined {
    const session = wanted.session === null ? undefined : this.#sessions.get(wanted.session);
    if (session?.busy) return "session_busy";
    const withoutWorkspace = this.workspaces.refusal(wanted.session, wanted.workspace);
    if (withoutWorkspace !== undefined) return withoutWorkspace;
    const sent = wanted.transcript !== undefined;
    if (wanted.resume && wanted.session !== null && !sent && !this.#knows(wanted.session, wanted.options)) return "transcript_required";
    const hasRoom = session?.live === true || this.#liveCount() < this.#capacity || this.#leastRecentIdle() !== undefined;
    return hasRoom ? undefined : "at_capacity";
  }

  /**
   * The conversation for this turn alone, with a process that is up. Rejects with `ProcessGone` where none comes up, and with `InvalidSchema`
   * where none would: what runs stays as it is then.
   * The signal ends a start that nobody waits for any more; the conversation is free again when the promise has settled.
   */
  lease(wanted: Wanted, signal: AbortSignal): Promise<Lease> {
    if (wanted.session === null) return this.#leaseNew(wanted.options, signal);
    const session = this.#sessions.get(wanted.session) ?? new Session(wanted.session, this.#context);
    return this.#claimed(session, () => this.#prepare(session, wanted, signal), signal);
  }

  /** A new process for a conversation that is leased and whose process is gone. Rejects as `lease` does, and the lease is over then. */
  restart(session: Session, { options, continuation }: Wanted, signal: AbortSignal): Promise<Lease> {
    return this.#claimed(session, async () => {
      await session.start(options, signal, continuation);
      return { session, warm: false };
    }, signal);
  }

  /** Ready for its next turn from now on. */
  release(session: Session, options: TurnOptions): void {
    session.busy = false;
    if (this.#draining || servesOneTurn(options) || !session.live) this.#retire(session);
    else this.#touch(session);
    while (this.#liveCount() > this.#context.config.warmSessions && this.#evict());
    this.ensureSpare();
  }

  /** A turn has it, or it is being removed. */
  isBusy(id: string): boolean {
    return this.#sessions.get(id)?.busy === true;
  }

  /** Whom its files belong to. */
  userOf(id: string): User | undefined {
    return this.#context.users.known(id);
  }

  /** Its folders are there, for the server to put something into; answers whose they are. */
  async open(id: string, { stop }: { stop: boolean }): Promise<User | undefined> {
    const session = this.#sessions.get(id) ?? new Session(id, this.#context);
    if (stop) await session.kill();
    return session.open();
  }

  /** Its process is gone, whatever it was doing; its files and its transcript stay. */
  async stop(id: string): Promise<void> {
    await this.#sessions.get(id)?.kill();
  }

  /** Nothing of the conversation is left. Its turn, if any, has ended before this is called. */
  async remove(id: string): Promise<void> {
    const session = this.#sessions.get(id) ?? new Session(id, this.#context);
    session.leaving = true;
    try {
      await this.#claimed(session, () => session.clear());
    } finally {
      session.leaving = false;
    }
    this.#forget(session);
  }

  /** Starts the next new conversation's process ahead, unless it is there. */
  ensureSpare(): void {
    if (this.#draining || this.#spare !== undefined) return;
    const options = this.#spareOptions;
    const session = new Session(randomUUID(), this.#context);
    const cancel = new AbortController();
    const spare: Spare = { session, key: processKey(options), started: session.start(options, cancel.signal), cancel, ready: false };
    this.#spare = spare;
    spare.started.then(
      (process) => {
        spare.ready = true;
        return process.ended.then(() => this.#dropSpare(spare));
      },
      () => this.#dropSpare(spare),
    );
  }

  /** No new processes; idle ones end now, the others when their turn does. */
  drain(): void {
    this.#draining = true;
    if (this.#spare !== undefined) this.#dropSpare(this.#spare);
    while (this.#evict());
  }

  /** Every process is gone. */
  async shutdown(): Promise<void> {
    this.drain();
    await Promise.all([...this.#leaving, ...[...this.#sessions.values()].map((session) => session.kill())]);
  }

  async #leaseNew(options: TurnOptions, signal: AbortSignal): Promise<Lease> {
    if (options.client_tools !== undefined) await this.#checkTools(options.client_tools, signal);
    const spare = this.#spare;
    if (spare?.key === processKey(options)) {
      this.#spareOptions = options;
      this.#spare = undefined;
      const { session, ready: warm } = spare;
      try {
        return await this.#claimed(session, async () => {
          this.#makeRoom();
          await spare.started;
          if (!session.live) throw new ProcessGone("the spare had died");
          return { session, warm };
        }, signal);
      } catch {
        log("spare_failed", { session: session.id });
      }
    }
    const session = new Session(randomUUID(), this.#context);
    return this.#claimed(session, async () => {
      if (options.output_schema !== undefined) await checkSchema(options.output_schema);
      this.#spareOptions = options;
      if (this.#spare !== undefined && this.#spare.key !== processKey(options)) this.#dropSpare(this.#spare);
      this.#makeRoom();
      await session.start(options, signal);
      return { session, warm: false };
    }, signal);
  }

  /** The turn has its place meanwhile, and the spare stays one. */
  async #checkTools(tools: readonly ClientTool[], signal: AbortSignal): Promise<void> {
    const place = new Session(randomUUID(), this.#context);
    await this.#claimed(place, () => checkToolSchemas(tools), signal);
    place.busy = false;
    this.#forget(place);
  }

  async #prepare(session: Session, wanted: Wanted, signal: AbortSignal): Promise<Lease> {
    const { output_schema, client_tools } = wanted.options;
    if (client_tools !== undefined) await checkToolSchemas(client_tools);
    // A live process has compiled it.
    if (output_schema !== undefined && !session.fits(wanted.options)) await checkSchema(output_schema);
    this.#makeRoom();
    if (!wanted.resume) await session.clear({ keepsWorkspace: isStored(wanted.workspace) });
    if (session.fits(wanted.options)) return { session, warm: true };
    const held = session.live && this.transcripts.has(session.id);
    if (wanted.transcript !== undefined && !held) await this.transcripts.replace(session.id, wanted.transcript);
    await session.start(wanted.options, signal, wanted.continuation);
    return { session, warm: false };
  }

  /** Busy from this tick on; freed again where the work fails. */
  async #claimed<T>(session: Session, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    session.busy = true;
    this.#touch(session);
    const abort = (): void => void session.kill();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await work();
    } catch (error) {
      session.busy = false;
      if (error instanceof InvalidSchema && session.live) this.#touch(session);
      else this.#retire(session);
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** For a conversation that is claimed, and counted with the live ones already. */
  #makeRoom(): void {
    while (this.#liveCount() > this.#capacity && this.#evict());
  }

  #touch(session: Session): void {
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
    clearTimeout(this.#idleTimers.get(session.id));
    if (session.busy) return;
    const timer = setTimeout(() => this.#retire(session), this.#context.config.warmIdleMs);
    timer.unref();
    this.#idleTimers.set(session.id, timer);
  }

  #evict(): boolean {
    const session = this.#leastRecentIdle();
    if (session === undefined) return false;
    this.#retire(session);
    return true;
  }

  /** Its process ends; the conversation stays known until then, so that the next turn waits for the end. */
  #retire(session: Session): void {
    if (session.busy) return;
    const closed = session.close().finally(() => {
      if (!session.busy && !session.live) this.#forget(session);
    });
    this.#leaves(session, closed);
  }

  #leaves(session: Session, gone: Promise<void>): void {
    const left = gone
      .catch((error: unknown) => log("close_failed", { session: session.id, reason: reason(error) }))
      .finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  #forget(session: Session): void {
    clearTimeout(this.#idleTimers.get(session.id));
    this.#idleTimers.delete(session.id);
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
  }

  #dropSpare(spare: Spare): void {
    if (this.#spare !== spare) return;
    this.#spare = undefined;
    this.#leaves(spare.session, removeSpare(spare));
  }

  /** What is here is a cache: a conversation without a process gives up its user, its files and its transcript, as it would with its container. */
  async #reclaimUser(): Promise<void> {
    const spare = this.#spare?.session.id;
    const id = this.#context.users.leastRecent((session) => session !== spare && !this.#sessions.has(session));
    if (id === undefined) return;
    log("user_reclaimed", { session: id });
    await this.remove(id);
  }

  /** It can go on without being told what was said before. */
  #knows(id: string, options: TurnOptions): boolean {
    return this.transcripts.has(id) || this.#sessions.get(id)?.fits(options) === true;
  }

  /** A turn needs a process even where none is to be kept. */
  get #capacity(): number {
    return Math.max(1, this.#context.config.warmSessions);
  }

  /** How many have a process, or will: one that is only removed takes no place from a turn. */
  #liveCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.live || (session.busy && !session.leaving)) count += 1;
    return count;
  }

  #leastRecentIdle(): Session | undefined {
    for (const session of this.#sessions.values()) if (session.live && !session.busy) return session;
    return undefined;
  }
}

/** The folder was filled for this turn. */
function isStored(workspace: WorkspaceWanted | undefined): boolean {
  return workspace !== undefined && (workspace.version > 0 || workspace.inbox > 0);
}

/** Wherever its start has got to. */
async function removeSpare({ session, started, cancel }: Spare): Promise<void> {
  cancel.abort();
  await session.kill();
  await started.catch(() => {});
  await session.clear();
}
