/*
 * One conversation in this container: its folders, its live process, and where its transcript entries go.
 * At most one process at a time: the next starts when the last is gone. Knows nothing of other conversations.
 */
import { messageOf } from "./attachments.ts";
import type { Message, Place } from "./attachments.ts";
import { resultEntries } from "./actions/continuation.ts";
import type { Continuation } from "./actions/terms.ts";
import type { Config } from "./config.ts";
import type { Block } from "./content.ts";
import { makeFolders, pathsOf, removeFolders, removeTraces } from "./folders.ts";
import type { Entry } from "./frames.ts";
import type { Gate } from "./gate.ts";
import type { TurnOptions } from "./options.ts";
import { processKey, rulesKey } from "./options.ts";
import { AgentProcess } from "./process.ts";
import { References } from "./references.ts";
import type { Removed } from "./references.ts";
import { sessionStore } from "./sdk.ts";
import type { Transcripts } from "./transcript.ts";
import type { User, Users } from "./users.ts";
import type { Workspaces } from "./workspace/workspaces.ts";

/** Entries that come between turns wait for the next one; more than this are not kept for it. */
const MAX_WAITING_BATCHES = 64;

export type EntrySink = (subpath: string | null, entries: Entry[]) => void;
export type SessionContext = { config: Config; transcripts: Transcripts; workspaces: Workspaces; users: Users; coldStarts: Gate; reclaimUser(): Promise<void> };

export class Session {
  readonly id: string;
  readonly #context: SessionContext;
  #process: AgentProcess | undefined;
  #key = "";
  /** The rules that its process was started with, which it keeps. */
  #rules: string | undefined;
  #sink: EntrySink | undefined;
  #waiting: { subpath: string | null; entries: Entry[] }[] = [];
  #references = new References();
  #removed: Removed[] = [];
  /** A turn has it, or it is being removed. */
  busy = false;
  /** Busy with being removed: it gets no process. */
  leaving = false;

  constructor(id: string, context: SessionContext) {
    this.id = id;
    this.#context = context;
  }

  get live(): boolean {
    return this.#process?.alive ?? false;
  }

  /** The live process; what a turn runs on. */
  get process(): AgentProcess | undefined {
    return this.live ? this.#process : undefined;
  }

  /** A live process that is set up for these options. */
  fits(options: TurnOptions): boolean {
    return this.live && this.#key === processKey(options) && (this.#rules ?? rulesKey(options)) === rulesKey(options);
  }

  /**
   * Ends what runs and starts a process anew: resumed from the held transcript where that has anything to resume. Where the transcript ends with the
   * open calls of a `continuation`, they get their results, and the process goes on by itself.
   */
  async start(options: TurnOptions, signal?: AbortSignal, continuation?: Continuation): Promise<AgentProcess> {
    await this.close();
    const { config, transcripts, coldStarts } = this.#context;
    return coldStarts.run(async () => {
      const paths = pathsOf(config, this.id);
      const user = await this.open();
      await transcripts.open(this.id);
      const results = continuation === undefined ? undefined : resultEntries(await transcripts.load(this.id, null), continuation);
      signal?.throwIfAborted();
      if (results !== undefined) this.#keep(null, results);
      const process: AgentProcess = new AgentProcess({
        session: this.id,
        resume: transcripts.hasMessages(this.id),
        goesOn: results !== undefined,
        options,
        paths,
        user,
        env: config.childEnv,
        store: sessionStore({
          append: (subpath, entries) => this.#appended(process, subpath, entries),
          load: (subpath) => this.#loaded(subpath),
          subpaths: () => transcripts.subpaths(this.id),
        }),
      });
      this.#process = process;
      this.#key = processKey(options);
      this.#rules = results === undefined ? undefined : rulesKey(options);
      await process.ready;
      return process;
    }, signal);
  }

  /** Its folders are there; answers whose they are. Those of a live process are left as they are. */
  async open(): Promise<User | undefined> {
    const { config, users, reclaimUser } = this.#context;
    if (this.live) return users.known(this.id);
    if (users.lacks(this.id)) await reclaimUser();
    const user = users.of(this.id);
    await makeFolders(pathsOf(config, this.id), user);
    return user;
  }

  /** What a turn's blocks are to the model. Throws `AttachmentFailed` where one of them cannot be had. */
  async compose(blocks: readonly Block[]): Promise<Message> {
    const { message, sent } = await messageOf(blocks, this.#place);
    const images = blocks.filter(({ type }) => type !== "text").flatMap(({ type }, at) => (type === "image" ? [sent[at]?.reference] : []));
    this.#references.begin(sent, images);
    return message;
  }

  /** The same of a message that comes into a running turn: its own has come by then. */
  async composeOffered(blocks: readonly Block[]): Promise<Message> {
    const { message, sent } = await messageOf(blocks, this.#place);
    this.#references.begin(sent, []);
    return message;
  }

  /** The attachments that the process was started without, each told once. */
  takeRemoved(): Removed[] {
    return this.#removed.splice(0);
  }

  /** Entries go to the turn from here on, those that waited first. */
  attach(sink: EntrySink): void {
    this.#sink = sink;
    for (const { subpath, entries } of this.#waiting.splice(0)) sink(subpath, entries);
  }

  detach(): void {
    this.#sink = undefined;
  }

  async close(): Promise<void> {
    await this.#process?.close();
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** The process and the transcript are gone; its files stay. */
  async forget(): Promise<void> {
    await this.kill();
    this.#waiting = [];
    await this.#context.transcripts.drop(this.id);
  }

  /** The process, its folders, its workspace and its transcript are gone; as if the conversation had never been, but for the workspace where that is kept. */
  async clear({ keepsWorkspace = false } = {}): Promise<void> {
    const { config, transcripts, workspaces, users } = this.#context;
    await this.kill();
    this.#process = undefined;
    this.#waiting = [];
    this.#references = new References();
    this.#removed = [];
    await transcripts.drop(this.id);
    const { state, workspace, ...inState } = pathsOf(config, this.id);
    const user = users.known(this.id);
    await removeTraces(user);
    if (keepsWorkspace) return removeFolders(Object.values(inState), user);
    await workspaces.drop(this.id);
    await removeFolders([workspace, ...Object.values(inState)], user);
    await removeFolders([state], undefined);
    users.free(this.id);
  }

  get #place(): Place {
    const { config, users } = this.#context;
    return { root: pathsOf(config, this.id).workspace, user: users.known(this.id) };
  }

  async #loaded(subpath: string | null): Promise<Entry[]> {
    const { entries, removed } = await this.#references.hydrated(await this.#context.transcripts.load(this.id, subpath), this.#place);
    this.#removed.push(...removed);
    return entries;
  }

  #appended(process: AgentProcess, subpath: string | null, whole: Entry[]): void {
    // What a process that was cleared away still had to say is not kept.
    if (process !== this.#process) return;
    this.#keep(
      subpath,
      whole.map((entry) => this.#references.dehydrated(entry)),
    );
  }

  #keep(subpath: string | null, entries: Entry[]): void {
    this.#context.transcripts.append(
      this.id,
      entries.map((entry) => ({ subpath, entry })),
    );
    if (this.#sink !== undefined) this.#sink(subpath, entries);
    else if (this.#waiting.length < MAX_WAITING_BATCHES) this.#waiting.push({ subpath, entries });
  }
}
