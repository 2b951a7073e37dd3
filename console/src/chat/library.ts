/** The account's conversations: the list at the side, and those that are open. */
import type { AgentClient, Schemas } from "claude-agent-service-client";
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
};

const PAGE = 40;
/** A search may find nothing on a page and yet go on. */
const MAX_PAGES_OF_SEARCH = 20;
const SEARCH_DELAY_MS = 250;
/** Several changes in a row lead to one request. */
const REFRESH_DELAY_MS = 300;
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

  constructor(client: AgentClient) {
    super({ phase: "loading", words: "", conversations: [], hasMore: false, running: new Set(), waiting: new Set(), error: undefined });
    this.client = client;
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
      this.#next = parameters;
      this.set({ phase: "ready", conversations: found, hasMore: parameters !== undefined, error: undefined });
    } catch (error) {
      if (!signal.aborted) this.set({ phase: "failed", error });
    }
  }

  /** Hears of what happens elsewhere: in another tab, or by the API. */
  async follow(): Promise<void> {
    const { signal } = this.#life;
    try {
      for await (const event of this.client.followAccount({ signal })) {
        if (event.type === "conversation") this.#heard(event.data);
        else if (event.type === "turn") this.#turned(event.data);
        else if (event.type === "snapshot") this.#began(event.data);
        else if (event.type === "file") this.#open.get(event.data.session_id)?.filesChanged();
      }
    } catch {
      // The list is read again after one's own turns: without the feed, only what others do is missing.
    }
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

  async more(): Promise<void> {
    const { signal } = this.#abort;
    if (this.#next === undefined) return;
    try {
      const { items, next } = await this.client.listConversations({ ...this.#next, signal });
      this.#next = next;
      const known = new Set(this.state.conversations.map(({ session_id }) => session_id));
      this.set({ conversations: [...this.state.conversations, ...items.filter(({ session_id }) => !known.has(session_id))], hasMore: next !== undefined });
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
