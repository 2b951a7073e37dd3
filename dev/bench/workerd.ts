/**
 * One `workerd serve` without wrangler: the built Worker, or another module, on a port.
 * Owns the process and its configuration; knows nothing of what is measured.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { readConfiguration } from "../configuration.ts";
import { eachLine } from "../lines.ts";
import { ROOT } from "../tools.mjs";

export type WorkerdOptions = {
  /** A directory that only this workerd uses: its configuration and, under `storage`, its objects' databases. */
  directory: string;
  /** A module with a class of objects called Account, in place of the built Worker. */
  module?: string;
  vars?: Record<string, string>;
  /** The socket of the engine that runs the containers. */
  engineSocket?: string;
  /** Listens for an inspector; that costs a little. */
  inspected?: boolean;
  onLine?: (line: string) => void;
};

export type Workerd = { url: string; port: number; pid: number; inspector: string | undefined; stop(): Promise<void> };

/** The databases of a class's objects are in a directory of this name. */
export const ACCOUNT_STORAGE = "account";
export const DIRECTORY_STORAGE = "directory";
const BINARY = join(ROOT, "node_modules/workerd/bin/workerd");
const START_LIMIT_MS = 30_000;

export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  await mkdir(join(options.directory, "storage"), { recursive: true });
  // A copy, which another build does not change.
  if (options.module === undefined) await cp(join(ROOT, "build"), join(options.directory, "build"), { recursive: true });
  else await cp(options.module, join(options.directory, "build/index.js"));
  const config = join(options.directory, "config.capnp");
  await writeFile(config, await configText(options));
  // An address without a port takes a free one, and the control descriptor says which.
  const inspected = options.inspected === true;
  const args = ["serve", "--experimental", "--control-fd=3", ...(inspected ? ["--inspector-addr=127.0.0.1:0"] : []), config];
  const child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  const said: string[] = [];
  const hear = (line: string): void => {
    if (said.length < 50) said.push(line);
    options.onLine?.(line);
  };
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) eachLine(stream, hear);
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const exited = once(child, "exit").finally(() => process.off("exit", kill));

  const { port, inspectorPort } = await new Promise<{ port: number; inspectorPort: number | undefined }>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("workerd did not listen in time")), START_LIMIT_MS);
    const ports: Record<string, number> = {};
    eachLine(child.stdio[3] as Readable, (line) => {
      const { event, port } = JSON.parse(line) as { event: string; port: number };
      ports[event] = port;
      const { listen, "listen-inspector": inspectorPort } = ports;
      if (listen === undefined || (inspected && inspectorPort === undefined)) return;
      clearTimeout(timer);
      resolve({ port: listen, inspectorPort });
    });
    exited.then(
      () => reject(new Error(`workerd ended:\n${said.join("\n")}`)),
      reject,
    );
  }).catch((error: unknown) => {
    kill();
    throw error;
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    inspector: inspectorPort === undefined ? undefined : `ws://127.0.0.1:${inspectorPort}/main`,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(kill, START_LIMIT_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function configText(options: WorkerdOptions): Promise<string> {
  const { compatibility_date: date } = await readConfiguration();
  if (date === undefined) throw new Error("wrangler.toml has no compatibility_date");
  const container = options.engineSocket === undefined ? "" : `, container = (imageName = "agent")`;
  const bindings = Object.entries(options.vars ?? {}).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  const namespaces = [`(className = "Account", uniqueKey = ${text(ACCOUNT_STORAGE)}, enableSql = true${container})`];
  bindings.push(`(name = "ACCOUNTS", durableObjectNamespace = "Account")`);
  const modules = [`(name = "index.js", esModule = embed "build/index.js")`];
  if (options.module === undefined) {
    modules.push(`(name = "index_bg.wasm", wasm = embed "build/index_bg.wasm")`);
    namespaces.push(`(className = "Directory", uniqueKey = ${text(DIRECTORY_STORAGE)}, enableSql = true)`);
    bindings.push(`(name = "DIRECTORY", durableObjectNamespace = "Directory")`);
  }
  const engine =
    options.engineSocket === undefined
      ? ""
      : `containerEngine = (localDocker = (socketPath = ${text(`unix:${options.engineSocket}`)}, containerEgressInterceptorImage = "egress")),`;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      compatibilityDate = ${text(date)},
      modules = [${modules.join(", ")}],
      bindings = [${bindings.join(", ")}],
      durableObjectNamespaces = [${namespaces.join(", ")}],
      durableObjectStorage = (localDisk = "storage"),
      ${engine}
    )),
    (name = "storage", disk = (path = ${text(join(options.directory, "storage"))}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;
}

/** Of ASCII alone, as everything here is, a Cap'n Proto text is a JSON string. */
function text(value: string): string {
  return JSON.stringify(value);
}
