/*
 * Nothing of the product on a laptop can be reached from another machine: each socket that a process of it listens on is of loopback.
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { descendantsOf, programOf } from "./processes.ts";
import { service } from "./support.ts";

const running = service({ front: { hosts: [] } });
const TIME_LIMIT_MS = 120_000;
/** The kernel's TCP_LISTEN. */
const LISTEN = "0A";
/** As /proc has them: words of four bytes in the machine's order. 127.0.0.0/8, ::1, and 127.0.0.0/8 in IPv6's clothes. */
const LOOPBACK = /^(?:[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F)$/;

type Listener = { program: string; pid: number; address: string; port: number };

/** The sockets that these processes listen on. */
function listenersOf(pids: readonly number[]): Listener[] {
  const listening = new Map<string, { address: string; port: number }>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state === LISTEN) listening.set(inode, { address, port: Number.parseInt(port, 16) });
    }
  }
  return pids.flatMap((pid) =>
    socketsOf(pid).flatMap((inode) => {
      const socket = listening.get(inode);
      return socket === undefined ? [] : [{ program: programOf(pid), pid, ...socket }];
    }),
  );
}

/** The inodes of a process's sockets; none where it has ended meanwhile. */
function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

test("whatever the product listens on is of loopback, the agent server's port too", { timeout: TIME_LIMIT_MS }, async () => {
  await running.newClient().query("[[tool Bash {\"command\":\"true\"}]]");
  const listeners = listenersOf([process.pid, ...descendantsOf(process.pid)]);
  const [agentServer] = running.stack.engine?.containers() ?? [];
  const ports = listeners.map(({ port }) => port);
  assert.ok(ports.includes(Number(new URL(running.url).port)), "the front is among them");
  assert.ok(ports.includes(agentServer?.port ?? 0), "the agent server is among them");
  assert.ok(listeners.some(({ program }) => program === "workerd"), "workerd is among them");
  assert.deepEqual(listeners.filter(({ address }) => !LOOPBACK.test(address)), []);
});
