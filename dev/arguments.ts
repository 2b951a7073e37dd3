/** What `npm run dev` is asked for: its arguments and the checkout's .dev.vars. Reads values; starts nothing. */
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { isLoopback } from "./loopback.ts";

export const DEFAULT_PORT = 8787;
const CREDENTIALS = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];
/** With one of these, whoever asks has to say who they are. */
const KEYS = ["API_KEYS", "JWT_SECRET"];

/** A mistake in the command line; its message says how to mend it. */
export class UsageError extends Error {}

export type Arguments = {
  port: number;
  /** Where it listens. */
  ip: string;
  /** Wrangler's own `--host`, which it takes for the host of every request. */
  host: string | undefined;
  /** Names that it answers to besides localhost. */
  allowedHosts: string[];
  vars: Record<string, string>;
  wranglerArgs: string[];
};

/** The stack has to know where it is served and the variables; the rest is wrangler's alone, in its order. */
export function readArguments(args: string[]): Arguments {
  const text = { type: "string" } as const;
  const options = { port: text, ip: text, host: text, "allow-host": text, var: text };
  const { tokens } = parseArgs({ args, strict: false, allowPositionals: true, tokens: true, options });
  const read: Arguments = { port: DEFAULT_PORT, ip: "127.0.0.1", host: undefined, allowedHosts: [], vars: {}, wranglerArgs: [] };
  const taken = new Set<number>();
  for (const token of tokens) {
    if (token.kind !== "option" || !(token.name in options)) continue;
    readOption(read, token.name, token.value ?? "");
    if (token.name === "host") continue;
    taken.add(token.index);
    if (token.inlineValue === false) taken.add(token.index + 1);
  }
  read.wranglerArgs = args.filter((_, index) => !taken.has(index));
  return read;
}

function readOption(read: Arguments, name: string, value: string): void {
  if (name === "port") {
    read.port = Number(value);
    if (!Number.isInteger(read.port) || read.port < 1 || read.port > 65535) throw new UsageError(`--port wants a port, not "${value}"`);
  } else if (name === "ip") {
    if (isIP(value) === 0) throw new UsageError(`--ip wants an IP address, not "${value}"`);
    read.ip = value;
  } else if (name === "host") {
    read.host = value;
  } else if (name === "allow-host") {
    if (!/^[a-z0-9.-]+$/i.test(value)) throw new UsageError(`--allow-host wants a name without a port, not "${value}"`);
    read.allowedHosts.push(value);
  } else {
    const at = value.indexOf(":");
    if (at < 1) throw new UsageError(`--var wants NAME:VALUE, not "${value}"`);
    read.vars[value.slice(0, at)] = value.slice(at + 1);
  }
}

/** Whether others than this machine can ask. */
export function isOpen({ ip }: Arguments): boolean {
  return !isLoopback(isIP(ip) === 6 ? `[${ip}]` : ip);
}

/** Fails where others would get in without having to say who they are. */
export function needKeysWhereOpen(read: Arguments, devVars: string): void {
  if (KEYS.some((name) => isGiven(name, read.vars, devVars))) return;
  const remedy = "while neither API_KEYS nor JWT_SECRET is set: put one of them into .dev.vars";
  if (isOpen(read)) throw new UsageError(`--ip ${read.ip} would let everyone in who reaches this machine, ${remedy}`);
  if (read.host !== undefined && !isLoopback(read.host)) throw new UsageError(`--host ${read.host} is not this machine, and only this machine gets in ${remedy}`);
}

/** The name of the model's credential that the developer gave, if any. */
export function credentialOf(vars: Record<string, string>, devVars: string): string | undefined {
  return CREDENTIALS.find((name) => (vars[name] ?? "") !== "") ?? CREDENTIALS.find((name) => isGiven(name, vars, devVars));
}

function isGiven(name: string, vars: Record<string, string>, devVars: string): boolean {
  const value = vars[name];
  if (value !== undefined) return value !== "";
  return new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=\\s*["']?[^\\s"'#]`, "m").test(devVars);
}
