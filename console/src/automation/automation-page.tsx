/** What happens by itself: schedules, which ask the agent by the clock, and webhooks, which tell other programs of what it did. */
import { useCallback, useEffect, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Library } from "../chat/library.ts";
import { go, href } from "../route.ts";
import type { Automation } from "../route.ts";
import type { Session } from "../session/session.ts";
import { Button, Failure, Spinner } from "../ui/controls.tsx";
import { distance, inZone } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { IconName } from "../ui/icons.tsx";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { ScheduleForm } from "./schedule-form.tsx";
import { ScheduleStatus, WebhookStatus } from "./parts.tsx";
import { SchedulePage } from "./schedule-page.tsx";
import { wordsOf } from "./times.ts";
import { NewSecret, WebhookForm } from "./webhook-form.tsx";
import { WebhookPage } from "./webhook-page.tsx";
import "../style/detail.css";
import "../style/automation.css";

type Props = { session: Session; library: Library; shown: Automation | undefined };

export default function AutomationPage({ session, library, shown }: Props) {
  useEffect(() => {
    document.title = `${shown?.name ?? "Automation"} · Agent console`;
  }, [shown]);
  return (
    <div className="page detail automation" tabIndex={0} role="region" aria-label="Automation">
      <header className="page-head">
        {shown === undefined ? (
          <h1>Automation</h1>
        ) : (
          <h1>
            <a href={href.automation()}>Automation</a>
            <Icon name="chevron" size={14} />
            {shown.name}
          </h1>
        )}
      </header>
      <div className="page-body">
        {shown === undefined && <Schedules session={session} library={library} />}
        {shown === undefined && <Webhooks session={session} />}
        {shown?.kind === "schedules" && <SchedulePage key={shown.name} session={session} library={library} name={shown.name} />}
        {shown?.kind === "webhooks" && <WebhookPage key={shown.name} session={session} library={library} name={shown.name} />}
      </div>
    </div>
  );
}

function Schedules({ session: { client, accountId }, library }: { session: Session; library: Library }) {
  const load = useCallback((signal: AbortSignal) => client.listSchedules({ signal }), [client]);
  const [schedules, reload] = useLoaded(load);
  const [isAdding, setAdding] = useState(false);
  useReloadAt(schedules, (all) => all.flatMap(({ next_runs }) => next_runs.slice(0, 1)).sort((one, other) => one - other)[0], reload);
  return (
    <section aria-labelledby="schedules">
      <div className="section-head">
        <div>
          <h2 id="schedules">Schedules</h2>
          <p>The agent is asked the same thing at set times, as “{accountId}”.</p>
        </div>
        <Button icon="plus" disabled={schedules.phase !== "ready"} onClick={() => setAdding(true)}>
          New schedule
        </Button>
      </div>
      {schedules.phase === "loading" && <Spinner label="Loading the schedules" />}
      {schedules.phase === "failed" && <Failure error={schedules.error} onRetry={reload} />}
      {schedules.phase === "ready" && schedules.value.length === 0 && (
        <p className="note">None yet. A schedule can write a report every morning, or look after something every hour.</p>
      )}
      {schedules.phase === "ready" && schedules.value.length > 0 && (
        <ul className="cards">
          {schedules.value.map((schedule) => (
            <Card key={schedule.name} kind="schedules" name={schedule.name} icon="clock" status={<ScheduleStatus schedule={schedule} />}>
              <span>
                {wordsOf(schedule.cron)}, {schedule.timezone}
              </span>
              <small>{schedule.query}</small>
              {schedule.next_runs[0] !== undefined && (
                <small>
                  Next: {inZone(schedule.next_runs[0], schedule.timezone)}, {distance(schedule.next_runs[0])}
                </small>
              )}
            </Card>
          ))}
        </ul>
      )}
      {isAdding && schedules.phase === "ready" && (
        <ScheduleForm client={client} library={library} taken={schedules.value.map(({ name }) => name)} onSaved={({ name }) => go(href.automation({ kind: "schedules", name }))} onClose={() => setAdding(false)} />
      )}
    </section>
  );
}

function Webhooks({ session: { client, accountId } }: { session: Session }) {
  const load = useCallback((signal: AbortSignal) => client.listWebhooks({ signal }), [client]);
  const [webhooks, reload] = useLoaded(load);
  const [isAdding, setAdding] = useState(false);
  const [added, setAdded] = useState<Schemas["Webhook"]>();
  return (
    <section aria-labelledby="webhooks">
      <div className="section-head">
        <div>
          <h2 id="webhooks">Webhooks</h2>
          <p>Your own programs are told of what happens in “{accountId}”.</p>
        </div>
        <Button icon="plus" disabled={webhooks.phase !== "ready"} onClick={() => setAdding(true)}>
          New webhook
        </Button>
      </div>
      {webhooks.phase === "loading" && <Spinner label="Loading the webhooks" />}
      {webhooks.phase === "failed" && <Failure error={webhooks.error} onRetry={reload} />}
      {webhooks.phase === "ready" && webhooks.value.length === 0 && (
        <p className="note">None yet. A webhook sends a signed request to a URL of yours whenever the agent has answered, or has failed.</p>
      )}
      {webhooks.phase === "ready" && webhooks.value.length > 0 && (
        <ul className="cards">
          {webhooks.value.map((webhook) => (
            <Card key={webhook.name} kind="webhooks" name={webhook.name} icon="hook" status={<WebhookStatus webhook={webhook} />}>
              <span>{webhook.url}</span>
              <small>{webhook.types.length === 0 ? "All events" : webhook.types.join(", ")}</small>
            </Card>
          ))}
        </ul>
      )}
      {isAdding && webhooks.phase === "ready" && <WebhookForm client={client} taken={webhooks.value.map(({ name }) => name)} onSaved={setAdded} onClose={() => setAdding(false)} />}
      {added !== undefined && <NewSecret webhook={added} onClose={() => go(href.automation({ kind: "webhooks", name: added.name }))} />}
    </section>
  );
}

type CardProps = Automation & { icon: IconName; status: React.ReactNode; children: React.ReactNode };

function Card({ kind, name, icon, status, children }: CardProps) {
  return (
    <li>
      <a className="card" href={href.automation({ kind, name })}>
        <Icon name={icon} size={20} />
        <span className="card-text">
          <b>{name}</b>
          {children}
        </span>
        {status}
      </a>
    </li>
  );
}
