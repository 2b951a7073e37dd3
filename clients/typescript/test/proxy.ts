/** A TCP proxy in front of the service that breaks connections where a test says so. */
import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** What becomes of what the service sends: passed on, passed on and then cut, or cut before it is passed on. */
export type Verdict = "pass" | "cut-after" | "cut-before";

export class BreakingProxy {
  /** Judges each piece of a response. */
  judge: (piece: string) => Verdict = () => "pass";
  /** Changes what is asked for. */
  rewrite: (piece: string) => string = (piece) => piece;
  /** What the next connections are told instead of reaching the service, one each. */
  readonly canned: string[] = [];
  /** What was asked for, a request line each. */
  readonly requests: string[] = [];
  readonly #server = createServer((client) => this.#serve(client));
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;

  constructor(target: string) {
    this.#target = new URL(target);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    const canned = this.canned.shift();
    const service = canned === undefined ? connect(Number(this.#target.port), this.#target.hostname) : undefined;
    const cut = (): void => {
      client.destroy();
      service?.destroy();
    };
    for (const socket of [client, service]) {
      if (socket === undefined) continue;
      this.#sockets.add(socket);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        cut();
      });
      socket.on("error", cut);
    }
    client.on("data", (piece) => {
      for (const [line] of piece.toString("latin1").matchAll(/^[A-Z]+ \S+(?= HTTP\/1\.1)/gm)) this.requests.push(line);
      if (canned !== undefined) client.end(canned);
      else service?.write(this.rewrite(piece.toString("latin1")), "latin1");
    });
    service?.on("data", (piece) => {
      const verdict = this.judge(piece.toString());
      if (verdict === "cut-before") return cut();
      client.write(piece, () => void (verdict === "cut-after" && cut()));
    });
  }
}
