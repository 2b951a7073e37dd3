/** The log lines of the Worker, the engine and the agent servers as events that can be waited for. */

/** A log line of the Worker or of an agent server. */
export type LogEvent = { [field: string]: unknown; event: string; container: string | undefined };

/** Of the newest events, so many can still be waited for. */
const MAX_EVENTS = 2_000;
const EVENT_LIMIT_MS = 60_000;

export class Events {
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

  /** Calls it with all that come. */
  onEach(hear: (event: LogEvent) => void): void {
    this.#waiting.add(hear);
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
