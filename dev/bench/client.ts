/**
 * A user of the product over HTTP, with a clock: asks, and says how long the answer took. On a kept-alive connection and with as
 * little HTTP as the load generator: a client of a library takes a millisecond of the processors that the product needs too.
 */
import type { Socket } from "node:net";
import { isWhole, open } from "./load.ts";

/** `lastTextMs` is when a streamed answer's last text came; `files`, what became of the workspace, is absent where none is saved. */
export type Turned = { ms: number; firstTextMs: number; lastTextMs: number; sessionId: string; turnId: string; response: string; files: TurnFiles | undefined };
export type TurnFiles = { version: number; saved: boolean; changed: { path: string; change: string }[]; reason?: string };

type Done = { session_id: string; turn_id: string; response: string; files?: TurnFiles };

export class Client {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  readonly accountId: string;

  constructor(url: string, accountId: string) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
    this.accountId = accountId;
  }

  /** A turn answered as JSON. */
  async query(query: string, sessionId?: string): Promise<Turned> {
    return turned(await this.#ask({ query, session_id: sessionId }), /\r\n\r\n(.*)$/s);
  }

  /** A turn answered by events, each of which comes as a chunk of its own. */
  async stream(query: string, sessionId?: string): Promise<Turned> {
    return turned(await this.#ask({ query, session_id: sessionId, stream: true }), /event: done\ndata: (.*)\n/);
  }

  /** Its conversation goes, and with it the process that was kept for it. */
  async forget(sessionId: string): Promise<void> {
    const url = `http://${this.#host}:${this.#port}/conversations/${sessionId}?accountId=${this.accountId}`;
    const answer = await fetch(url, { method: "DELETE" });
    if (!answer.ok) throw new Error(`a conversation was not deleted: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }

  /** One at a time. */
  async #ask(fields: object): Promise<Answer> {
    const body = Buffer.from(JSON.stringify({ ...fields, accountId: this.accountId }));
    const head = `POST /query HTTP/1.1\r\nHost: ${this.#host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const request = Buffer.concat([Buffer.from(head), body]);
    if (this.#socket?.destroyed !== false) this.#socket = await open(this.#host, this.#port);
    const answer = await exchange(this.#socket, request);
    if (!answer.text.startsWith("HTTP/1.1 200 ")) throw new Error(`a query was answered: ${answer.text.slice(0, 500)}`);
    return answer;
  }
}

type Answer = { text: string; ms: number; firstTextMs: number; lastTextMs: number };

function exchange(socket: Socket, request: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    let text = "";
    let firstTextMs = NaN;
    let lastTextMs = NaN;
    const settle = (settled: () => void): void => {
      socket.off("data", hear).off("error", reject).off("close", closed);
      settled();
    };
    const closed = (): void => settle(() => reject(new Error("the connection was closed under a query")));
    const hear = (chunk: Buffer): void => {
      const more = chunk.toString("latin1");
      text += more;
      if (Number.isNaN(firstTextMs) && text.includes("event: delta\n")) firstTextMs = performance.now() - begun;
      if (more.includes("event: delta\n")) lastTextMs = performance.now() - begun;
      if (isWhole(text)) settle(() => resolve({ text, ms: performance.now() - begun, firstTextMs, lastTextMs }));
    };
    socket.on("data", hear).once("error", reject).once("close", closed);
    socket.write(request);
  });
}

function turned({ text, ms, firstTextMs, lastTextMs }: Answer, document: RegExp): Turned {
  const done = document.exec(text)?.[1];
  if (done === undefined) throw new Error(`a turn did not complete: ${text.slice(-500)}`);
  const { session_id: sessionId, turn_id: turnId, response, files } = JSON.parse(done) as Done;
  return { ms, firstTextMs, lastTextMs, sessionId, turnId, response, files };
}
