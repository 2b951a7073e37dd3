/**
 * The whole product for a measurement: the Worker on workerd itself, the container engine, the stand-in of the model; and the
 * log lines of all of them as events. Owns what it starts; measures nothing.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startEngine } from "../engine/engine.ts";
import type { Engine } from "../engine/engine.ts";
import type { Model } from "../model/server.ts";
import { AGENT_SERVER } from "../stack.ts";
import { Events } from "./events.ts";
import type { LogEvent } from "./events.ts";
import { startWorkerd } from "./workerd.ts";
import type { Workerd } from "./workerd.ts";

export class Product {
  readonly workerd: Workerd;
  readonly engine: Engine;
  readonly #events: Events;

  private constructor(workerd: Workerd, engine: Engine, events: Events) {
    this.workerd = workerd;
    this.engine = engine;
    this.#events = events;
  }

  static async start(model: Model, directory: string, { inspected = false } = {}): Promise<Product> {
    await mkdir(directory, { recursive: true });
    const events = new Events();
    const engine = await startEngine({ socket: join(directory, "docker.sock"), image: AGENT_SERVER, onLog: events.hear });
    const onExit = (): void => engine.killNow();
    process.once("exit", onExit);
    try {
      const workerd = await startWorkerd({
        directory,
        engineSocket: engine.socket,
        inspected,
        vars: { MODEL_API_URL: model.url, ANTHROPIC_API_KEY: "stand-in" },
        onLine: events.hear,
      });
      return new Product(workerd, engine, events);
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  /** The first event that fits, among those that came and those that come. */
  event(fits: (event: LogEvent) => boolean): Promise<LogEvent> {
    return this.#events.first(fits);
  }

  /** The first event that fits among those that come. */
  nextEvent(fits: (event: LogEvent) => boolean): Promise<LogEvent> {
    return this.#events.next(fits);
  }

  /** The engine's process of a container that log lines name. */
  containerPid(container: string): number {
    return containerPid(this.engine, container);
  }

  async stop(): Promise<void> {
    await this.workerd.stop();
    await this.engine.stop();
  }
}

export function containerPid(engine: Engine, container: string): number {
  const found = engine.containers().find(({ name, running }) => running && name.split("-").at(-1)?.startsWith(container));
  if (found === undefined) throw new Error(`no container ${container} runs`);
  return found.pid;
}

/** What the log says of a turn: the agent server's line and the object's. */
export async function logged(product: Product, turnId: string): Promise<{ server: LogEvent; object: LogEvent; container: string }> {
  const server = await product.event((line) => line.event === "turn_finished" && line["turn"] === turnId);
  const object = await product.event((line) => line.event === "turn_ended" && line["turn_id"] === turnId);
  return { server, object, container: server.container ?? "" };
}
