/**
 * A load generator: GET requests over kept-alive connections, one at a time on each, as fast as they are answered.
 * Reads only as much HTTP as it takes to find an answer's end, so that it is never what is slow.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { once } from "node:events";

export type Load = { host: string; port: number; path: string; requests: number; connections: number };

/** Sends them all; resolves with the seconds it took. Fails where an answer is not 200. */
export async function load({ host, port, path, requests, connections }: Load): Promise<number> {
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`;
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(host, port)));
  let left = requests;
  const begun = performance.now();
  try {
    await Promise.all(sockets.map((socket) => drive(socket, request, () => left-- > 0)));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  return (performance.now() - begun) / 1000;
}

/** A connection whose bytes leave at once. */
export async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, "connect");
  return socket;
}

function drive(socket: Socket, request: string, more: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const next = (): void => {
      answer = "";
      if (more()) socket.write(request);
      else resolve();
    };
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
      if (!isWhole(answer)) return;
      if (!answer.startsWith("HTTP/1.1 200 ")) return reject(new Error(`the load was answered: ${answer.slice(0, 500)}`));
      next();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed under the load")));
    next();
  });
}

/** Whether an answer, read as `latin1`, has come to its end. Nothing follows it: the next request has not been sent. */
export function isWhole(answer: string): boolean {
  const head = answer.indexOf("\r\n\r\n");
  if (head === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, head + 2))?.[1];
  return length === undefined ? answer.endsWith("\r\n0\r\n\r\n") : answer.length - head - 4 >= Number(length);
}
