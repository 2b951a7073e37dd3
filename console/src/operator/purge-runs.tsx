/** The purge runs over all accounts: the nightly ones, and those that an operator starts. */
import { useCallback, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Session } from "../session/session.ts";
import { Button, Confirm, Failure, Spinner } from "../ui/controls.tsx";
import { dateTime, duration, number } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";

export function PurgeRuns({ session: { client } }: { session: Session }) {
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
