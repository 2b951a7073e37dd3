/*
 * What the soaks disturb a stack with: the Worker restarts, and containers or the CLIs in them die.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerInfo } from "../../../dev/engine/engine.ts";
import type { Stack } from "../../../dev/stack.ts";
import { descendantsOf, isAlive, programOf } from "../processes.ts";
import type { Disturbance } from "./ledger.ts";
import type { Random } from "./random.ts";

const CLI = "claude";

export type ChaosOptions = {
  /** Between two disturbances: a restart of the Worker or a death. */
  disturbEveryMs: number;
  /** Half of those that die are CLIs, whose containers live on. */
  killsClis?: boolean;
  say(line: string): void;
};

/** Disturbs a stack until it is told to end. */
export class Chaos {
  restarts = 0;
  kills = 0;
  cliKills = 0;
  readonly disturbances: Disturbance[] = [];
  readonly #stack: Stack;
  readonly #random: Random;
  readonly #options: ChaosOptions;
  readonly #ended = new AbortController();

  constructor(stack: Stack, random: Random, options: ChaosOptions) {
    this.#stack = stack;
    this.#random = random;
    this.#options = options;
  }

  async run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const pause = this.#options.disturbEveryMs * (0.5 + this.#random.next());
      // The pause is the soak's own rhythm; its end is the only event that matters.
      await sleep(pause, undefined, { signal: this.#ended.signal }).catch(() => undefined);
      if (this.#ended.signal.aborted) return;
      if (this.#random.next() < 0.4) {
        this.#options.say("restarting the Worker");
        const from = Date.now();
        await this.#stack.restartWorker();
        this.disturbances.push({ kind: "restart", from, to: Date.now() });
        this.restarts += 1;
      } else if (this.#options.killsClis === true && this.#random.next() < 0.5) {
        this.#killCli();
      } else {
        this.#killContainer();
      }
    }
  }

  end(): void {
    this.#ended.abort();
  }

  get #containers(): ContainerInfo[] {
    return (this.#stack.engine?.containers() ?? []).filter(({ running, pid }) => running && isAlive(pid));
  }

  #killCli(): void {
    const clis = this.#containers.flatMap(({ pid }) => descendantsOf(pid)).filter((pid) => programOf(pid) === CLI);
    if (clis.length === 0) return;
    const victim = this.#random.pick(clis);
    this.#options.say(`killing the CLI of process ${victim}`);
    process.kill(victim, "SIGKILL");
    this.disturbances.push({ kind: "kill", from: Date.now(), to: Date.now() });
    this.cliKills += 1;
  }

  #killContainer(): void {
    const running = this.#containers;
    if (running.length === 0) return;
    const victim = this.#random.pick(running);
    this.#options.say(`killing the container of process ${victim.pid}`);
    process.kill(victim.pid, "SIGKILL");
    this.disturbances.push({ kind: "kill", from: Date.now(), to: Date.now() });
    this.kills += 1;
  }
}
