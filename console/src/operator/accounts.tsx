/** The list of accounts, with what each has used today. */
import { useCallback, useMemo, useState } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { go, href } from "../route.ts";
import type { Session } from "../session/session.ts";
import { Button, Failure, Spinner } from "../ui/controls.tsx";
import { Status } from "../ui/facts.tsx";
import { dateTime, dollars, number, tokens } from "../ui/format.ts";
import { useLoaded, usePages } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";
import { today, tokensOf } from "./usage.ts";

type Filter = "all" | Schemas["AccountStatus"];
type Next = Awaited<ReturnType<AgentClient["listAccounts"]>>["next"];

const PAGE = 50;
/** As the service has it. */
const USAGE_PAGE = 50;
const MAX_USAGE_PAGES = 4;

export function Accounts({ session: { client } }: { session: Session }) {
  const [filter, setFilter] = useState<Filter>("all");
  const load = useCallback((next: Next, signal: AbortSignal) => client.listAccounts({ limit: PAGE, ...(filter !== "all" && { status: filter }), ...next, signal }), [client, filter]);
  const [accounts, more, reload] = usePages(load);
  const [wanted, setWanted] = useState("");
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    go(href.account(wanted.trim()));
  };
  return (
    <section aria-labelledby="accounts">
      <div className="section-head">
        <div>
          <h2 id="accounts">Accounts</h2>
          <p>What each has used today. The id leads to all there is of it.</p>
        </div>
        <form className="find" onSubmit={submit}>
          <input aria-label="Account to open" placeholder="Open by its id" required maxLength={128} autoComplete="off" spellCheck={false} value={wanted} onChange={(event) => setWanted(event.target.value)} />
          <Button type="submit" disabled={wanted.trim() === ""}>
            Open
          </Button>
          <select aria-label="Which accounts" value={filter} onChange={(event) => setFilter(event.target.value as Filter)}>
            <option value="all">All</option>
            <option value="active">Active</option>
            <option value="suspended">Suspended</option>
          </select>
        </form>
      </div>
      {accounts.phase === "loading" && <Spinner label="Loading the accounts" />}
      {accounts.phase === "failed" && <Failure error={accounts.error} onRetry={reload} />}
      {accounts.phase === "ready" && accounts.items.length === 0 && <p className="note">{filter === "suspended" ? "No account is suspended." : "No account yet. The first question makes one."}</p>}
      {accounts.items.length > 0 && <AccountTable client={client} accounts={accounts.items} />}
      {accounts.hasMore && (
        <Button className="more" onClick={more}>
          Show more
        </Button>
      )}
    </section>
  );
}

function AccountTable({ client, accounts }: { client: AgentClient; accounts: Schemas["AccountSummary"][] }) {
  const load = useCallback((signal: AbortSignal) => usageOfToday(client, signal), [client]);
  const [used] = useLoaded(load);
  const rows = useMemo(() => new Map(used.phase === "ready" ? used.value.map((row) => [row.account_id, row]) : []), [used]);
  return (
    <>
      <Table label="Table of the accounts" columns={["Account", "Status", "Last active", "Turns today", "Tokens today", "Cost today"]}>
        {accounts.map(({ account_id, status, last_active_at }) => {
          const row = rows.get(account_id);
          return (
            <tr key={account_id}>
              <td className="long" title={account_id}>
                <a href={href.account(account_id)}>{account_id}</a>
              </td>
              <td>
                <Status look={status === "active" ? "good" : "bad"}>{status}</Status>
              </td>
              <td>{last_active_at === null ? "unknown" : dateTime(last_active_at)}</td>
              <td>{used.phase === "loading" ? "…" : number(row?.turns ?? 0)}</td>
              <td>{used.phase === "loading" ? "…" : tokens(row === undefined ? 0 : tokensOf(row))}</td>
              <td>{used.phase === "loading" ? "…" : dollars(row?.cost_usd ?? 0)}</td>
            </tr>
          );
        })}
      </Table>
      {used.phase === "failed" && <Failure error={used.error} />}
    </>
  );
}

async function usageOfToday(client: AgentClient, signal: AbortSignal): Promise<Schemas["AccountUsage"][]> {
  let page = await client.listAccountsUsage({ day: today(), limit: USAGE_PAGE, signal });
  const found = [...page.items];
  for (let count = 1; page.next !== undefined && count < MAX_USAGE_PAGES; count += 1) {
    page = await client.listAccountsUsage({ ...page.next, signal });
    found.push(...page.items);
  }
  return found;
}
