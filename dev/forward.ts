/** One hop of HTTP: passes a request on and its answer back, as they come and no faster than they are read. Decides nothing about them. */
import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";

/** What is between two neighbours alone. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(
  ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"],
);

/** `onward` has the request's head already; `unreachable` answers where nothing came back. */
export function passOn(req: IncomingMessage, res: ServerResponse, onward: ClientRequest, unreachable: () => void): void {
  onward.once("response", (answer) => {
    // How its end is told is for the next neighbour: Node finds the way.
    res.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders, (name) => name === "transfer-encoding"));
    res.flushHeaders();
    answer.on("error", () => res.destroy());
    answer.pipe(res);
    // An answer that was cut must look cut to the reader too, never like a short one.
    answer.once("close", () => {
      if (!answer.complete) res.destroy();
    });
  });
  onward.on("error", () => {
    if (res.headersSent) res.destroy();
    else unreachable();
  });
  res.once("close", () => onward.destroy());
  req.pipe(onward);
}

/** Raw headers in their order and spelling, without those of one hop and those to drop, whose names come in lower case. */
export function endToEnd(raw: readonly string[], drops: (name: string) => boolean): string[] {
  return raw.filter((_, at) => {
    const name = raw[at - (at % 2)]?.toLowerCase() ?? "";
    // What expects to be told to continue has been told.
    return name !== "expect" && !HOP_BY_HOP.has(name) && !drops(name);
  });
}
