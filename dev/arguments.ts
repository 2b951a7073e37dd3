/** What `npm run dev` is asked for: its arguments and the checkout's .dev.vars. Reads values; starts nothing. */
import { parseArgs } from "node:util";

export const DEFAULT_PORT = 8787;
const CREDENTIALS = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];

/** A mistake in the command line; its message says how to mend it. */
export class UsageError extends Error {}

export type Arguments = { port: number; vars: Record<string, string>; wranglerArgs: string[] };

/** The stack has to know the port and the variables; the rest is wrangler's alone, in its order. */
export function readArguments(args: string[]): Arguments {
  const { tokens } = parseArgs({
    args,
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: { port: { type: "string" }, var: { type: "string", multiple: true } },
  });
  let port = DEFAULT_PORT;
  const vars: Record<string, string> = {};
  const taken = new Set<number>();
  for (const token of tokens) {
    if (token.kind !== "option" || (token.name !== "port" && token.name !== "var")) continue;
    taken.add(token.index);
    if (token.inlineValue === false) taken.add(token.index + 1);
    const value = token.value ?? "";
    if (token.name === "port") {
      port = Number(value);
      if (!Number.isInteger(port) || port < 1 || port > 65535) throw new UsageError(`--port wants a port, not "${value}"`);
    } else {
      const at = value.indexOf(":");
      if (at < 1) throw new UsageError(`--var wants NAME:VALUE, not "${value}"`);
      vars[value.slice(0, at)] = value.slice(at + 1);
    }
  }
  return { port, vars, wranglerArgs: args.filter((_, index) => !taken.has(index)) };
}

/** The name of the model's credential that the developer gave, if any. */
export function credentialOf(vars: Record<string, string>, devVars: string): string | undefined {
  const inDevVars = (name: string): boolean => new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=\\s*["']?[^\\s"'#]`, "m").test(devVars);
  return CREDENTIALS.find((name) => (vars[name] ?? "") !== "") ?? CREDENTIALS.find(inDevVars);
}
