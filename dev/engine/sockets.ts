/** Sockets and the servers they come from. */
import type { AddressInfo, Server, Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Joins two connections into one: each side's end and each side's death reach the other. What has already been read of `a` is
 * `head`. `open` holds both for as long as they are open.
 */
export function join(a: Socket, b: Socket, head: Buffer, open = new Set<Duplex>()): void {
  for (const [from, to] of [[a, b], [b, a]] as const) {
    open.add(from);
    from.setNoDelay(true);
    from.on("error", () => to.destroy());
    from.once("close", () => {
      open.delete(from);
      // After a clean end, the pipe still delivers what was read; it ends the other side itself.
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  }
  if (head.length > 0) b.write(head);
}

export function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve());
  });
}

export function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
