/** What an account stores, and what of it is due to be deleted. */
import { useCallback, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Session } from "../session/session.ts";
import { Button, Confirm, Failure, Spinner } from "../ui/controls.tsx";
import { Figure } from "../ui/figure.tsx";
import { bytes, number } from "../ui/format.ts";
import { useLoaded } from "../ui/loaded.ts";

export function Storage({ session: { client }, accountId }: { session: Session; accountId: string }) {
  const load = useCallback((signal: AbortSignal) => client.storageStats({ accountId, signal }), [client, accountId]);
  const [stats, reload] = useLoaded(load);
  const [isPurging, setPurging] = useState(false);
  const [deleted, setDeleted] = useState<Schemas["PurgeResult"]>();
  const purge = async (): Promise<void> => {
    setDeleted(await client.purge({ accountId }));
    reload();
  };
  return (
    <section aria-labelledby="storage">
      <div className="section-head">
        <h2 id="storage">Storage</h2>
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
