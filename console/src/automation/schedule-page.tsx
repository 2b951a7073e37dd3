/** One schedule: what it asks and when, its next times, and what came of the last ones. */
import { useCallback, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Library } from "../chat/library.ts";
import { href } from "../route.ts";
import type { Session } from "../session/session.ts";
import { adviceFor } from "../ui/advice.ts";
import { Button, Confirm, Failure, Menu, Spinner } from "../ui/controls.tsx";
import { Fact, Status } from "../ui/facts.tsx";
import type { Look } from "../ui/facts.tsx";
import { dateTime, distance, inZone } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";
import { requestOf, ScheduleForm } from "./schedule-form.tsx";
import { ScheduleStatus } from "./parts.tsx";
import { wordsOf } from "./times.ts";
import { useActs } from "./use-acts.ts";
import { useReloadOnTurns } from "./use-turns.ts";

type Schedule = Schemas["Schedule"];
type Run = Schemas["ScheduleRun"];
type Read = { schedule: Schedule; runs: Run[] };

const FIRST_RUNS = 20;
/** As the service has it. */
const MAX_RUNS = 100;

export function SchedulePage({ session: { client }, library, name }: { session: Session; library: Library; name: string }) {
  const [limit, setLimit] = useState(FIRST_RUNS);
  const load = useCallback(
    async (signal: AbortSignal): Promise<Read> => {
      const [schedule, runs] = await Promise.all([client.readSchedule(name, { signal }), client.listRuns(name, { limit, signal })]);
      return { schedule, runs: runs.items };
    },
    [client, name, limit],
  );
  const [read, reload] = useLoaded(load);
  const [isEditing, setEditing] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const { isBusy, error, act, remove } = useActs(reload, () => client.deleteSchedule(name));
  useReloadAt(read, ({ schedule, runs }) => (runs.some(isGoingOn) ? 0 : schedule.next_runs[0]), reload);
  useReloadOnTurns(library, reload);

  if (read.phase === "loading") return <Spinner label="Loading the schedule" />;
  if (read.phase === "failed") return <Failure error={read.error} onRetry={reload} />;
  const { schedule, runs } = read.value;
  const isOn = schedule.enabled && schedule.paused === undefined;
  return (
    <>
      <section aria-labelledby="schedule">
        <div className="section-head">
          <h2 id="schedule">
            {name} <ScheduleStatus schedule={schedule} />
          </h2>
          <div className="actions">
            <Button icon="play" disabled={isBusy} onClick={() => void act(() => client.runSchedule(name))}>
              Run now
            </Button>
            <Button icon={isOn ? "pause" : "rewind"} disabled={isBusy} onClick={() => void act(() => client.setSchedule(name, { ...requestOf(schedule), enabled: !isOn }))}>
              {isOn ? "Pause" : "Resume"}
            </Button>
            <Menu
              label="Schedule"
              items={[
                { label: "Change", icon: "pencil", onSelect: () => setEditing(true) },
                { label: "Delete", icon: "trash", danger: true, onSelect: () => setDeleting(true) },
              ]}
            />
          </div>
        </div>
        {error !== undefined && <Failure error={error} />}
        <Facts schedule={schedule} library={library} />
      </section>
      <section aria-labelledby="next">
        <h2 id="next">Next times</h2>
        {schedule.next_runs.length === 0 ? (
          <p className="note">{isOn ? "No time comes any more." : "None while it is paused."}</p>
        ) : (
          <ol className="next">
            {schedule.next_runs.map((at) => (
              <li key={at}>
                <b>{inZone(at, schedule.timezone)}</b>
                <small>{distance(at)}</small>
              </li>
            ))}
          </ol>
        )}
      </section>
      <section aria-labelledby="runs">
        <h2 id="runs">Runs</h2>
        {runs.length === 0 ? <p className="note">It has not run yet.</p> : <Runs runs={runs} />}
        {runs.length === limit && limit < MAX_RUNS && (
          <Button className="more" onClick={() => setLimit(MAX_RUNS)}>
            Show more
          </Button>
        )}
      </section>
      {isEditing && <ScheduleForm client={client} library={library} schedule={schedule} onSaved={reload} onClose={() => setEditing(false)} />}
      {isDeleting && (
        <Confirm title="Delete this schedule?" action="Delete" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>“{name}” will not run any more. The conversations of its runs stay.</p>
        </Confirm>
      )}
    </>
  );
}

function Facts({ schedule: { cron, timezone, query, conversation, missed, options }, library }: { schedule: Schedule; library: Library }) {
  const words = wordsOf(cron);
  const known = library.state.conversations.find(({ session_id }) => session_id === conversation);
  return (
    <dl className="facts">
      <Fact name="Asks">
        <p className="asked">{query}</p>
      </Fact>
      <Fact name="When">
        {words}, {timezone} {words !== cron && <small className="fine">{cron}</small>}
      </Fact>
      <Fact name="In">{conversation === "new" ? "a new conversation each time" : <a href={href.conversation(conversation)}>{known?.title || conversation}</a>}</Fact>
      <Fact name="If a time is missed">{missed === "skip" ? "it waits for the next one" : "it runs as soon as possible, once"}</Fact>
      {Object.entries(options).map(([name, value]) => (
        <Fact key={name} name={name}>
          <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>
        </Fact>
      ))}
    </dl>
  );
}

function Runs({ runs }: { runs: Run[] }) {
  return (
    <Table label="Table of the runs" columns={["Due", "Result", "Conversation"]}>
      {runs.map(({ turn_id, scheduled_at, status, failure, session_id }) => (
        <tr key={turn_id ?? scheduled_at}>
          <td>{dateTime(scheduled_at)}</td>
          <td>
            <Status look={lookOf(status, failure)}>{resultOf(status, failure)}</Status>
          </td>
          <td>{session_id === null ? "none" : <a href={href.conversation(session_id)}>Open</a>}</td>
        </tr>
      ))}
    </Table>
  );
}

const isGoingOn = ({ status }: Run): boolean => status === "queued" || status === "running";

function lookOf(status: Run["status"], failure: string | null): Look {
  if (failure !== null || status === "failed" || status === "interrupted") return "bad";
  return status === "completed" ? "good" : status === "queued" || status === "running" ? "busy" : "quiet";
}

function resultOf(status: Run["status"], failure: string | null): string {
  if (failure !== null) return titleOf(failure);
  return status === null ? "deleted" : status;
}

/** What a code says to people. */
function titleOf(code: string): string {
  return adviceFor({ code, title: code, detail: code, status: 0 }).title;
}
