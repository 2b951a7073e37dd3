/** A user of the product over HTTP, with a clock: asks, and says how long the answer took. */

export type Turned = { ms: number; firstTextMs: number; sessionId: string; turnId: string };

type Done = { session_id: string; turn_id: string };

export class Client {
  readonly #url: string;
  readonly accountId: string;

  constructor(url: string, accountId: string) {
    this.#url = url;
    this.accountId = accountId;
  }

  /** A turn answered as JSON. */
  async query(query: string, sessionId?: string): Promise<Turned> {
    const begun = performance.now();
    const response = await this.#post({ query, session_id: sessionId });
    const done = (await response.json()) as Done;
    const ms = performance.now() - begun;
    return { ms, firstTextMs: NaN, sessionId: done.session_id, turnId: done.turn_id };
  }

  /** A turn answered by events. */
  async stream(query: string, sessionId?: string): Promise<Turned> {
    const begun = performance.now();
    const response = await this.#post({ query, session_id: sessionId, stream: true });
    const decoder = new TextDecoder();
    let text = "";
    let firstTextMs = NaN;
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (Number.isNaN(firstTextMs) && text.includes("event: delta\n")) firstTextMs = performance.now() - begun;
    }
    const ms = performance.now() - begun;
    const done = /event: done\ndata: (.*)\n/.exec(text)?.[1];
    if (done === undefined) throw new Error(`a streamed turn did not complete: ${text.slice(-500)}`);
    const { session_id: sessionIdOfTurn, turn_id: turnId } = JSON.parse(done) as Done;
    return { ms, firstTextMs, sessionId: sessionIdOfTurn, turnId };
  }

  async #post(fields: object): Promise<Response> {
    const body = JSON.stringify({ ...fields, accountId: this.accountId });
    const response = await fetch(`${this.#url}/query`, { method: "POST", headers: { "content-type": "application/json" }, body });
    if (!response.ok) throw new Error(`a query was answered ${response.status}: ${(await response.text()).slice(0, 500)}`);
    return response;
  }
}
