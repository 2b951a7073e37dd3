/*
 * Which user of the operating system a conversation's processes run as: one of its own each, out of a bounded range,
 * where the server is root; the server's own user everywhere else. Knows nothing of folders or processes.
 */

export type User = { uid: number; gid: number };

export class NoUserLeft extends Error {
  constructor() {
    super("every user of this container belongs to a conversation that has a process");
  }
}

export class Users {
  readonly #base: number | undefined;
  readonly #end: number;
  /** In order of use, the least recent first. */
  readonly #uids = new Map<string, number>();
  readonly #taken = new Set<number>();
  /** Every number below it is taken. */
  #lowest: number;

  /** `base` is the first number of the range; without it, everyone is the server's own user. A number is its user's and its group's alike. */
  constructor(base: number | undefined, count: number) {
    this.#base = base;
    this.#end = (base ?? 0) + count;
    this.#lowest = base ?? 0;
  }

  /** The conversation could have a user only if another gave its own up. */
  lacks(session: string): boolean {
    return this.#base !== undefined && !this.#uids.has(session) && this.#uids.size >= this.#end - this.#base;
  }

  /** Of those conversations that may lose their user, the one that has not had a process for longest. */
  leastRecent(mayLose: (session: string) => boolean): string | undefined {
    for (const session of this.#uids.keys()) if (mayLose(session)) return session;
    return undefined;
  }

  /** The conversation's user, its own from the first call until `free`; undefined where all share the server's. */
  of(session: string): User | undefined {
    if (this.#base === undefined) return undefined;
    const uid = this.#uids.get(session) ?? this.#next();
    this.#uids.delete(session);
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
    if (this.#base === undefined || uid < this.#base || uid >= this.#end || this.#taken.has(uid)) return;
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

  #next(): number {
    while (this.#taken.has(this.#lowest)) this.#lowest += 1;
    if (this.#lowest >= this.#end) throw new NoUserLeft();
    return this.#lowest;
  }
}
