/*
 * Accounts' containers on this machine: the processes in them, found by asking the agent itself.
 */
import type { Client } from "./client.ts";
import type { Service } from "./support.ts";

const ANCESTORS = "p=$$; while [ $p -gt 1 ]; do echo $p; p=$(cut -d' ' -f4 /proc/$p/stat); done";

/** The process ids of an account's agent server and of one of its CLIs, which answers a question for it. */
export async function serverAndCli(client: Client, service: Service, session_id: string): Promise<{ cli: number; server: number }> {
  const { response } = await client.query(`[[tool Bash {"command":"${ANCESTORS}"}]]`, { session_id });
  const ancestors = response.split("\n").map(Number);
  const servers = service.stack.engine?.containers().map((container) => container.pid) ?? [];
  const at = ancestors.findIndex((pid) => servers.includes(pid));
  if (at < 1) throw new Error(`no container among ${ancestors.join(" ")}`);
  return { cli: ancestors[at - 1] as number, server: ancestors[at] as number };
}

/** The process id of an account's container, which starts for it where it does not run. */
export async function containerOf(client: Client, service: Service): Promise<number> {
  return (await serverAndCli(client, service, "ancestors")).server;
}

/** Does something while a turn of the account runs, which calls nobody: only then does the gateway let a call through. */
export async function whileTurnRuns<T>(client: Client, during: () => Promise<T>): Promise<T> {
  const events = await client.stream('[[tool Bash {"command":"sleep 600"}]]', { session_id: "running" });
  await events.until(({ event }) => event === "tool");
  try {
    return await during();
  } finally {
    await client.cancel("running");
  }
}
