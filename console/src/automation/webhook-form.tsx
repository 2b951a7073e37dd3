/** Makes a webhook or changes one, and shows a new secret, once. */
import { useState } from "react";
import type { FormEvent } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { Button, CopyButton, Dialog, Failure } from "../ui/controls.tsx";
import { NameField } from "./name-field.tsx";

type Webhook = Schemas["Webhook"];
type EventType = Schemas["EventType"];
type Props = { client: AgentClient; webhook?: Webhook; taken?: string[]; onSaved: (saved: Webhook) => void; onClose: () => void };

/** The events that are sent today, and when. */
const EVENTS: Partial<Record<EventType, string>> = {
  "turn.completed": "the agent has answered",
  "turn.failed": "it could not answer",
  "turn.cancelled": "somebody stopped it",
  "schedule.failed": "a run of a schedule failed",
  "schedule.paused": "a schedule failed too often",
};

/** The request that sets a webhook to what it is. It turns on one that was off. */
export function requestOf({ url, types, include }: Webhook): Parameters<AgentClient["setWebhook"]>[1] {
  return { url, types, include };
}

export function WebhookForm({ client, webhook, taken = [], onSaved, onClose }: Props) {
  const [name, setName] = useState(webhook?.name ?? "");
  const [url, setUrl] = useState(webhook?.url ?? "");
  const [areAll, setAll] = useState(webhook === undefined || webhook.types.length === 0);
  const [types, setTypes] = useState<EventType[]>(webhook?.types ?? []);
  const [hasResult, setResult] = useState(webhook?.include.includes("result") ?? false);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  // One that was set by the API keeps what the form does not offer.
  const offered = [...new Set([...(Object.keys(EVENTS) as EventType[]), ...(webhook?.types ?? [])])];

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const saved = await client.setWebhook(name, { url: url.trim(), types: areAll ? [] : types, include: hasResult ? ["result"] : [] });
      onClose();
      onSaved(saved);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };

  return (
    <Dialog title={webhook === undefined ? "New webhook" : `Change “${name}”`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {webhook === undefined && <NameField name={name} taken={taken} onChange={setName} />}
        <label>
          URL
          <input required type="url" placeholder="https://" spellCheck={false} autoComplete="off" value={url} onChange={(event) => setUrl(event.target.value)} />
          <span className="hint">Events are sent to it by POST, signed as Standard Webhooks says.</span>
        </label>
        <fieldset>
          <legend>Events</legend>
          <label className="check">
            <input type="checkbox" checked={areAll} onChange={(event) => setAll(event.target.checked)} />
            All, also those that come later
          </label>
          {!areAll &&
            offered.map((type) => (
              <label key={type} className="check">
                <input type="checkbox" checked={types.includes(type)} onChange={(event) => setTypes(event.target.checked ? [...types, type] : types.filter((each) => each !== type))} />
                <span>
                  <code>{type}</code> {EVENTS[type] !== undefined && <span className="hint">{EVENTS[type]}</span>}
                </span>
              </label>
            ))}
        </fieldset>
        <label className="check">
          <input type="checkbox" checked={hasResult} onChange={(event) => setResult(event.target.checked)} />
          Send the answer along, not its ids alone
        </label>
        {error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={isBusy || (!areAll && types.length === 0)}>
            {webhook === undefined ? "Create" : "Save"}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

export function NewSecret({ webhook: { name, secret }, onClose }: { webhook: Webhook; onClose: () => void }) {
  return (
    <Dialog title={`The secret of “${name}”`} onClose={onClose}>
      <p>Copy it now: it is not shown again. With it, your program checks that a request is from here; the libraries of Standard Webhooks take it as it stands.</p>
      <div className="secret">
        <code>{secret}</code>
        <CopyButton text={secret ?? ""} label="Copy the secret" />
      </div>
      <footer>
        <Button kind="primary" onClick={onClose}>
          I have copied it
        </Button>
      </footer>
    </Dialog>
  );
}
