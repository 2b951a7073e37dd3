/** The receipt of an erasure: that it goes on, or what was erased and when nothing was left. */
import { useCallback } from "react";
import { href } from "../route.ts";
import type { Session } from "../session/session.ts";
import { CopyButton, Failure, Spinner } from "../ui/controls.tsx";
import { Fact, Status } from "../ui/facts.tsx";
import { bytes, dateTime, number } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";

export function ErasurePage({ session: { client }, erasureId }: { session: Session; erasureId: string }) {
  const load = useCallback((signal: AbortSignal) => client.readErasure(erasureId, { signal }), [client, erasureId]);
  const [read, reload] = useLoaded(load);
  useReloadAt(read, ({ status }) => (status === "pending" ? 0 : undefined), reload);
  if (read.phase === "loading") return <Spinner label="Loading the receipt" />;
  if (read.phase === "failed") return <Failure error={read.error} onRetry={reload} />;
  const { status, requested_at, erased_at, counts } = read.value;
  return (
    <section aria-labelledby="erasure">
      <h2 id="erasure">
        Receipt <Status look={status === "done" ? "good" : "busy"}>{status === "done" ? "erased" : "goes on"}</Status>
      </h2>
      <p role="status">{status === "done" ? "Nothing of the account is left." : "The erasure goes on by itself, also if you leave this page."}</p>
      <dl className="facts">
        <Fact name="Receipt">
          <code>{erasureId}</code> <CopyButton text={erasureId} label="Copy the receipt's id" />
        </Fact>
        <Fact name="Asked for">{dateTime(requested_at)}</Fact>
        {erased_at !== null && <Fact name="Nothing left at">{dateTime(erased_at)}</Fact>}
        {counts !== null && (
          <Fact name="Erased">
            {number(counts.conversations)} conversations, {number(counts.turns)} turns, {number(counts.messages)} messages, {bytes(counts.database_bytes)} of the database, {bytes(counts.files_bytes)} of files
          </Fact>
        )}
      </dl>
      <p className="fine">The receipt is kept for 400 days and holds nothing of what was erased. Note its id: this page is the only place that shows it.</p>
      <p>
        <a href={href.operator}>Back to the accounts</a>
      </p>
    </section>
  );
}
