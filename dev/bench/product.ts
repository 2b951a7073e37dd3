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
import { startWorkerd } from "./workerd.ts";
import type { Workerd } from "./workerd.ts";

/** A log line of the Worker or of an agent server. */
export type LogEvent = { [field: string]: unknown; event: string; container: string | undefined };

/** Of the newest events, so many can still be waited for. */
const MAX_EVENTS = 2_000;
const EVENT_LIMIT_MS = 60_000;

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
    const found = this.engine.containers().find(({ name, running }) => running && name.split("-").at(-1)?.startsWith(container));
    if (found === undefined) throw new Error(`no container ${container} runs`);
    return found.pid;
  }

  async stop(): Promise<void> {
    await this.workerd.stop();
    await this.engine.stop();
  }
}

/** What the log says of a turn: the agent server's line and the object's. */
export async function logged(product: Product, turnId: string): Promise<{ server: LogEvent; object: LogEvent; container: string }> {
  const server = await product.event((line) => line.event === "turn_finished" && line["turn"] === turnId);
  const object = await product.event((line) => line.event === "turn_ended" && line["turn_id"] === turnId);
  return { server, object, container: server.container ?? "" };
}

class Events {
  readonly #heard: LogEvent[] = [];
  readonly #waiting = new Set<(event: LogEvent) => void>();

  readonly hear = (line: string): void => {
    const event = parse(line);
    if (event === undefined) return;
    this.#heard.push(event);
    if (this.#heard.length > MAX_EVENTS) this.#heard.shift();
    for (const hear of this.#waiting) hear(event);
  };

  first(fits: (event: LogEvent) => boolean): Promise<LogEvent> {
    const heard = this.#heard.find(fits);
    return heard === undefined ? this.next(fits) : Promise.resolve(heard);
  }

  next(fits: (event: LogEvent) => boolean): Promise<LogEvent> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(hear);
      };
      const hear = (event: LogEvent): void => {
        if (!fits(event)) return;
        done();
        resolve(event);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`what is waited for was not logged within ${EVENT_LIMIT_MS} ms: ${fits.toString()}`));
      }, EVENT_LIMIT_MS);
      this.#waiting.add(hear);
    });
  }
}

/** `{…}` of the Worker, `[container 1a2b3c4d] {…}` of an agent server, `[container 1a2b3c4d] exited …` of the engine. */
function parse(line: string): LogEvent | undefined {
  const [, container, text = ""] = /^(?:\[container (\w+)\] )?(.*)$/.exec(line) ?? [];
  if (container !== undefined && text.startsWith("exited")) return { event: "container_exited", container };
  if (!text.startsWith("{")) return undefined;
  try {
    return { ...(JSON.parse(text) as { event: string }), container };
  } catch {
    return undefined;
  }
}
