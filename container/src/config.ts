/*
 * The server's configuration, read once from its environment.
 * Owns which variables reach the CLI; nothing else of the environment does.
 */
import { homedir } from "node:os";
import { resolve } from "node:path";

export type Config = {
  port: number;
  /** The interface to listen on; undefined: all of them. */
  host: string | undefined;
  /** Asked of every caller, where it is set. */
  token: string | undefined;
  /** The first of the users that conversations run as; undefined: they run as the server does. */
  uidBase: number | undefined;
  /** How many such users there are. */
  uidCount: number;
  /** The working directory of a conversation is `<workspaceRoot>/<agent_session>`. */
  workspaceRoot: string;
  /** What the server keeps of a conversation is in `<stateRoot>/<agent_session>`. */
  stateRoot: string;
  /** Conversations that keep a live process, at most; the spare comes on top. */
  warmSessions: number;
  /** A kept process without a turn for this long is closed. */
  warmIdleMs: number;
  /** How long running turns may go on after SIGTERM. */
  drainMs: number;
  /** The environment every CLI process starts from. */
  childEnv: Record<string, string>;
};

/** Handed on to the CLI as they are, where they are set. */
const PASSED_ON = [
  "PATH",
  "LANG",
  "TZ",
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "NO_PROXY",
  "no_proxy",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "IS_SANDBOX",
  "ANTHROPIC_BASE_URL",
  "ANTHROPIC_API_KEY",
  "CLAUDE_CODE_OAUTH_TOKEN",
] as const;

/** The CLI's own settings; a variable of the same name in the server's environment wins. */
const CLI_SETTINGS: Record<string, string> = {
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
  CLAUDE_CODE_DISABLE_AUTO_MEMORY: "1",
  CLAUDE_CODE_MAX_RETRIES: "3",
  API_TIMEOUT_MS: "60000",
  // A tool server that hangs holds up every start of a process; left alone, the CLI waits three times as long.
  MCP_TIMEOUT: "10000",
  CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS: "60000",
};

const DEFAULT_PORT = 8080;
const DEFAULT_HOST = "127.0.0.1";
const ALL_INTERFACES = "*";
/** Below are the system's own users. */
const MIN_UID_BASE = 1_000;
const DEFAULT_UID_COUNT = 36_000;
const DEFAULT_WARM_SESSIONS = 16;
const DEFAULT_WARM_IDLE_MS = 10 * 60_000;
/** The platform sends SIGKILL 15 minutes after SIGTERM. */
const DEFAULT_DRAIN_MS = 14 * 60_000;

export function configFrom(env: NodeJS.ProcessEnv): Config {
  const childEnv: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = env[name];
    if (value !== undefined && value !== "") childEnv[name] = value;
  }
  for (const [name, value] of Object.entries(CLI_SETTINGS)) childEnv[name] = env[name] || value;
  return {
    port: count(env, "PORT", DEFAULT_PORT),
    host: env["HOST"] === ALL_INTERFACES ? undefined : env["HOST"] || DEFAULT_HOST,
    token: env["AGENT_TOKEN"] || undefined,
    uidBase: uidBase(env),
    uidCount: count(env, "AGENT_UID_COUNT", DEFAULT_UID_COUNT),
    workspaceRoot: resolve(env["WORKSPACE_ROOT"] || "/workspace"),
    stateRoot: resolve(env["STATE_ROOT"] || `${homedir()}/.agent`),
    warmSessions: count(env, "WARM_SESSIONS", DEFAULT_WARM_SESSIONS),
    warmIdleMs: count(env, "WARM_IDLE_MS", DEFAULT_WARM_IDLE_MS),
    drainMs: count(env, "DRAIN_MS", DEFAULT_DRAIN_MS),
    childEnv,
  };
}

function count(env: NodeJS.ProcessEnv, name: string, otherwise: number): number {
  const text = env[name];
  if (text === undefined || text === "") return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} must be a whole number, not "${text}"`);
  return Number(text);
}

function uidBase(env: NodeJS.ProcessEnv): number | undefined {
  const base = count(env, "AGENT_UID_BASE", 0);
  if (base === 0) return undefined;
  if (base < MIN_UID_BASE) throw new Error(`AGENT_UID_BASE must be at least ${MIN_UID_BASE}`);
  if (process.platform !== "linux" || process.getuid?.() !== 0) throw new Error("AGENT_UID_BASE needs a server that runs as root on Linux");
  return base;
}
