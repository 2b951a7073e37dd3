/*
 * The agent server's life: configuration, listening, and an orderly end on SIGTERM.
 * Holds the parts together; decides nothing about turns.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import manifest from "../package.json" with { type: "json" };
import { configFrom } from "./config.ts";
import { openRoots } from "./folders.ts";
import { log, reason } from "./log.ts";
import { createAgentServer } from "./server.ts";
import { Sessions } from "./sessions.ts";
import { Turns } from "./turns.ts";
import { Users } from "./users.ts";

/** For readers to take the last frames of a turn, after it ended. */
const READERS_LIMIT_MS = 5_000;

const config = configFrom(process.env);
// Nothing that this process starts or prints of its environment has it.
delete process.env["AGENT_TOKEN"];
const instance = randomUUID();
const users = new Users(config.uidBase, config.uidCount);
if (config.uidBase !== undefined) await openRoots(config, users);
const sessions = new Sessions(config, users);
const turns = new Turns(sessions, instance);
let draining = false;

const server = createAgentServer(sessions, turns, {
  instance,
  sdkVersion: manifest.dependencies["@anthropic-ai/claude-agent-sdk"],
  draining: () => draining,
  token: config.token,
});
server.listen(config.port, config.host);
await once(server, "listening");
log("listening", { instance, port: (server.address() as AddressInfo).port });
sessions.ensureSpare();

// That a mode allows most calls without asking is meant: rules ask about the others.
process.removeAllListeners("warning");
process.on("warning", (warning: Error & { code?: string }) => warning.code === "CLAUDE_SDK_CAN_USE_TOOL_SHADOWED" || log("warning", { reason: reason(warning) }));
// A conversation's failure is handled where it happens; one that slips through ends nobody else's turn.
process.on("unhandledRejection", (error) => log("unhandled_rejection", { reason: reason(error) }));
process.on("SIGTERM", () => void drain());
process.on("SIGINT", () => void stop(130));

/** No new turns; the running ones may end, and their readers read on. A second signal waits for no one. */
async function drain(): Promise<void> {
  if (draining) return stop(143);
  draining = true;
  log("draining", { running: turns.running.length });
  sessions.drain();
  for (const turn of turns.running) turn.park();
  // What the last turns saved is fetched from here.
  await Promise.race([turnsEnded().then(() => sessions.workspaces.fetched()), sleep(config.drainMs)]);
  await stop(0);
}

/** What still runs ends as interrupted; its readers are told. */
async function stop(status: number): Promise<void> {
  await sessions.shutdown();
  await turnsEnded();
  const closed = new Promise((resolve) => server.close(resolve));
  await Promise.race([closed, sleep(READERS_LIMIT_MS)]);
  log("stopped", { status });
  process.exit(status);
}

async function turnsEnded(): Promise<void> {
  await Promise.all(turns.running.map((turn) => turn.ended));
}
