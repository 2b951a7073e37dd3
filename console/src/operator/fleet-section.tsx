/** What all accounts are at: how many work, their turns and containers, and how the last hour went. */
import { useCallback } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Session } from "../session/session.ts";
import { adviceFor } from "../ui/advice.ts";
import { Failure, Spinner } from "../ui/controls.tsx";
import { Figure } from "../ui/figure.tsx";
import { number } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";

const RELOAD_MS = 10_000;

export function FleetSection({ session: { client } }: { session: Session }) {
  const load = useCallback((signal: AbortSignal) => client.readFleet({ signal }), [client]);
  const [fleet, reload] = useLoaded(load);
  useReloadAt(fleet, () => Date.now() + RELOAD_MS, reload);
  return (
    <section aria-labelledby="fleet">
      <div>
        <h2 id="fleet">Now</h2>
        <p className="fine">What accounts report while they work. One that has been quiet may be missing.</p>
      </div>
      {fleet.phase === "loading" && <Spinner label="Loading what goes on" />}
      {fleet.phase === "failed" && <Failure error={fleet.error} onRetry={reload} />}
      {fleet.phase === "ready" && <Now fleet={fleet.value} />}
    </section>
  );
}

function Now({ fleet: { accounts, turns, containers, versions, last_hour: hour } }: { fleet: Schemas["Fleet"] }) {
  const codes = Object.entries(hour.codes).sort(([, one], [, other]) => other - one);
  const versionsThere = Object.entries(versions);
  return (
    <>
      <dl className="figures">
        <Figure name="Accounts at work" value={number(accounts.at_work)} unit={`of ${number(accounts.reporting)} heard of lately`} />
        <Figure name="Turns" value={number(turns.running)} unit={`running, ${number(turns.queued)} waiting`} />
        <Figure name="Containers" value={number(containers.running)} unit={`running, ${number(containers.starting)} starting${containers.failed > 0 ? `, ${number(containers.failed)} did not start` : ""}`} />
        <Figure name="Turns in the last hour" value={number(hour.turns)} unit={hour.turns === 0 ? "" : `${(hour.error_rate * 100).toFixed(hour.error_rate > 0 && hour.error_rate < 0.1 ? 1 : 0)} % failed`} />
      </dl>
      {codes.length > 0 && (
        <Table label="Table of why turns did not complete" columns={["Why turns of the last hour did not complete", "Code", "Turns"]}>
          {codes.map(([code, count]) => (
            <tr key={code}>
              <td>{adviceFor({ code, title: code, detail: code, status: 0 }).title}</td>
              <td>
                <code>{code}</code>
              </td>
              <td>{number(count)}</td>
            </tr>
          ))}
        </Table>
      )}
      {versionsThere.length > 1 && (
        <p className="notice">
          Accounts run several versions: {versionsThere.map(([version, count]) => `${version} (${number(count)})`).join(", ")}
        </p>
      )}
    </>
  );
}
