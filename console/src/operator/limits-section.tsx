/** What an account may use, what of it is used, and the form that changes it. */
import { useState } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { Button, Dialog, Failure } from "../ui/controls.tsx";
import { bytes, dollars, number, tokens } from "../ui/format.ts";
import { tokensOf } from "./usage.ts";

type Account = Schemas["Account"];
type Name = keyof Schemas["Limits"];
type Kind = { label: string; format: (value: number) => string; used?: (account: Account) => number; unit?: string; scale?: number; step: number; canBeNone: boolean };

const MEGABYTE = 1_000_000;
const LIMITS: Record<Name, Kind> = {
  usd_per_day: { label: "Cost a day", format: dollars, used: ({ usage }) => usage.today.cost_usd, unit: "US dollars", step: 0.01, canBeNone: true },
  usd_per_month: { label: "Cost a month", format: dollars, used: ({ usage }) => usage.month.cost_usd, unit: "US dollars", step: 0.01, canBeNone: true },
  tokens_per_day: { label: "Tokens a day", format: tokens, used: ({ usage }) => tokensOf(usage.today), step: 1, canBeNone: true },
  turns_per_day: { label: "Turns a day", format: number, step: 1, canBeNone: true },
  storage_bytes: { label: "Storage", format: bytes, used: ({ bytes: { database, files } }) => database + files, unit: "MB", scale: MEGABYTE, step: 1, canBeNone: true },
  concurrency: { label: "Turns at once", format: number, step: 1, canBeNone: false },
  queued_turns: { label: "Turns that wait", format: number, step: 1, canBeNone: false },
};
const NAMES = Object.keys(LIMITS) as Name[];

export function LimitsSection({ client, account, onChanged }: { client: AgentClient; account: Account; onChanged: () => void }) {
  const [isEditing, setEditing] = useState(false);
  return (
    <section aria-labelledby="limits">
      <div className="section-head">
        <h2 id="limits">Limits</h2>
        <Button icon="pencil" onClick={() => setEditing(true)}>
          Change
        </Button>
      </div>
      <dl className="limits">
        {NAMES.map((name) => (
          <Limit key={name} name={name} account={account} />
        ))}
      </dl>
      {isEditing && <LimitsForm client={client} account={account} onSaved={onChanged} onClose={() => setEditing(false)} />}
    </section>
  );
}

function Limit({ name, account }: { name: Name; account: Account }) {
  const { label, format, used } = LIMITS[name];
  const most = account.limits[name];
  const is = used?.(account);
  const bound = most === null ? "no limit" : format(most);
  const text = is === undefined ? bound : most === null ? `${format(is)}, ${bound}` : `${format(is)} of ${bound}`;
  return (
    <div>
      <dt>
        {label} {name in account.set_limits && <small>set for this account</small>}
      </dt>
      <dd>
        {text}
        {is !== undefined && most !== null && most > 0 && <meter min={0} max={most} high={most * 0.8} value={Math.min(is, most)} aria-label={`${label}: ${text}`} />}
      </dd>
    </div>
  );
}

/** A limit of the account's own, as it is typed; or none; or that of all accounts. */
type Choice = { by: "all" | "none" | "own"; value: string };

function choiceOf(name: Name, { set_limits, limits }: Account): Choice {
  const own = set_limits[name];
  const shown = (value: number | null | undefined): string => (value === null || value === undefined ? "" : String(value / (LIMITS[name].scale ?? 1)));
  if (!(name in set_limits) || (own === null && !LIMITS[name].canBeNone)) return { by: "all", value: shown(limits[name]) };
  return own === null ? { by: "none", value: "" } : { by: "own", value: shown(own) };
}

function LimitsForm({ client, account, onSaved, onClose }: { client: AgentClient; account: Account; onSaved: () => void; onClose: () => void }) {
  const [choices, setChoices] = useState(() => Object.fromEntries(NAMES.map((name) => [name, choiceOf(name, account)])) as Record<Name, Choice>);
  const [days, setDays] = useState(String(account.retention_days));
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const wanted = NAMES.filter((name) => choices[name].by !== "all").map((name): [Name, number | null] => [name, choices[name].by === "none" ? null : Number(choices[name].value) * (LIMITS[name].scale ?? 1)]);
    try {
      // What is absent stays as it is: to take one back, all are, and those that remain are set again.
      if (NAMES.some((name) => name in account.set_limits && choices[name].by === "all")) await client.changeAccount(account.account_id, { limits: null });
      await client.changeAccount(account.account_id, { limits: Object.fromEntries(wanted), ...(days !== String(account.retention_days) && { retention_days: days === "" ? null : Number(days) }) });
      onSaved();
      onClose();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Limits of “${account.account_id}”`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {NAMES.map((name) => (
          <LimitField key={name} name={name} choice={choices[name]} onChange={(choice) => setChoices({ ...choices, [name]: choice })} />
        ))}
        <label>
          Days that conversations are kept
          <input type="number" min={0} step={1} value={days} onChange={(event) => setDays(event.target.value)} />
          <span className="hint">After their last access. Empty: as for all accounts.</span>
        </label>
        {error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={isBusy}>
            Save
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function LimitField({ name, choice, onChange }: { name: Name; choice: Choice; onChange: (choice: Choice) => void }) {
  const { label, unit, step, canBeNone } = LIMITS[name];
  return (
    <fieldset className="limit-field">
      <legend>{label}</legend>
      <select aria-label={`${label}: which limit`} value={choice.by} onChange={(event) => onChange({ ...choice, by: event.target.value as Choice["by"] })}>
        <option value="all">As for all accounts</option>
        {canBeNone && <option value="none">No limit</option>}
        <option value="own">At most …</option>
      </select>
      {choice.by === "own" && <input type="number" required min={0} step={step} aria-label={unit === undefined ? label : `${label} in ${unit}`} placeholder={unit} value={choice.value} onChange={(event) => onChange({ ...choice, value: event.target.value })} />}
    </fieldset>
  );
}
