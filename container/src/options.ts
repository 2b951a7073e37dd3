/*
 * The options of a turn: what a caller may ask for, checked once.
 * Decides which of them a live process can take on and which need a new one. Knows nothing of the SDK's types.
 */

export type TurnOptions = {
  model?: string;
  /** A whole prompt, or words appended to Claude Code's own. */
  system_prompt?: string | { append: string };
  max_turns?: number;
  /** The only tools there are, and the only ones that run; rules such as `Bash(git:*)` are allowed. */
  allowed_tools?: string[];
  disallowed_tools?: string[];
  permission_mode?: PermissionMode;
  /** Of this turn alone: such a turn has a process of its own. */
  max_budget_usd?: number;
  mcp_servers?: Record<string, McpServer>;
};

export type PermissionMode = (typeof PERMISSION_MODES)[number];
export type McpServer =
  | { type?: "stdio"; command: string; args?: string[]; env?: Record<string, string> }
  | { type: "http" | "sse"; url: string; headers?: Record<string, string> };

const PERMISSION_MODES = ["default", "acceptEdits", "bypassPermissions", "plan", "dontAsk"] as const;
const MAX_LIST = 256;
const MAX_MCP_SERVERS = 32;

/** A caller's fault; `message` names the field. */
export class InvalidOptions extends Error {}

/** Two turns with the same key can share a process. The model is not in it: it is changed live. */
export function processKey(options: TurnOptions): string {
  const { model: _live, ...rest } = options;
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A budget counts for the life of a process, so its process serves one turn. */
export function servesOneTurn(options: TurnOptions): boolean {
  return options.max_budget_usd !== undefined;
}

/**
 * Null counts as absent. A newer Worker may be in front of this server: an option that it does not know is left out, and
 * `unknown` gets its name.
 */
export function parseOptions(value: unknown, unknown: string[] = []): TurnOptions {
  if (value === undefined || value === null) return {};
  const options: TurnOptions = {};
  for (const [name, given] of Object.entries(record(value, "options"))) {
    if (given === null) continue;
    switch (name) {
      case "model":
        options.model = text(given, name);
        break;
      case "system_prompt":
        options.system_prompt = typeof given === "string" ? given : { append: text(record(given, name)["append"], "system_prompt.append") };
        break;
      case "max_turns":
        options.max_turns = positive(given, name);
        if (!Number.isInteger(given)) throw new InvalidOptions("max_turns must be a whole number");
        break;
      case "allowed_tools":
        options.allowed_tools = texts(given, name);
        break;
      case "disallowed_tools":
        options.disallowed_tools = texts(given, name);
        break;
      case "permission_mode":
        options.permission_mode = permissionMode(given);
        break;
      case "max_budget_usd":
        options.max_budget_usd = positive(given, name);
        break;
      case "mcp_servers":
        options.mcp_servers = mcpServers(given);
        break;
      default:
        unknown.push(name);
    }
  }
  return options;
}

function permissionMode(value: unknown): PermissionMode {
  const mode = PERMISSION_MODES.find((known) => known === value);
  if (mode === undefined) throw new InvalidOptions(`permission_mode must be one of ${PERMISSION_MODES.join(", ")}`);
  return mode;
}

function mcpServers(value: unknown): Record<string, McpServer> {
  const entries = Object.entries(record(value, "mcp_servers"));
  if (entries.length > MAX_MCP_SERVERS) throw new InvalidOptions(`mcp_servers may name at most ${MAX_MCP_SERVERS}`);
  return Object.fromEntries(entries.map(([name, server]) => [name, mcpServer(record(server, `mcp_servers.${name}`), name)]));
}

function mcpServer(server: Record<string, unknown>, name: string): McpServer {
  const at = `mcp_servers.${name}`;
  if (server["type"] === "http" || server["type"] === "sse") {
    const remote: McpServer = { type: server["type"], url: text(server["url"], `${at}.url`) };
    if (server["headers"] !== undefined) remote.headers = textMap(server["headers"], `${at}.headers`);
    return remote;
  }
  if (server["type"] !== undefined && server["type"] !== "stdio") throw new InvalidOptions(`${at}.type must be stdio, http or sse`);
  const local: McpServer = { type: "stdio", command: text(server["command"], `${at}.command`) };
  if (server["args"] !== undefined) local.args = texts(server["args"], `${at}.args`);
  if (server["env"] !== undefined) local.env = textMap(server["env"], `${at}.env`);
  return local;
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidOptions(`${name} must be an object`);
  return value as Record<string, unknown>;
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw new InvalidOptions(`${name} must be a string that is not empty`);
  return value;
}

function texts(value: unknown, name: string): string[] {
  if (!Array.isArray(value) || value.length > MAX_LIST) throw new InvalidOptions(`${name} must be a list of at most ${MAX_LIST}`);
  return value.map((item) => text(item, name));
}

function textMap(value: unknown, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(record(value, name)).map(([key, item]) => {
    if (typeof item !== "string") throw new InvalidOptions(`${name}.${key} must be a string`);
    return [key, item];
  }));
}

function positive(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) throw new InvalidOptions(`${name} must be a number above 0`);
  return value;
}
