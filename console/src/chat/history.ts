/** The stored turns of a conversation, from the newest on backwards: reads them page by page, and keeps what was read and is not shown yet. */
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { fromHistory, withTurn } from "./turns.ts";
import type { Items, TurnView } from "./turns.ts";

/** Turns that are shown at once: more would hold up the page. */
const BATCH = 40;
/** As the service has it. */
const MAX_TURNS_LISTED = 100;
/** Requests for what is known of the turns of a batch, beside their messages. */
const MAX_LISTS = 5;

type Read = Awaited<ReturnType<AgentClient["readConversation"]>>;
type Turns = Awaited<ReturnType<AgentClient["listTurns"]>>;

export class History {
  readonly #client: AgentClient;
  readonly #sessionId: string;
  /** Read and not shown, the oldest first. */
  #hidden: TurnView[] = [];
  #previous: Read["previous"];
  /** Messages of a turn that began on the page before. */
  #held: Schemas["Message"][] = [];
  #items: Items = {};
  readonly #turns = new Map<string, Schemas["Turn"]>();
  #nextTurns: Turns["next"];

  constructor(client: AgentClient, sessionId: string) {
    this.#client = client;
    this.#sessionId = sessionId;
  }

  get hasMore(): boolean {
    return this.#hidden.length > 0 || this.#previous !== undefined;
  }

  /** The conversation's title and its newest turns: a batch, or as many as were shown before. */
  async newest(shown: number, signal: AbortSignal): Promise<{ title: string; turns: TurnView[] }> {
    const [read, list] = await Promise.all([
      this.#client.readConversation(this.#sessionId, { include: "items", signal }),
      this.#client.listTurns(this.#sessionId, { limit: MAX_TURNS_LISTED, signal }),
    ]);
    this.#add(read);
    this.#list(list);
    let turns = await this.earlier(signal);
    while (turns.length < shown && this.hasMore) turns = [...(await this.earlier(signal)), ...turns];
    return { title: read.title, turns };
  }

  /** The turns before those that were returned last. */
  async earlier(signal: AbortSignal): Promise<TurnView[]> {
    while (this.#hidden.length === 0 && this.#previous !== undefined) this.#add(await this.#client.readConversation(this.#sessionId, { ...this.#previous, signal }));
    const batch = this.#hidden.slice(-BATCH);
    const isUnknown = ({ turnId = "" }: TurnView): boolean => !this.#turns.has(turnId);
    for (let count = 0; this.#nextTurns !== undefined && count < MAX_LISTS && batch.some(isUnknown); count += 1) this.#list(await this.#client.listTurns(this.#sessionId, { ...this.#nextTurns, signal }));
    this.#hidden.splice(-batch.length, batch.length);
    return batch.map((view) => {
      const turn = this.#turns.get(view.turnId ?? "");
      return turn === undefined ? view : withTurn(view, turn);
    });
  }

  #add({ messages = [], items, previous }: Read): void {
    const all = [...messages, ...this.#held];
    this.#items = { ...(items as Items | undefined), ...this.#items };
    // A page may begin in the middle of a turn: its first one is shown together with the page before.
    const at = previous === undefined ? 0 : all.findIndex(({ turn_id }) => turn_id !== all[0]?.turn_id);
    this.#held = at === -1 ? all : all.slice(0, at);
    this.#hidden = at === -1 ? [] : fromHistory(all.slice(at), [], this.#items);
    this.#previous = previous;
    if (at !== -1) this.#items = {};
  }

  #list({ items, next }: Turns): void {
    for (const turn of items) this.#turns.set(turn.turn_id, turn);
    this.#nextTurns = next;
  }
}
