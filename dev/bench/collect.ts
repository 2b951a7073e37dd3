/** Has workerd collect its garbage, which it puts off for as long as V8 feels no want: what is then left is what is held. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Workerd } from "./workerd.ts";

const LIMIT_MS = 10_000;
/** Objects that others hold alone are collected one round later. */
const ROUNDS = 2;
/** An isolate that nothing happens in hears its inspector late. */
const STIR_MS = 100;

export async function collectGarbage(workerd: Workerd): Promise<void> {
  if (workerd.inspector === undefined) throw new Error("workerd was started without an inspector");
  const socket = new WebSocket(workerd.inspector);
  const limit = sleep(LIMIT_MS, undefined, { ref: false }).then(() => Promise.reject(new Error("workerd did not collect its garbage in time")));
  const stir = setInterval(() => {
    fetch(`${workerd.url}/health`).then((response) => response.arrayBuffer(), () => {});
  }, STIR_MS);
  try {
    await Promise.race([limit, heard(socket, "open")]);
    for (let id = 1; id <= ROUNDS; id++) {
      const done = heard(socket, "message");
      socket.send(JSON.stringify({ id, method: "HeapProfiler.collectGarbage" }));
      await Promise.race([limit, done]);
    }
  } finally {
    clearInterval(stir);
    socket.close();
  }
}

/** Nothing but the answers to what was asked is sent: no domain of the inspector is switched on. */
function heard(socket: WebSocket, event: "open" | "message"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.addEventListener(event, () => resolve(), { once: true });
    socket.addEventListener("error", () => reject(new Error("workerd's inspector cannot be reached")), { once: true });
  });
}
