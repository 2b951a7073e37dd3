/** Joins two connections into one: each side's end and each side's death reach the other. Holds no more than the sockets' own buffers. */
import type { Socket } from "node:net";

export function join(a: Socket, b: Socket): void {
  for (const [from, to] of [[a, b], [b, a]] as const) {
    from.setNoDelay(true);
    from.on("error", () => to.destroy());
    from.once("close", () => {
      // What was read before the close is still on its way; a clean end has been passed on by the pipe.
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  }
}
