/*
 * Tools that the caller runs, as an in-process MCP server: their schemas reach the model as they were given, and a call's result is the one that was
 * decided for it before it ran.
 */
import type { McpSdkServerConfigWithInstance } from "@anthropic-ai/claude-agent-sdk";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { CLIENT_SERVER } from "./terms.ts";
import type { Decision } from "./terms.ts";

export type ClientTool = { name: string; description: string; input_schema: { type: "object"; [keyword: string]: unknown } };

/** In place of an image that is not in the result itself. */
const NOT_AN_IMAGE = "(an image that cannot be shown: only base64 data can)";

type Result = Extract<Decision, { decision: "result" }>;

/** `resultOf` gives the result that was decided for a call, once. */
export function clientServer(tools: readonly ClientTool[], resultOf: (toolUseId: string | undefined, name: string) => Result | undefined): McpSdkServerConfigWithInstance {
  const instance = new McpServer({ name: CLIENT_SERVER, version: "1.0.0" }, { capabilities: { tools: {} } });
  instance.server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map(({ name, description, input_schema }) => ({
      name,
      description,
      inputSchema: input_schema,
      // Calls of one message are asked about together, not one after the other.
      annotations: { readOnlyHint: true },
      _meta: { "anthropic/alwaysLoad": true },
    })),
  }));
  instance.server.setRequestHandler(CallToolRequestSchema, ({ params }): CallToolResult => {
    const id = params._meta?.["claudecode/toolUseId"];
    const result = resultOf(typeof id === "string" ? id : undefined, params.name);
    if (result === undefined) return { content: [{ type: "text", text: "No result was given for this call." }], isError: true };
    const content = typeof result.content === "string" ? [{ type: "text", text: result.content }] : result.content.map(asMcp);
    return { content: content as CallToolResult["content"], ...(result.is_error === true && { isError: true }) };
  });
  return { type: "sdk", name: CLIENT_SERVER, instance };
}

/** Anthropic's image block as MCP's. What has no data of its own cannot be one, and must not cost the blocks beside it. */
function asMcp(block: { type: string; [field: string]: unknown }): object {
  const source = block["source"] as { media_type?: unknown; data?: unknown } | undefined;
  if (block.type !== "image") return block;
  if (typeof source?.data !== "string" || typeof source.media_type !== "string") return { type: "text", text: NOT_AN_IMAGE };
  return { type: "image", data: source.data, mimeType: source.media_type };
}
