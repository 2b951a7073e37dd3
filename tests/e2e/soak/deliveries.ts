/*
 * The soak's receiver of webhooks, which fails now and then. Every end of a turn must reach it, each with one id, and none that there was not.
 */
import assert from "node:assert/strict";
import { Receiver, status, verified, webhook } from "../receiver.ts";
import type { Arrival, Event } from "../receiver.ts";
import type { Client } from "../client.ts";
import type { Random } from "./random.ts";

/** The retries of an event that fails as often as it may, and the alarm of an object that was reset. */
const DELIVERY_MS = 120_000;
const FAILS = 0.1;
/** How often an event may fail: the third retry comes after two minutes. */
const MOST_FAILS = 2;
const ENDS = ["turn.completed", "turn.failed", "turn.cancelled"];

export class Deliveries {
  readonly #receiver: Receiver;
  readonly #secrets = new Map<string, string>();
  /** What came, and whether its signature was right when it did. */
  readonly #events: { event: Event; fault: unknown }[] = [];
  /** The turns whose ends were answered with 204. */
  readonly #taken = new Set<string>();
  /** How often the receiver failed an event, by its id. */
  readonly #failed = new Map<string, number>();

  private constructor(receiver: Receiver, random: Random) {
    this.#receiver = receiver;
    receiver.otherwise = (arrival) => {
      const { event } = arrival;
      this.#events.push({ event, fault: this.#fault(arrival) });
      const failed = this.#failed.get(event.id) ?? 0;
      if (failed < MOST_FAILS && random.next() < FAILS) {
        this.#failed.set(event.id, failed + 1);
        return status(503);
      }
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
    const missing = (): string[] => turnIds.filter((id) => !this.#taken.has(id));
    await this.#receiver.when(() => missing().length === 0, DELIVERY_MS, () => `${client.accountId}: the ends of ${missing().join()} have not come`);
    const ids = new Map<string, string>();
    const own = this.#events.filter(({ event }) => event.data.account_id === client.accountId);
    for (const { event: { id, data }, fault } of own) {
      assert.equal(fault, undefined);
      const turnId = turnIds.find((each) => each === data.turn_id) ?? assert.fail(`the end of ${data.turn_id} was sent, and there is no such turn`);
      assert.equal(id, ids.get(turnId) ?? id, `two events of the end of ${turnId}`);
      ids.set(turnId, id);
    }
    return own.length;
  }

  /** A signature is checked when it comes, for it holds some minutes only. */
  #fault(arrival: Arrival): unknown {
    try {
      verified(arrival, this.#secrets.get(arrival.event.data.account_id) ?? "");
      return undefined;
    } catch (error) {
      return error;
    }
  }

  close(): Promise<void> {
    return this.#receiver.close();
  }
}
