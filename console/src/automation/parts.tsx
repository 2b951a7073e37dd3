/** What the pages of automation share: how something stands, in one word and a colour, and a fact about it. */
import type { ReactNode } from "react";
import type { Schemas } from "claude-agent-service-client";

export type Look = "good" | "bad" | "quiet" | "busy";

export function Status({ look, children }: { look: Look; children: string }) {
  return <span className={`status ${look}`}>{children}</span>;
}

export function ScheduleStatus({ schedule: { enabled, paused, failures } }: { schedule: Schemas["Schedule"] }) {
  if (paused !== undefined) return <Status look="bad">{`Paused after ${failures} failures`}</Status>;
  if (!enabled) return <Status look="quiet">Paused</Status>;
  return <Status look="good">On</Status>;
}

export function WebhookStatus({ webhook: { enabled } }: { webhook: Schemas["Webhook"] }) {
  return enabled ? <Status look="good">On</Status> : <Status look="bad">Off: its endpoint is gone</Status>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
