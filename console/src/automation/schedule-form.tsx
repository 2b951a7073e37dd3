/** Makes a schedule or changes one. What the form has no field for stays as it is. */
import { useState } from "react";
import type { FormEvent } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import type { Library } from "../chat/library.ts";
import { nameOf } from "../chat/sidebar.tsx";
import { useStore } from "../store.ts";
import { Button, Dialog, Failure } from "../ui/controls.tsx";
import { NameField } from "./name-field.tsx";
import { cronOf, MAX_DAY, RHYTHMS, timesOf, WEEKDAYS } from "./times.ts";
import type { Rhythm, Times } from "./times.ts";

type Schedule = Schemas["Schedule"];
type Props = { client: AgentClient; library: Library; schedule?: Schedule; taken?: string[]; onSaved: (saved: Schedule) => void; onClose: () => void };

const EVERY_MORNING = "0 9 * * *";
/** As the service has it. */
const MAX_QUERY_BYTES = 65_536;
const NEW = "new";
/** `UTC` is missing from what browsers list. */
const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone")];

/** The request that sets a schedule to what it is. */
export function requestOf({ cron, timezone, query, conversation, missed, enabled, options }: Schedule): Parameters<AgentClient["setSchedule"]>[1] {
  return { ...options, cron, timezone, query, conversation, missed, enabled };
}

export function ScheduleForm({ client, library, schedule, taken = [], onSaved, onClose }: Props) {
  const [name, setName] = useState(schedule?.name ?? "");
  const [query, setQuery] = useState(schedule?.query ?? "");
  const [times, setTimes] = useState(() => timesOf(schedule?.cron ?? EVERY_MORNING));
  const [timezone, setTimezone] = useState(schedule?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [conversation, setConversation] = useState(schedule?.conversation ?? NEW);
  const [missed, setMissed] = useState(schedule?.missed ?? "skip");
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const before = schedule === undefined ? { enabled: true } : requestOf(schedule);
    try {
      onSaved(await client.setSchedule(name, { ...before, cron: cronOf(times), timezone: timezone.trim(), query: query.trim(), conversation, missed }));
      onClose();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };

  return (
    <Dialog title={schedule === undefined ? "New schedule" : `Change “${name}”`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {schedule === undefined && <NameField name={name} taken={taken} onChange={setName} />}
        <label>
          What should the agent do?
          <textarea required rows={3} maxLength={MAX_QUERY_BYTES} value={query} onChange={(event) => setQuery(event.target.value)} />
        </label>
        <TimesFields times={times} onChange={setTimes} />
        <label>
          Time zone
          <input required list="zones" spellCheck={false} autoComplete="off" value={timezone} onChange={(event) => setTimezone(event.target.value)} />
          <datalist id="zones">
            {ZONES.map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
        </label>
        <ConversationField library={library} conversation={conversation} onChange={setConversation} />
        <label className="check">
          <input type="checkbox" checked={missed === "run_once"} onChange={(event) => setMissed(event.target.checked ? "run_once" : "skip")} />
          If a time is missed, run it as soon as possible
        </label>
        {error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={isBusy || query.trim() === ""}>
            {schedule === undefined ? "Create" : "Save"}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function TimesFields({ times, onChange }: { times: Times; onChange: (times: Times) => void }) {
  const { rhythm, time, weekday, day, cron } = times;
  return (
    <div className="times">
      <label>
        When
        <select value={rhythm} onChange={(event) => onChange({ ...times, rhythm: event.target.value as Rhythm, cron: rhythm === "cron" ? cron : cronOf(times) })}>
          {Object.entries(RHYTHMS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {rhythm === "weekly" && (
        <label>
          On
          <select value={weekday} onChange={(event) => onChange({ ...times, weekday: Number(event.target.value) })}>
            {WEEKDAYS.map((name, index) => (
              <option key={name} value={index}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      {rhythm === "monthly" && (
        <label>
          On day
          <input type="number" required min={1} max={MAX_DAY} value={day} onChange={(event) => onChange({ ...times, day: Number(event.target.value) })} />
        </label>
      )}
      {rhythm === "hourly" && (
        <label>
          At minute
          <input type="number" required min={0} max={59} value={Number(time.slice(3))} onChange={(event) => onChange({ ...times, time: `${time.slice(0, 2)}:${event.target.value.padStart(2, "0")}` })} />
        </label>
      )}
      {rhythm === "cron" && (
        <label>
          Cron
          <input required spellCheck={false} autoComplete="off" value={cron} onChange={(event) => onChange({ ...times, cron: event.target.value })} />
          <span className="hint">Minute, hour, day of the month, month, day of the week.</span>
        </label>
      )}
      {rhythm !== "hourly" && rhythm !== "cron" && (
        <label>
          At
          <input type="time" required value={time} onChange={(event) => onChange({ ...times, time: event.target.value })} />
        </label>
      )}
    </div>
  );
}

function ConversationField({ library, conversation, onChange }: { library: Library; conversation: string; onChange: (conversation: string) => void }) {
  const { conversations } = useStore(library);
  const isListed = conversation === NEW || conversations.some(({ session_id }) => session_id === conversation);
  return (
    <label>
      In
      <select value={conversation} onChange={(event) => onChange(event.target.value)}>
        <option value={NEW}>A new conversation each time</option>
        {!isListed && <option value={conversation}>{conversation}</option>}
        {conversations.length > 0 && (
          <optgroup label="One that goes on">
            {conversations.map((summary) => (
              <option key={summary.session_id} value={summary.session_id}>
                {nameOf(summary)}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </label>
  );
}
