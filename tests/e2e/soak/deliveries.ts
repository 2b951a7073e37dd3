/*
 * The soak's receiver of webhooks, which fails now and then. Every end of a turn must reach it, each with one id, and none that there was not.
 */
import assert from "node:assert/strict";
import { Receiver, status, verified, webhook } from "../receiver.ts";
import type { Client } from "../client.ts";
import type { Random } from "./random.ts";

/** Some retries, and the alarm of an object that was reset. */
const DELIVERY_MS = 120_000;
const FAILS = 0.1;
const ENDS = ["turn.completed", "turn.failed", "turn.cancelled"];

export class Deliveries {
  readonly #receiver: Receiver;
  readonly #secrets = new Map<string, string>();
  /** The turns whose ends were answered with 204. */
  readonly #taken = new Set<string>();

  private constructor(receiver: Receiver, random: Random) {
    this.#receiver = receiver;
    receiver.otherwise = ({ event }) => {
      if (random.next() < FAILS) return status(503);
      this.#taken.add(event.data.turn_id ?? "");
      return status(204);
    };
  }

  static async start(random: Random): Promise<Deliveries> {
    return new Deliveries(await Receiver.start(), random);
  }

  async watch(client: Client): Promise<void> {
    this.#secrets.set(client.accountId, await webhook(client, this.#receiver.url, { types: ENDS }));
  }

  /** Waits until all ends of an account's turns have come, and returns how many requests it took. */
  async check(client: Client, turnIds: readonly string[]): Promise<number> {
    const secret = this.#secrets.get(client.accountId) ?? assert.fail(`nobody watches ${client.accountId}`);
    const missing = (): string[] => turnIds.filter((id) => !this.#taken.has(id));
    await this.#receiver.when(() => missing().length === 0, DELIVERY_MS, () => `${client.accountId}: the ends of ${missing().join()} have not come`);
    const ids = new Map<string, string>();
    const arrivals = this.#receiver.arrivals.filter(({ event }) => event.data.account_id === client.accountId);
    for (const arrival of arrivals) {
      const { id, data } = verified(arrival, secret);
      const turnId = turnIds.find((each) => each === data.turn_id) ?? assert.fail(`the end of ${data.turn_id} was sent, and there is no such turn`);
      assert.equal(id, ids.get(turnId) ?? id, `two events of the end of ${turnId}`);
      ids.set(turnId, id);
    }
    return arrivals.length;
  }

  close(): Promise<void> {
    return this.#receiver.close();
  }
}
