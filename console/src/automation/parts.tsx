/** How a schedule and a webhook stand. */
import type { Schemas } from "claude-agent-service-client";
import { Status } from "../ui/facts.tsx";

export function ScheduleStatus({ schedule: { enabled, paused, failures } }: { schedule: Schemas["Schedule"] }) {
  if (paused !== undefined) return <Status look="bad">{`Paused after ${failures} failures`}</Status>;
  if (!enabled) return <Status look="quiet">Paused</Status>;
  return <Status look="good">On</Status>;
}

export function WebhookStatus({ webhook: { enabled } }: { webhook: Schemas["Webhook"] }) {
  return enabled ? <Status look="good">On</Status> : <Status look="bad">Off: its endpoint is gone</Status>;
}
