/** For the operator: what an account stores, what is due to be deleted, and the purge runs over all accounts. */
import { useCallback, useEffect, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Session } from "../session/session.ts";
import { Button, Confirm, Failure, Spinner } from "../ui/controls.tsx";
import { bytes, dateTime, duration, number } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";

export default function OperatorPage({ session }: { session: Session }) {
  useEffect(() => {
    document.title = "Operator · Agent console";
  }, []);
  return (
    <div className="page" tabIndex={0} role="region" aria-label="Operator">
      <header className="page-head">
        <h1>Operator</h1>
      </header>
      <div className="page-body">
        <Storage session={session} />
        <PurgeRuns session={session} />
      </div>
    </div>
  );
}

function Storage({ session: { client, accountId } }: { session: Session }) {
  const load = useCallback((signal: AbortSignal) => client.storageStats({ signal }), [client]);
  const [stats, reload] = useLoaded(load);
  const [isPurging, setPurging] = useState(false);
  const [deleted, setDeleted] = useState<Schemas["PurgeResult"]>();
  const purge = async (): Promise<void> => {
    setDeleted(await client.purge());
    reload();
  };
  return (
    <section aria-labelledby="storage">
      <div className="section-head">
        <div>
          <h2 id="storage">Storage of “{accountId}”</h2>
          <p>Choose another account at the bottom of the list.</p>
        </div>
        {stats.phase === "ready" && (
          <Button icon="trash" disabled={stats.value.conversations_ready_to_purge === 0} onClick={() => setPurging(true)}>
            Delete what is due
          </Button>
        )}
      </div>
      {stats.phase === "loading" && <Spinner label="Loading" />}
      {stats.phase === "failed" && <Failure error={stats.error} onRetry={reload} />}
      {stats.phase === "ready" && <Figures stats={stats.value} />}
      {deleted !== undefined && (
        <p role="status" className="notice">
          {deleted.deleted === 1 ? "One conversation was deleted." : `${number(deleted.deleted)} conversations were deleted.`}
          {deleted.errors > 0 && ` ${number(deleted.errors)} could not be; the next run tries them again.`}
        </p>
      )}
      {isPurging && stats.phase === "ready" && (
        <Confirm title="Delete what is due?" action="Delete" onConfirm={purge} onClose={() => setPurging(false)}>
          <p>
            {number(stats.value.conversations_ready_to_purge)} conversations of “{accountId}” that nobody has touched for {stats.value.retention_policy_days} days will be gone, with their files.
          </p>
        </Confirm>
      )}
    </section>
  );
}

function Figures({ stats }: { stats: Schemas["StorageStats"] }) {
  const { total_conversations, total_messages, database_bytes, oldest_conversation_age_days: oldest, conversations_ready_to_purge, retention_policy_days } = stats;
  return (
    <dl className="figures">
      <Figure name="Conversations" value={number(total_conversations)} />
      <Figure name="Messages" value={number(total_messages)} />
      <Figure name="Database" value={bytes(database_bytes)} />
      <Figure name="Oldest" value={oldest === null ? "none" : oldest < 1 ? "today" : `${Math.floor(oldest)}`} unit={oldest !== null && oldest >= 1 ? "days ago" : ""} />
      <Figure name="Due for deletion" value={number(conversations_ready_to_purge)} unit={`after ${retention_policy_days} days`} />
    </dl>
  );
}

function Figure({ name, value, unit = "" }: { name: string; value: string; unit?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} <small>{unit}</small>
      </dd>
    </div>
  );
}

function PurgeRuns({ session: { client } }: { session: Session }) {
  const load = useCallback((signal: AbortSignal) => client.listPurgeRuns({ signal }), [client]);
  const [runs, reload] = useLoaded(load);
  const [isStarting, setStarting] = useState(false);
  // While a run goes on, its figures change.
  useReloadAt(runs, (all) => (all.some(({ finished_at }) => finished_at === null) ? 0 : undefined), reload);
  const start = async (): Promise<void> => {
    await client.startPurgeRun();
    reload();
  };
  return (
    <section aria-labelledby="purge-runs">
      <div className="section-head">
        <div>
          <h2 id="purge-runs">Purge runs</h2>
          <p>Every night at 02:00 UTC, what is due is deleted in all accounts.</p>
        </div>
        <Button icon="rewind" onClick={() => setStarting(true)}>
          Run now
        </Button>
      </div>
      {runs.phase === "loading" && <Spinner label="Loading" />}
      {runs.phase === "failed" && <Failure error={runs.error} onRetry={reload} />}
      {runs.phase === "ready" && runs.value.length === 0 && <p className="note">No run yet. The first one is tonight, or now if you start it.</p>}
      {runs.phase === "ready" && runs.value.length > 0 && <RunTable runs={runs.value} />}
      {isStarting && (
        <Confirm title="Run the purge now?" action="Run now" danger={false} onConfirm={start} onClose={() => setStarting(false)}>
          <p>Conversations whose retention period is over are deleted in all accounts, as they would be tonight.</p>
        </Confirm>
      )}
    </section>
  );
}

function RunTable({ runs }: { runs: Schemas["PurgeRun"][] }) {
  return (
    <Table label="Table of the purge runs" columns={["Started", "By", "Took", "Accounts", "Failed", "Deleted"]}>
      {runs.map(({ run_id, started_at, finished_at, trigger, accounts_due, accounts_done, accounts_failed, conversations_deleted }) => (
        <tr key={run_id}>
          <td>{dateTime(started_at)}</td>
          <td>{trigger === "cron" ? "schedule" : "operator"}</td>
          <td>{finished_at === null ? <Spinner label="running" /> : duration(finished_at - started_at)}</td>
          <td>
            {number(accounts_done)} of {number(accounts_due)}
          </td>
          <td>{number(accounts_failed)}</td>
          <td>{number(conversations_deleted)}</td>
        </tr>
      ))}
    </Table>
  );
}
