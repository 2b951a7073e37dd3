/** One webhook: where it leads, and what became of each event. */
import { useCallback, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Library } from "../chat/library.ts";
import { href } from "../route.ts";
import type { Session } from "../session/session.ts";
import { Button, Confirm, Failure, IconButton, Menu, Spinner } from "../ui/controls.tsx";
import { Fact, Status } from "../ui/facts.tsx";
import { dateTime, distance } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";
import { WebhookStatus } from "./parts.tsx";
import { useActs } from "./use-acts.ts";
import { useReloadOnTurns } from "./use-turns.ts";
import { NewSecret, requestOf, WebhookForm } from "./webhook-form.tsx";

type Webhook = Schemas["Webhook"];
type Delivery = Schemas["WebhookDelivery"];
type Read = { webhook: Webhook; deliveries: Delivery[]; areMore: boolean };

const FIRST_DELIVERIES = 50;
/** As the service has it. */
const MAX_DELIVERIES = 200;

export function WebhookPage({ session: { client }, library, name }: { session: Session; library: Library; name: string }) {
  const [limit, setLimit] = useState(FIRST_DELIVERIES);
  const load = useCallback(
    async (signal: AbortSignal): Promise<Read> => {
      const [webhook, { items, next }] = await Promise.all([client.readWebhook(name, { signal }), client.listDeliveries(name, { limit, signal })]);
      return { webhook, deliveries: items, areMore: next !== undefined };
    },
    [client, name, limit],
  );
  const [read, reload] = useLoaded(load);
  const [isEditing, setEditing] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const [isRotating, setRotating] = useState(false);
  const [rotated, setRotated] = useState<Webhook>();
  const { isBusy, error, act, remove } = useActs(reload, () => client.deleteWebhook(name));
  useReloadAt(read, ({ deliveries }) => deliveries.flatMap(({ next_attempt_at }) => next_attempt_at ?? []).sort((one, other) => one - other)[0], reload);
  useReloadOnTurns(library, reload);

  if (read.phase === "loading") return <Spinner label="Loading the webhook" />;
  if (read.phase === "failed") return <Failure error={read.error} onRetry={reload} />;
  const { webhook, deliveries, areMore } = read.value;
  const rotate = async (): Promise<void> => {
    setRotated(await client.setWebhook(name, { ...requestOf(webhook), rotate_secret: true }));
    reload();
  };
  return (
    <>
      <section aria-labelledby="webhook">
        <div className="section-head">
          <h2 id="webhook">
            {name} <WebhookStatus webhook={webhook} />
          </h2>
          <div className="actions">
            {webhook.enabled ? (
              <Button icon="send" disabled={isBusy} onClick={() => void act(() => client.testWebhook(name))}>
                Send a test
              </Button>
            ) : (
              <Button icon="rewind" disabled={isBusy} onClick={() => void act(() => client.setWebhook(name, requestOf(webhook)))}>
                Turn on
              </Button>
            )}
            <Menu
              label="Webhook"
              items={[
                { label: "Change", icon: "pencil", onSelect: () => setEditing(true) },
                { label: "New secret", icon: "rewind", onSelect: () => setRotating(true) },
                { label: "Delete", icon: "trash", danger: true, onSelect: () => setDeleting(true) },
              ]}
            />
          </div>
        </div>
        {error !== undefined && <Failure error={error} />}
        <dl className="facts">
          <Fact name="URL">{webhook.url}</Fact>
          <Fact name="Events">{webhook.types.length === 0 ? "all" : webhook.types.join(", ")}</Fact>
          <Fact name="Sends">{webhook.include.includes("result") ? "the turn with its answer" : "ids alone"}</Fact>
          {webhook.previous_secret_until !== undefined && <Fact name="Secret">the one before signs as well until {dateTime(webhook.previous_secret_until)}</Fact>}
        </dl>
      </section>
      <section aria-labelledby="deliveries">
        <h2 id="deliveries">Deliveries</h2>
        {deliveries.length === 0 ? <p className="note">Nothing was sent yet. A test shows whether your program is reached.</p> : <Deliveries deliveries={deliveries} onAgain={(id) => void act(() => client.redeliver(name, id))} />}
        {areMore && limit < MAX_DELIVERIES && (
          <Button className="more" onClick={() => setLimit(MAX_DELIVERIES)}>
            Show more
          </Button>
        )}
      </section>
      {isEditing && <WebhookForm client={client} webhook={webhook} onSaved={reload} onClose={() => setEditing(false)} />}
      {isRotating && (
        <Confirm title="Make a new secret?" action="Make it" danger={false} onConfirm={rotate} onClose={() => setRotating(false)}>
          <p>Requests are signed with the new one and, for 24 hours, with the one before as well, so that your program can be changed meanwhile.</p>
        </Confirm>
      )}
      {rotated !== undefined && <NewSecret webhook={rotated} onClose={() => setRotated(undefined)} />}
      {isDeleting && (
        <Confirm title="Delete this webhook?" action="Delete" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>Nothing is sent to “{webhook.url}” any more, also not what waits to be sent again. The list of its deliveries will be gone.</p>
        </Confirm>
      )}
    </>
  );
}

function Deliveries({ deliveries, onAgain }: { deliveries: Delivery[]; onAgain: (eventId: string) => void }) {
  return (
    <Table label="Table of the deliveries" columns={["Event", "When", "State", "Attempts", "Last response", "About", "Again"]}>
      {deliveries.map((delivery) => {
        const { event_id, type, created_at, attempts, session_id, status } = delivery;
        return (
          <tr key={event_id}>
            <td title={event_id}>
              <code>{type}</code>
            </td>
            <td>{dateTime(created_at)}</td>
            <td>
              <DeliveryStatus delivery={delivery} />
            </td>
            <td>{attempts}</td>
            <td>{responseOf(delivery)}</td>
            <td>{session_id === null ? "" : <a href={href.conversation(session_id)}>Conversation</a>}</td>
            <td>{status !== "pending" && <IconButton icon="rewind" size={16} label={`Send ${type} again`} onClick={() => onAgain(event_id)} />}</td>
          </tr>
        );
      })}
    </Table>
  );
}

function DeliveryStatus({ delivery: { status, next_attempt_at } }: { delivery: Delivery }) {
  if (status === "delivered") return <Status look="good">delivered</Status>;
  if (status === "dead") return <Status look="bad">given up</Status>;
  const isWaiting = next_attempt_at !== null && next_attempt_at > Date.now();
  return <Status look="busy">{isWaiting ? `again ${distance(next_attempt_at)}` : "on its way"}</Status>;
}

function responseOf({ last_status, last_error, attempts }: Delivery): string {
  if (attempts === 0) return "";
  return last_status === null ? (last_error ?? "none") : String(last_status);
}
