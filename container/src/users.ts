/*
 * Which user of the operating system a conversation's processes run as: one of its own each, out of a bounded range,
 * where the server is root; the server's own user everywhere else. Knows nothing of folders or processes.
 */

export type User = { uid: number; gid: number };

/** Conversations that one container can hold at a time. A number is its user's and its group's alike. */
export const MAX_USERS = 30_000;

export class NoUserLeft extends Error {
  constructor() {
    super(`this container holds ${MAX_USERS} conversations, and each has its user`);
  }
}

export class Users {
  readonly #base: number | undefined;
  readonly #uids = new Map<string, number>();
  readonly #taken = new Set<number>();
  /** Every number below it is taken. */
  #lowest: number;

  /** `base` is the first number of the range; without it, everyone is the server's own user. */
  constructor(base: number | undefined) {
    this.#base = base;
    this.#lowest = base ?? 0;
  }

  /** The conversation's user, its own from the first call until `free`; undefined where all share the server's. */
  of(session: string): User | undefined {
    if (this.#base === undefined) return undefined;
    const uid = this.#uids.get(session) ?? this.#next(this.#base);
    this.#take(session, uid);
    return { uid, gid: uid };
  }

  /** The user that a conversation has already. */
  known(session: string): User | undefined {
    const uid = this.#uids.get(session);
    return uid === undefined ? undefined : { uid, gid: uid };
  }

  /** A conversation whose folders are there already keeps the user that they belong to. */
  keep(session: string, uid: number): void {
    if (this.#base === undefined || uid < this.#base || uid >= this.#base + MAX_USERS || this.#taken.has(uid)) return;
    this.#take(session, uid);
  }

  /** Nothing belongs to the conversation's user any more: the next one may have the number. */
  free(session: string): void {
    const uid = this.#uids.get(session);
    if (uid === undefined) return;
    this.#uids.delete(session);
    this.#taken.delete(uid);
    this.#lowest = Math.min(this.#lowest, uid);
  }

  #take(session: string, uid: number): void {
    this.#uids.set(session, uid);
    this.#taken.add(uid);
  }

  #next(base: number): number {
    while (this.#taken.has(this.#lowest)) this.#lowest += 1;
    if (this.#lowest >= base + MAX_USERS) throw new NoUserLeft();
    return this.#lowest;
  }
}
