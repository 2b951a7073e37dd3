/*
 * An MCP server as small as the protocol allows: its tools answer their name and a digest of the secret that came with the configuration.
 * In a test it listens on HTTP; run as a program it speaks on stdio. It decides nothing about who may call what.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

type Message = { id?: number; method: string; params?: { name?: string; protocolVersion?: string } };

const TOOLS = ["ping", "hide"].map((name) => ({ name, description: `answers ${name}`, inputSchema: { type: "object", properties: {} } }));

/** What a tool answers: that it was reached with this secret, which stays unsaid. */
export const answerOf = (tool: string, secret: string): string => `${tool} with ${createHash("sha256").update(secret).digest("hex").slice(0, 16)}`;

/** The answer to a request; none to a notification. */
function answer({ id, method, params }: Message, secret: string): object | undefined {
  if (id === undefined) return undefined;
  const results: Record<string, object> = {
    initialize: { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "tools", version: "1" } },
    "tools/list": { tools: TOOLS },
    "tools/call": { content: [{ type: "text", text: answerOf(String(params?.name), secret) }] },
  };
  const result = results[method];
  return result === undefined ? { jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } } : { jsonrpc: "2.0", id, result };
}

export type ToolServer = { url: string; calls: string[]; close(): Promise<void> };

/** Answers on HTTP with the credential that the request brings; `calls` are the tools that were called. */
export async function startToolServer(): Promise<ToolServer> {
  const calls: string[] = [];
  const server = createServer(async (request, response) => {
    if (request.method !== "POST") return void response.writeHead(405).end();
    const message = JSON.parse(await text(request)) as Message;
    if (message.method === "tools/call") calls.push(message.params?.name ?? "");
    const body = answer(message, String(request.headers.authorization));
    if (body === undefined) return void response.writeHead(202).end();
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    calls,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

if (import.meta.main) {
  createInterface({ input: process.stdin }).on("line", (line) => {
    const body = answer(JSON.parse(line) as Message, String(process.env["TOOL_TOKEN"]));
    if (body !== undefined) console.log(JSON.stringify(body));
  });
}
