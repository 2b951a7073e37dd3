/**
 * The container's DNS. An intercepted name gets a fixed address, whatever it resolves to outside. Every other name goes to the machine's
 * own server, or does not exist if the container may not reach the internet. Reads one question per message, as resolvers send it.
 */
import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";

export type Names = { upstream: string; intercepts(name: string): boolean; internet(): boolean };

/** Reserved by RFC 5737. Traffic to it is redirected before it leaves. */
const INTERCEPTED_ADDRESS = [192, 0, 2, 1];
const TTL_S = 60;
const HEADER_BYTES = 12;
const TYPE_A = 1;
const NXDOMAIN = 3;
const UPSTREAM_TIMEOUT_MS = 5_000;
const DNS_PORT = 53;

export function serveDns(port: number, names: Names): Socket {
  const server = createSocket("udp4");
  server.on("message", (query, from) => {
    const question = parse(query);
    if (question === undefined) return;
    const reply = (message: Buffer): void => server.send(message, from.port, from.address);
    if (names.intercepts(question.name)) reply(answer(query, question, question.type === TYPE_A ? INTERCEPTED_ADDRESS : undefined, 0));
    else if (names.internet() && names.upstream !== "") forward(query, names.upstream, reply);
    else reply(answer(query, question, undefined, NXDOMAIN));
  });
  server.on("error", (error) => console.error(String(error)));
  return server.bind(port, "127.0.0.1");
}

type Question = { name: string; type: number; end: number };

function parse(query: Buffer): Question | undefined {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63) return undefined;
    at++;
    if (length === 0) break;
    labels.push(query.toString("latin1", at, at + length));
    at += length;
  }
  if (at + 4 > query.length) return undefined;
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at), end: at + 4 };
}

/** RFC 1035, 4.1: the header, the question as it came, at most one address. */
function answer(query: Buffer, question: Question, address: readonly number[] | undefined, code: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(address === undefined ? 0 : 1, 6);
  const parts = [header, query.subarray(HEADER_BYTES, question.end)];
  if (address !== undefined) {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(TTL_S, 6);
    record.writeUInt16BE(address.length, 10);
    parts.push(record, Buffer.from(address));
  }
  return Buffer.concat(parts);
}

function forward(query: Buffer, upstream: string, reply: (message: Buffer) => void): void {
  const client = createSocket("udp4");
  const timer = setTimeout(() => client.close(), UPSTREAM_TIMEOUT_MS);
  const done = (message?: Buffer): void => {
    clearTimeout(timer);
    client.close();
    if (message !== undefined) reply(message);
  };
  client.once("message", (message: Buffer, _from: RemoteInfo) => done(message));
  client.once("error", () => done());
  client.send(query, DNS_PORT, upstream);
}
