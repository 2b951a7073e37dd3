/** How something stands, in one word and a colour, and a fact about it. */
import type { ReactNode } from "react";
import type { Schemas } from "claude-agent-service-client";

export type Look = "good" | "bad" | "quiet" | "busy";

export function Status({ look, children }: { look: Look; children: string }) {
  return <span className={`status ${look}`}>{children}</span>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** How a turn stands. */
export function TurnStatus({ status, children }: { status: Schemas["TurnStatus"]; children?: string }) {
  const looks: Record<Schemas["TurnStatus"], Look> = { queued: "busy", running: "busy", requires_action: "busy", completed: "good", failed: "bad", interrupted: "bad", cancelled: "quiet" };
  return <Status look={looks[status]}>{children ?? (status === "requires_action" ? "waits for an answer" : status)}</Status>;
}
