/** The account's conversations: the list at the side, and those that are open. */
import { AgentError } from "claude-agent-service-client";
import type { AgentClient, FeedEvent, Schemas } from "claude-agent-service-client";
import { Store } from "../store.ts";
import { Conversation } from "./conversation.ts";

export type Summary = Schemas["ConversationSummary"];

export type LibraryState = {
  phase: "loading" | "ready" | "failed";
  words: string;
  conversations: Summary[];
  hasMore: boolean;
  /** Conversations that the agent works on. */
  running: ReadonlySet<string>;
  /** Conversations in which it waits for an answer. */
  waiting: ReadonlySet<string>;
  error: unknown;
  /** There has been no connection to the service for a while. */
  isCut: boolean;
};

const PAGE = 40;
/** A search may find nothing on a page and yet go on. */
const MAX_PAGES_OF_SEARCH = 20;
const SEARCH_DELAY_MS = 250;
/** Several changes in a row lead to one request. */
const REFRESH_DELAY_MS = 300;
/** Between two tries to hear of what happens elsewhere; the last one goes on. */
const PAUSES_MS = [300, 1000, 2000, 4000, 8000, 15_000];
/** Conversations that are kept in memory and go on while others are on the screen. */
const MAX_OPEN = 12;

type Heard = Schemas["FeedConversation"];
type Next = Awaited<ReturnType<AgentClient["listConversations"]>>["next"];

export class Library extends Store<LibraryState> {
  readonly client: AgentClient;
  readonly #open = new Map<string, Conversation>();
  #next: Next;
  #abort = new AbortController();
  readonly #life = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the list was searched for when it was read last. */
  #found = "";
  #more: Promise<void> | undefined;
  /** Ends the pause before the next try. */
  #hurry: () => void = () => undefined;
  readonly #feed: AgentClient;

  /** `feed` is a client that does not try again by itself. */
  constructor(client: AgentClient, feed: AgentClient) {
    super({ phase: "loading", words: "", conversations: [], hasMore: false, running: new Set(), waiting: new Set(), error: undefined, isCut: false });
    this.client = client;
    this.#feed = feed;
  }

  /** The conversation with this id, which may be one that nobody has asked anything yet. */
  conversation(sessionId: string, isNew = false): Conversation {
    const known = this.#open.get(sessionId);
    const conversation = known ?? new Conversation(this.client, sessionId, isNew, () => this.refresh());
    // The one that was used last stands last.
    this.#open.delete(sessionId);
    this.#open.set(sessionId, conversation);
    for (const [id, each] of this.#open) {
      if (this.#open.size <= MAX_OPEN) break;
      if (each.isBusy) continue;
      each.close();
      this.#open.delete(id);
    }
    return conversation;
  }

  search(words: string): void {
    this.set({ words });
    this.#soon(SEARCH_DELAY_MS);
  }

  refresh(): void {
    this.#soon(REFRESH_DELAY_MS);
  }

  async load(): Promise<void> {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const q = this.state.words.trim();
    try {
      const found: Summary[] = [];
      let parameters: Next = { limit: PAGE, ...(q !== "" && { q }), signal };
      for (let pages = 0; parameters !== undefined && found.length < PAGE && pages < MAX_PAGES_OF_SEARCH; pages += 1) {
        const page: Awaited<ReturnType<AgentClient["listConversations"]>> = await this.client.listConversations({ ...parameters, signal });
        found.push(...page.items);
        parameters = page.next;
      }
      const tail = parameters === undefined || q !== this.#found ? [] : this.#behind(found);
      if (tail.length === 0) this.#next = parameters;
      this.#found = q;
      this.set({ phase: "ready", conversations: [...found, ...tail], hasMore: this.#next !== undefined, error: undefined });
    } catch (error) {
      // That there is no connection is told already.
      if (!signal.aborted && !(this.state.isCut && this.state.phase === "ready")) this.set({ phase: "failed", error });
    }
  }

  /** What was read of the list before, behind the page that was read anew. */
  #behind(page: Summary[]): Summary[] {
    const ids = new Set(page.map(({ session_id }) => session_id));
    const last = page.at(-1)?.last_accessed_at ?? 0;
    return this.state.conversations.filter(({ session_id, last_accessed_at }) => last_accessed_at <= last && !ids.has(session_id));
  }

  /** Hears of what happens elsewhere: in another tab, or by the API. */
  async follow(): Promise<void> {
    const { signal } = this.#life;
    const hurry = (): void => this.#hurry();
    addEventListener("online", hurry, { signal });
    for (let failures = 0; !signal.aborted; failures += 1) {
      const connection = new AbortController();
      // The browser knows earlier than a connection on which nothing comes.
      const cut = (): void => {
        connection.abort();
        for (const conversation of this.#open.values()) conversation.cut();
      };
      addEventListener("offline", cut, { signal: connection.signal });
      try {
        for await (const event of this.#feed.followAccount({ signal: AbortSignal.any([signal, connection.signal]) })) {
          failures = 0;
          if (this.state.isCut) this.#reconnected();
          this.#told(event);
        }
      } catch (error) {
        // What the service refuses it goes on refusing: the list is read again after one's own turns, and only what others do is missing.
        if (signal.aborted || (error instanceof AgentError && error.status < 500 && error.status !== 429)) return;
      } finally {
        connection.abort();
      }
      if (failures > 0 || !navigator.onLine) this.set({ isCut: true });
      await this.#pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)] ?? 0);
    }
  }

  /** Tries at once. */
  reconnect(): void {
    this.#hurry();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms * (0.5 + Math.random() / 2));
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #reconnected(): void {
    this.set({ isCut: false });
    this.refresh();
    for (const conversation of this.#open.values()) conversation.reconnected();
  }

  #told(event: FeedEvent): void {
    if (event.type === "conversation") this.#heard(event.data);
    else if (event.type === "turn") this.#turned(event.data);
    else if (event.type === "snapshot") this.#began(event.data);
    else if (event.type === "file") this.#open.get(event.data.session_id)?.filesChanged();
  }

  #began({ turns, actions }: Schemas["FeedSnapshot"]): void {
    const waiting = new Set(actions.map(({ session_id }) => session_id));
    this.set({ running: new Set(turns.flatMap(({ session_id, status }) => (status === "requires_action" ? [] : [session_id]))), waiting });
  }

  #heard({ session_id, change, title }: Heard): void {
    const { conversations, words } = this.state;
    if (change === "deleted") this.set({ conversations: conversations.filter((each) => each.session_id !== session_id) });
    else if (change === "updated" && title !== undefined) {
      this.set({ conversations: conversations.map((each) => (each.session_id === session_id ? { ...each, title } : each)) });
      this.#open.get(session_id)?.retitled(title);
    } else if (words.trim() === "") this.refresh();
  }

  #turned({ session_id, turn_id, status }: Schemas["FeedTurn"]): void {
    const running = new Set(this.state.running);
    if (status === "queued" || status === "running") running.add(session_id);
    else running.delete(session_id);
    const waiting = new Set(this.state.waiting);
    if (status === "requires_action") waiting.add(session_id);
    else waiting.delete(session_id);
    this.set({ running, waiting });
    this.#open.get(session_id)?.heard(turn_id);
    if (status !== "running") this.refresh();
  }

  more(): Promise<void> {
    this.#more ??= this.#readMore().finally(() => (this.#more = undefined));
    return this.#more;
  }

  async #readMore(): Promise<void> {
    const { signal } = this.#abort;
    if (this.#next === undefined) return;
    try {
      const { items, next } = await this.client.listConversations({ ...this.#next, signal });
      this.#next = next;
      const known = new Set(this.state.conversations.map(({ session_id }) => session_id));
      this.set({ conversations: [...this.state.conversations, ...items.filter(({ session_id }) => !known.has(session_id))], hasMore: next !== undefined, error: undefined });
    } catch (error) {
      if (!signal.aborted) this.set({ error });
    }
  }

  async rename(sessionId: string, title: string): Promise<void> {
    await this.conversation(sessionId).rename(title);
    await this.load();
  }

  async delete(sessionId: string): Promise<void> {
    await this.client.deleteConversation(sessionId);
    this.#open.get(sessionId)?.close();
    this.#open.delete(sessionId);
    await this.load();
  }

  /** Ends everything that goes on here, for another account or a sign-out. */
  close(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#life.abort();
    for (const conversation of this.#open.values()) conversation.close();
    this.#open.clear();
  }

  #soon(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.load(), ms);
  }
}
