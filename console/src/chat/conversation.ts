/** One conversation: loads it, asks, follows the answer, and stops it. Goes on while another one is on the screen. */
import { AgentError, ConnectionError } from "claude-agent-service-client";
import type { AgentClient, Schemas, TurnStream } from "claude-agent-service-client";
import { Store } from "../store.ts";
import type { Decision } from "../actions/action.ts";
import { attachmentOf, blocksAgain, blocksOf } from "./attachments.ts";
import type { Block } from "./attachments.ts";
import { History } from "./history.ts";
import { ended, fold, isOpen, isWaiting, newTurn, resolved, withAction } from "./turns.ts";
import { newId } from "../ids.ts";
import type { Attachment, Status, TurnView } from "./turns.ts";
import { storedWay, WAYS } from "./way.ts";

export type ConversationState = {
  /** A conversation that has no turn yet is `new`. */
  phase: "loading" | "ready" | "new" | "failed";
  title: string;
  turns: TurnView[];
  /** Whether there are turns before these. */
  hasEarlier: boolean;
  earlierError: unknown;
  error: unknown;
  /** How full the model's context is; undefined where that is not known. */
  context: { tokens: number; limit: number } | undefined;
  /** Rises whenever files may have changed. */
  filesVersion: number;
};

/** What the chat shows beside the default events. */
const INCLUDE: Schemas["IncludeWord"][] = ["thinking", "tool_result"];
/** As the service has it. */
const MAX_TITLE = 200;
/** Until the service has one. */
const MAX_TITLE_CHARS = 80;
const MAX_ACTIONS_LISTED = 200;

export class Conversation extends Store<ConversationState> {
  readonly sessionId: string;
  readonly #client: AgentClient;
  readonly #onChange: () => void;
  #history: History;
  #earlier: Promise<void> | undefined;
  #abort = new AbortController();
  /** The streams of the turns whose events are being read, by key, and what ends them. */
  readonly #followed = new Map<string, { stream: TurnStream; connection: AbortController }>();
  /** Where to go on with those that are open and were read to a pause, by key. */
  readonly #lastIds = new Map<string, string>();

  constructor(client: AgentClient, sessionId: string, isNew: boolean, onChange: () => void) {
    super({ phase: isNew ? "new" : "loading", title: "", turns: [], hasEarlier: false, earlierError: undefined, error: undefined, context: undefined, filesVersion: 0 });
    this.#client = client;
    this.sessionId = sessionId;
    this.#onChange = onChange;
    this.#history = new History(client, sessionId);
    if (!isNew) void this.load();
  }

  get isBusy(): boolean {
    return this.state.turns.some(isOpen);
  }

  async load(): Promise<void> {
    const { signal } = this.#abort;
    try {
      const history = new History(this.#client, this.sessionId);
      const { title, turns } = await history.newest(this.state.turns.length, signal);
      this.#history = history;
      this.set({ phase: "ready", title, turns, hasEarlier: history.hasMore, earlierError: undefined, error: undefined });
      void this.#readContext();
      for (const { key, turnId } of turns.filter(isOpen)) {
        // The id names the turn: without one, the stream would be that of the turn that runs now.
        this.#change(key, (turn) => ({ ...turn, parts: [] }));
        this.#lastIds.set(key, `${turnId}:0`);
      }
      this.#goOn();
      if (turns.some((turn) => isWaiting(turn) || turn.parts.some(({ kind }) => kind === "action"))) void this.#readActions();
    } catch (error) {
      if (signal.aborted) return;
      // Files may have been uploaded to it before anybody asked anything.
      const isNew = error instanceof AgentError && error.code === "not_found";
      this.set(isNew && this.state.turns.length === 0 ? { phase: "new" } : { phase: "failed", error });
    }
  }

  /** Shows the turns before those that are shown. */
  earlier(): Promise<void> {
    this.#earlier ??= this.#showEarlier().finally(() => (this.#earlier = undefined));
    return this.#earlier;
  }

  async #showEarlier(): Promise<void> {
    const { signal } = this.#abort;
    const history = this.#history;
    this.set({ earlierError: undefined });
    try {
      const older = await history.earlier(signal);
      // It has been loaded again meanwhile.
      if (history !== this.#history) return;
      this.set({ turns: [...older, ...this.state.turns], hasEarlier: history.hasMore });
      if (older.some(({ parts }) => parts.some(({ kind }) => kind === "action"))) void this.#readActions();
    } catch (error) {
      if (!signal.aborted) this.set({ earlierError: error });
    }
  }

  ask(question: string, files: File[] = []): void {
    const { signal } = this.#abort;
    const content = files.length === 0 ? undefined : () => blocksOf(question, files, this.#client, this.sessionId, signal);
    this.#ask(question, files.map(attachmentOf), content);
  }

  /** Asks the question of a turn that failed again, in its place. */
  retry(key: string): void {
    const turn = this.state.turns.find((each) => each.key === key);
    if (turn === undefined) return;
    if (turn.turnId === undefined) this.set({ turns: this.state.turns.filter((each) => each !== turn) });
    const { question, attachments, content = blocksAgain(question, attachments) } = turn;
    this.#ask(question, attachments, attachments.length === 0 ? undefined : () => Promise.resolve(content ?? []));
  }

  #ask(question: string, attachments: Attachment[], content: (() => Promise<Block[]>) | undefined): void {
    const turn = newTurn(newId("ask"), question, attachments);
    this.set({ phase: "ready", turns: [...this.state.turns, turn], title: this.state.title || question.slice(0, MAX_TITLE_CHARS) });
    void this.#send(turn, content);
  }

  async #send({ key, question }: TurnView, content: (() => Promise<Block[]>) | undefined): Promise<void> {
    const { signal } = this.#abort;
    const common = { session_id: this.sessionId, include: INCLUDE, ...WAYS[storedWay()].fields };
    try {
      const blocks = await content?.();
      if (blocks !== undefined) this.#change(key, (turn) => ({ ...turn, content: blocks }));
      await this.#follow(key, (signal) => this.#client.query(blocks === undefined ? { query: question, ...common } : { content: blocks, ...common }, { signal }));
    } catch (error) {
      if (!signal.aborted) this.#change(key, (turn) => ended(turn, "failed", error));
    }
  }

  /** Asks another question in the place of this one: what came of it and after it is gone. */
  async edit(key: string, question: string): Promise<void> {
    const turn = this.state.turns.find((each) => each.key === key);
    if (turn?.turnId === undefined) return;
    // The rewind takes what the turn had attached with it.
    const files = await Promise.all(turn.attachments.flatMap(({ path, title, media_type }) => (path === undefined ? [] : [this.#file(path, title, media_type)])));
    await this.rewind({ before: turn.turnId });
    this.ask(question, files);
  }

  /** Goes back to the end of a turn, or to before it. */
  async rewind(target: { to: string } | { before: string }): Promise<void> {
    await this.#client.rewindConversation(this.sessionId, target);
    const id = "to" in target ? target.to : target.before;
    const at = this.state.turns.findIndex(({ turnId }) => turnId === id);
    this.set({ turns: this.state.turns.slice(0, "to" in target ? at + 1 : at) });
    this.#settled();
  }

  /** A new conversation that goes on from the end of a turn; its id. */
  async fork(at: string): Promise<string> {
    const { session_id } = await this.#client.forkConversation(this.sessionId, { at, title: `${this.state.title} (branch)`.slice(-MAX_TITLE) });
    this.#onChange();
    return session_id;
  }

  compact(): void {
    const turn = newTurn(newId("ask"), "/compact");
    this.set({ turns: [...this.state.turns, turn] });
    void this.#follow(turn.key, (signal) => this.#client.compactConversation(this.sessionId, { signal }));
  }

  async #file(path: string, title = path.slice(path.lastIndexOf("/") + 1), type = ""): Promise<File> {
    const response = await this.#client.readFile(this.sessionId, path);
    return new File([await response.blob()], title, { type });
  }

  async stop(): Promise<void> {
    await this.#client.cancelConversation(this.sessionId);
    this.#goOn();
  }

  /** Decides what a turn waits for. If somebody else was first, or it was too late, what became of it is shown. */
  async decide(actionId: string, decision: Decision): Promise<void> {
    try {
      await this.#client.decideAction(actionId, decision);
    } catch (error) {
      if (!(error instanceof AgentError) || error.code !== "action_resolved") throw error;
      await this.readAction(actionId);
      this.#goOn();
      return;
    }
    this.#changeAll((turn) => resolved(turn, actionId, (action) => ({ ...action, status: "resolved", decision })));
    this.#goOn();
  }

  /** Reads an action again, which may have expired. */
  async readAction(actionId: string): Promise<void> {
    const action = await this.#client.readAction(actionId, { signal: this.#abort.signal });
    this.#changeAll((turn) => resolved(turn, actionId, () => action));
    if (action.status !== "pending") this.#goOn();
  }

  /** All that its turns wait or have waited for: who reads events late hears less of it. */
  async #readActions(): Promise<void> {
    const { signal } = this.#abort;
    // What was decided is told in more words with it; without it, the events have to do.
    const { items } = await this.#client.listActions({ session_id: this.sessionId, limit: MAX_ACTIONS_LISTED, signal }).catch(() => ({ items: [] }));
    for (const action of items) this.#changeAll((turn) => (turn.turnId === action.turn_id ? withAction(turn, action) : turn));
  }

  async rename(title: string): Promise<void> {
    const { title: stored } = await this.#client.updateConversation(this.sessionId, { title });
    this.set({ title: stored });
    this.#onChange();
  }

  /** Somebody else has renamed it. */
  retitled(title: string): void {
    this.set({ title });
  }

  /** A turn of it has begun, goes on or has ended. One that was not asked for here is read and followed, unless something goes on here. */
  heard(turnId: string): void {
    const isKnown = this.state.turns.some((turn) => turn.turnId === turnId);
    if (isKnown) this.#goOn();
    else if (this.state.phase === "ready" && !this.isBusy) void this.load();
  }

  /** There is no connection: on those that are open, nothing comes any more. */
  cut(): void {
    for (const { stream, connection } of this.#followed.values()) if (stream.lastEventId !== undefined) connection.abort();
  }

  /** There is a connection again: what happened meanwhile was not heard. */
  reconnected(): void {
    this.#goOn();
    if (this.state.phase === "failed" || (this.state.phase === "ready" && !this.isBusy)) void this.load();
    this.filesChanged();
  }

  filesChanged(): void {
    this.set({ filesVersion: this.state.filesVersion + 1 });
  }

  /** Ends what goes on here; turns go on in the service. */
  close(): void {
    this.#abort.abort();
  }

  #change(key: string, change: (turn: TurnView) => TurnView): void {
    this.#changeAll((turn) => (turn.key === key ? change(turn) : turn));
  }

  #changeAll(change: (turn: TurnView) => TurnView): void {
    this.set({ turns: this.state.turns.map(change) });
  }

  /** Reads on where the events of an open turn ended with a pause. */
  #goOn(): void {
    for (const { key } of this.state.turns.filter(isOpen)) {
      const lastEventId = this.#lastIds.get(key);
      if (lastEventId === undefined || this.#followed.has(key)) continue;
      void this.#follow(key, (signal) => this.#client.followConversation(this.sessionId, { lastEventId, include: INCLUDE, signal }));
    }
  }

  async #follow(key: string, start: (signal: AbortSignal) => TurnStream): Promise<void> {
    const { signal } = this.#abort;
    const connection = new AbortController();
    const stream = start(AbortSignal.any([signal, connection.signal]));
    this.#followed.set(key, { stream, connection });
    this.#change(key, (turn) => (turn.isUnheard === true ? { ...turn, isUnheard: false } : turn));
    try {
      for await (const event of stream) {
        this.#change(key, (turn) => fold(turn, event));
        if (event.type === "turn") this.#onChange();
      }
    } catch (error) {
      if (signal.aborted) return;
      // A turn that the service has goes on without a connection to here.
      const isCut = (connection.signal.aborted || error instanceof ConnectionError) && stream.lastEventId !== undefined;
      this.#change(key, (turn) => (isCut ? { ...turn, isUnheard: true } : ended(turn, statusOf(error), error)));
    } finally {
      this.#followed.delete(key);
      if (stream.lastEventId !== undefined) this.#lastIds.set(key, stream.lastEventId);
    }
    this.#settled();
  }

  /** Something has ended: files, the list and the context may be others. */
  #settled(): void {
    this.filesChanged();
    this.#onChange();
    void this.#readContext();
  }

  async #readContext(): Promise<void> {
    const { signal } = this.#abort;
    // A figure that is nice to have: without it, none is shown.
    const { tokens, limit } = await this.#client.readContext(this.sessionId, { signal }).catch(() => ({ tokens: null, limit: null }));
    this.set({ context: tokens === null || limit === null ? undefined : { tokens, limit } });
  }
}

/** A turn that was stored is told by its status; one that was refused has failed as well. */
function statusOf(error: unknown): Status {
  if (!(error instanceof AgentError)) return "failed";
  const statuses: Partial<Record<string, Schemas["TurnStatus"]>> = { turn_cancelled: "cancelled", turn_interrupted: "interrupted" };
  return statuses[error.code] ?? "failed";
}
