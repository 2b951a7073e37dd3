/*
 * The workspaces that this container holds: on which stored version each stands, and the save that may become the next one.
 * Decides whether a turn can have its workspace, and whether its end needs a scan. File work is the worker thread's; the authority is the object.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../log.ts";
import type { User } from "../users.ts";
import { JobFailed, Jobs } from "./jobs.ts";
import { saveFolder } from "./store.ts";
import type { WorkspaceFrame, WorkspaceWanted } from "./terms.ts";
import type { Saved, SaveOutcome, Where } from "./work.ts";

/** From a turn's result to its workspace frame, the wait for other jobs counted: its caller waits a minute for all of it. */
const SAVE_LIMIT_MS = 50_000;
/** A save looks at the clock between files; where it does not come to that, its thread is ended. */
const SAVE_GRACE_MS = 2_000;
/** Of one call of a restore: file systems take up to a millisecond for a file. */
const RESTORE_LIMIT_MS = 5 * 60_000;
const SMALL_JOB_LIMIT_MS = 60_000;
/** A server that ends waits so long for its last saves to be fetched. */
export const FETCH_LIMIT_MS = 60_000;
/** Conversations whose workspace is known, at most; the least recently used is forgotten and restored when it is needed. */
const MAX_HELD = 4_096;
/** Packs of saves that are kept for being fetched again, all conversations together; the oldest that were fetched go first. */
const MAX_KEPT_BYTES = 1024 * 1024 * 1024;
/** Stands among the packs that are needed until these are known. */
const NOT_LAID_OUT = -1;
const PRIVATE_FOLDER = 0o700;

export type Standing = { version: number; inbox: number };
export type Refusal = "session_busy" | "workspace_required";

type Pending = {
  version: number;
  unsettled: boolean;
  /** Names of its files that have not been fetched yet, and when waiting for that ends. */
  unfetched: Set<string>;
  files: Map<string, number>;
  fetched: PromiseWithResolvers<void>;
  waitUntil: number;
};
type Held = Standing & {
  /** The folder may differ from the base without a tool of the next turn having changed it. */
  unsettled: boolean;
  pending: Pending | undefined;
  /** The packs that a restore still waits for. */
  restoring: Set<number> | undefined;
  inTurn: boolean;
  /** A call is changing the folder. */
  changing: boolean;
};

/** A conversation's folder, and the server's own about its workspace. */
export type Places = (session: string) => { root: string; store: string };

export class Workspaces {
  /** In order of use, the least recent first. */
  readonly #held = new Map<string, Held>();
  readonly #jobs = new Jobs();
  readonly #places: Places;

  constructor(places: Places) {
    this.#places = places;
  }

  /** What is held, for a caller whose stored version is this one: a save of that version is stored then. */
  standing(session: string, version: number): Standing | null {
    const held = this.#held.get(session);
    if (held === undefined || held.restoring !== undefined) return null;
    return { version: held.pending?.version === version ? version : held.version, inbox: held.inbox };
  }

  /** Why a turn cannot have the workspace that it must stand on; undefined where `begin` can be called in the same tick. */
  refusal(session: string | null, wanted: WorkspaceWanted | undefined): Refusal | undefined {
    const held = session === null ? undefined : this.#held.get(session);
    if (held?.inTurn === true) return "session_busy";
    if (wanted === undefined) return undefined;
    if (held === undefined) return wanted.version === 0 && wanted.inbox === 0 ? undefined : "workspace_required";
    const isThere = held.version === wanted.version || held.pending?.version === wanted.version;
    return isThere && held.restoring === undefined && held.inbox >= wanted.inbox ? undefined : "workspace_required";
  }

  /** The turn has the workspace until `end`. What was saved before is now known to be stored, or to be void. */
  begin(session: string, wanted: WorkspaceWanted): void {
    const held = this.#held.get(session) ?? newlyHeld(true);
    held.inTurn = true;
    this.#touch(session, held);
    const { pending } = held;
    if (pending === undefined) return;
    const isStored = pending.version === wanted.version;
    held.pending = undefined;
    pending.fetched.resolve();
    held.unsettled ||= isStored ? pending.unsettled : true;
    if (isStored) held.version = pending.version;
    this.#inPassing(session, isStored ? "promote" : "drop-save");
  }

  end(session: string): void {
    const held = this.#held.get(session);
    if (held !== undefined) held.inTurn = false;
  }

  /** A turn that does not ask for its workspace may change it all the same. */
  unwatched(session: string): void {
    const held = this.#held.get(session);
    if (held === undefined) return;
    held.unsettled = true;
    // What a restore had begun is not what that turn leaves.
    if (held.restoring !== undefined) this.#held.delete(session);
  }

  /**
   * What the turn's end has to tell. `calm`: the turn itself has neither changed nor started anything. `running`: something may still run
   * that changes files; not asked after a calm turn on a settled folder, as what an earlier turn had left running has unsettled it.
   */
  async save(session: string, user: User | undefined, wanted: WorkspaceWanted, { calm, running }: { calm: boolean; running: () => Promise<boolean> }): Promise<WorkspaceFrame> {
    const begun = performance.now();
    const held = this.#held.get(session) ?? newlyHeld(true);
    if (calm && !held.unsettled) return { unchanged: true };
    held.unsettled = true;
    const mayChange = await running();
    let outcome: SaveOutcome;
    try {
      outcome = await this.#saved(session, user, held, wanted);
    } catch (error) {
      log("workspace_refused", { session, refused: "scan_failed", code: codeOf(error), ms: since(begun) });
      return { refused: "scan_failed", files: 0, bytes: 0 };
    }
    if ("refused" in outcome) {
      log("workspace_refused", { session, refused: outcome.refused, files: outcome.files, bytes: outcome.bytes, ms: since(begun) });
      return outcome;
    }
    const unsettled = outcome.unsettled || mayChange;
    if ("unchanged" in outcome) {
      held.unsettled = unsettled;
      const { skipped } = outcome;
      log("workspace_unchanged", { session, version: held.version, skipped, ms: since(begun) });
      return { unchanged: true, ...(skipped > 0 ? { skipped } : {}) };
    }
    const { version, ...save } = outcome.save;
    held.pending = pendingOf(outcome.save, unsettled);
    held.unsettled = false;
    this.#trimFiles();
    const { files, bytes, index_bytes, skipped, changed_total } = save;
    const pack_bytes = save.packs.reduce((sum, pack) => sum + pack.bytes, 0);
    log("workspace_saved", { session, version, files, bytes, packs: save.packs.length, pack_bytes, index_bytes, skipped, changed: changed_total, ms: since(begun) });
    return { save: { base: held.version, version, inbox: held.inbox, ...save } };
  }

  /** From here on the folder is not what it was; it is held again when `restore` or the last pack has said so. */
  async restore(session: string, user: User | undefined, index: string): Promise<{ need: number[] }> {
    const held = newlyHeld(false);
    held.restoring = new Set([NOT_LAID_OUT]);
    this.#touch(session, held);
    return this.#changed(held, async () => {
      const { version, need } = await this.#jobs.run<"begin">({ kind: "begin", ...this.#where(session, user), index }, RESTORE_LIMIT_MS);
      held.version = version;
      held.restoring = need.length === 0 ? undefined : new Set(need);
      if (need.length === 0) log("workspace_restored", { session, version });
      return { need };
    });
  }

  /** Undefined: there is no restore that waits for packs. */
  async extract(session: string, user: User | undefined, no: number, pack: string): Promise<{ left: number } | undefined> {
    const held = this.#held.get(session);
    const restoring = held?.restoring;
    if (held === undefined || restoring === undefined) return undefined;
    if (restoring.has(no)) await this.#jobs.run<"extract">({ kind: "extract", ...this.#where(session, user), no, pack }, RESTORE_LIMIT_MS);
    if (this.#held.get(session) !== held) return undefined;
    const isLast = restoring.delete(no) && restoring.size === 0;
    if (isLast) {
      held.restoring = undefined;
      log("workspace_restored", { session, version: held.version });
    }
    return { left: restoring.size };
  }

  /** An upload, or without a file a deletion. One that has been applied is passed over. */
  async apply(session: string, user: User | undefined, { path, seq, file }: { path: string; seq: number; file?: string }): Promise<void> {
    const held = this.#held.get(session) ?? newlyHeld(true);
    this.#touch(session, held);
    if (seq <= held.inbox) return;
    await this.#changed(held, async () => {
      held.unsettled = true;
      const where = this.#where(session, user);
      if (file === undefined) await this.#jobs.run<"remove">({ kind: "remove", ...where, path }, SMALL_JOB_LIMIT_MS);
      else await this.#jobs.run<"upload">({ kind: "upload", ...where, path, file }, SMALL_JOB_LIMIT_MS);
      held.inbox = seq;
    });
  }

  /** A call or a turn is at it. */
  isBusy(session: string): boolean {
    const held = this.#held.get(session);
    return held !== undefined && (held.inTurn || held.changing);
  }

  /** A restore has begun and lacks packs. */
  isRestoring(session: string): boolean {
    return this.#held.get(session)?.restoring !== undefined;
  }

  /** A file of the last save: where it is, and whom to tell that it was fetched. */
  saved(session: string, version: number, name: string): { path: string; bytes: number; fetched(): void } | undefined {
    const pending = this.#held.get(session)?.pending;
    const bytes = pending?.version === version ? pending.files.get(name) : undefined;
    if (pending === undefined || bytes === undefined) return undefined;
    const fetched = (): void => {
      pending.unfetched.delete(name);
      if (pending.unfetched.size === 0) pending.fetched.resolve();
    };
    return { path: join(saveFolder(this.#places(session).store), name), bytes, fetched };
  }

  /** Every save has been fetched, or has waited for it long enough. */
  async fetched(): Promise<void> {
    const pending = [...this.#held.values()].flatMap((held) => held.pending ?? []);
    await Promise.all(pending.map(({ fetched, waitUntil }) => Promise.race([fetched.promise, sleep(Math.max(0, waitUntil - Date.now()), undefined, { ref: false })])));
  }

  /** A folder of the server's own for what comes in. */
  async incoming(session: string): Promise<string> {
    const folder = join(this.#places(session).store, "incoming");
    await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
    return folder;
  }

  /** Nothing is known of it any more, and nothing is kept. A turn that has it begins with an empty folder. */
  async drop(session: string): Promise<void> {
    const held = this.#held.get(session);
    if (held === undefined) return;
    held.pending?.fetched.resolve();
    this.#held.delete(session);
    if (held.inTurn) this.#touch(session, { ...newlyHeld(false), inTurn: true });
    await this.#jobs.run<"drop">({ kind: "drop", store: this.#places(session).store }, SMALL_JOB_LIMIT_MS).catch((error: unknown) => failed(session, "drop", error));
  }

  async #saved(session: string, user: User | undefined, held: Held, wanted: WorkspaceWanted): Promise<SaveOutcome> {
    const { exclude, max_files: maxFiles, max_bytes: maxBytes } = wanted;
    const where = this.#where(session, user);
    const deadline = Date.now() + SAVE_LIMIT_MS;
    const job = { kind: "save", ...where, base: held.version, exclude, maxFiles, maxBytes, deadline } as const;
    try {
      return await this.#jobs.run<"save">(job, SAVE_LIMIT_MS + SAVE_GRACE_MS);
    } catch (error) {
      // Also what a thread that was ended has left.
      this.#inPassing(session, "drop-save");
      throw error;
    }
  }

  async #changed<T>(held: Held, change: () => Promise<T>): Promise<T> {
    held.changing = true;
    try {
      return await change();
    } finally {
      held.changing = false;
    }
  }

  #where(session: string, user: User | undefined): Where {
    return { ...this.#places(session), user };
  }

  /** Later jobs find it done. */
  #inPassing(session: string, kind: "promote" | "drop-save" | "drop-files"): void {
    const job = { kind, store: this.#places(session).store };
    this.#jobs.run<typeof kind>(job, SMALL_JOB_LIMIT_MS).catch((error: unknown) => {
      failed(session, kind, error);
      // What the base is, is not known any more: it is restored.
      if (kind === "promote") this.#held.delete(session);
    });
  }

  #touch(session: string, held: Held): void {
    this.#held.delete(session);
    this.#held.set(session, held);
    for (const [oldest, { inTurn, changing }] of this.#held) {
      if (this.#held.size <= MAX_HELD) return;
      if (!inTurn && !changing && oldest !== session) void this.drop(oldest);
    }
  }

  #trimFiles(): void {
    const kept = [...this.#held].flatMap(([session, { pending }]) => (pending === undefined ? [] : [{ session, pending }]));
    const bytesOf = ({ pending }: { pending: Pending }): number => [...pending.files.values()].reduce((sum, bytes) => sum + bytes, 0);
    let bytes = kept.reduce((sum, each) => sum + bytesOf(each), 0);
    for (const each of kept) {
      if (bytes <= MAX_KEPT_BYTES) return;
      if (each.pending.unfetched.size > 0) continue;
      bytes -= bytesOf(each);
      each.pending.files.clear();
      this.#inPassing(each.session, "drop-files");
    }
  }
}

function newlyHeld(unsettled: boolean): Held {
  return { version: 0, inbox: 0, unsettled, pending: undefined, restoring: undefined, inTurn: false, changing: false };
}

function pendingOf({ version, packs, index_bytes }: Saved, unsettled: boolean): Pending {
  const files = new Map([["index", index_bytes], ...packs.map(({ no, bytes }): [string, number] => [String(no), bytes])]);
  return { version, unsettled, files, unfetched: new Set(files.keys()), fetched: Promise.withResolvers<void>(), waitUntil: Date.now() + FETCH_LIMIT_MS };
}

function failed(session: string, job: string, error: unknown): void {
  log("workspace_job_failed", { session, job, code: codeOf(error) });
}

export function codeOf(error: unknown): string {
  return error instanceof JobFailed ? error.code : "error";
}

function since(begun: number): number {
  return Math.round(performance.now() - begun);
}
