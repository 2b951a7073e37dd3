/*
 * Stands between a CLI and the model's stand-in and keeps whole requests. Holds no test.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Model } from "../../dev/model/server.ts";

export type Recorded = {
  messages?: { role: string; content: string | { type: string; text?: string }[] }[];
  output_config?: { effort?: string };
  thinking?: { type: string };
  system?: { text: string }[];
  tools?: { name: string }[];
};
export type Recorder = { model: Model; last(): Recorded; close(): Promise<void> };

/** Passes requests on to the model and keeps their bodies. */
export async function startRecorder(model: Model): Promise<Recorder> {
  const bodies: Recorded[] = [];
  const passOn = async (request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    bodies.push(JSON.parse(body.toString()) as Recorded);
    const headers = { "content-type": "application/json", "x-api-key": String(request.headers["x-api-key"]) };
    const answer = await fetch(`${model.url}${request.url}`, { method: "POST", headers, body, signal });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
    response.end(Buffer.from(await answer.arrayBuffer()));
  };
  const server = createServer((request, response) => {
    const left = new AbortController();
    response.once("close", () => left.abort());
    passOn(request, response, left.signal).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    model: { ...model, url: `http://127.0.0.1:${port}` },
    last: () => bodies.at(-1) ?? assert.fail("no request"),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
