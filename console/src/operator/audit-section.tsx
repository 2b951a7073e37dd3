/** Who asked for which change: of one account, or of all of them. */
import { useCallback, useState } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { href } from "../route.ts";
import { Button, Failure, Spinner } from "../ui/controls.tsx";
import { dateTime, number } from "../ui/format.ts";
import { usePages } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";

type Entry = Schemas["AuditEntry"];
type Next = Awaited<ReturnType<AgentClient["listAudit"]>>["next"];

/** As the service has it: its largest page, and how long entries are kept. */
const PAGE = 100;
const KEPT_DAYS = 400;
/** Requests before somebody has to ask for more. */
const MAX_REQUESTS = 10;
const ROWS = 10;

const WORDS: Record<Schemas["AuditAction"], string> = {
  change_account: "Change the account",
  erase_account: "Erase the account",
  import_account: "Import into the account",
  make_token: "Make a token",
  start_purge_run: "Run the purge",
};

export function AuditSection({ client, accountId }: { client: AgentClient; accountId?: string }) {
  const [rows, setRows] = useState(ROWS);
  const load = useCallback((next: Next, signal: AbortSignal) => read(client, accountId, next, signal), [client, accountId]);
  const [list, further] = usePages(load);
  // The directory's parts come one after another, each with its newest first.
  const entries = list.items.toSorted((a, b) => b.at - a.at);
  const more = (): void => {
    if (rows >= entries.length) further();
    setRows(rows + ROWS);
  };
  return (
    <section aria-labelledby="audit">
      <div className="section-head">
        <div>
          <h2 id="audit">Audit</h2>
          <p>
            Who asked for which change{accountId === undefined && " of which account"}, whether or not it was refused then; kept for {KEPT_DAYS} days.
          </p>
        </div>
      </div>
      {list.phase === "loading" && <Spinner label="Loading the audit" />}
      {list.phase === "ready" && entries.length === 0 && <p className="note">{list.hasMore ? "Nothing so far: only a part of the audit has been read." : "Nobody has asked for a change yet."}</p>}
      {entries.length > 0 && (
        <Table label="Table of the audit" columns={accountId === undefined ? ["When", "Who", "What", "Account", "Request"] : ["When", "Who", "What", "Request"]}>
          {entries.slice(0, rows).map(({ at, actor, action, target, request_id }) => (
            <tr key={`${at} ${request_id}`}>
              <td>{dateTime(at)}</td>
              <td className="long" title={actor}>
                {nameOf(actor)}
              </td>
              <td>{WORDS[action] ?? action}</td>
              {accountId === undefined && <td className="long">{target === null ? (action === "make_token" ? "not recorded" : "all") : <a href={href.account(target)}>{target}</a>}</td>}
              <td>
                <code>{request_id}</code>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {list.hasMore && entries.length > 0 && <p className="fine">{number(entries.length)} so far; there may be newer ones among those that have not been read.</p>}
      {list.phase === "failed" && <Failure error={list.error} onRetry={further} />}
      {(list.hasMore || rows < entries.length) && (
        <Button className="more" onClick={more}>
          {rows < entries.length ? "Show more" : "Read on"}
        </Button>
      )}
    </section>
  );
}

/** The entries of an account are found among those of all: the service has no list of its own for them. */
async function read(client: AgentClient, accountId: string | undefined, from: Next, signal: AbortSignal): Promise<{ items: Entry[]; next: Next }> {
  const items: Entry[] = [];
  let next: Next = from ?? { limit: PAGE };
  for (let count = 0; next !== undefined && count < MAX_REQUESTS && items.length < PAGE; count += 1) {
    const page: Awaited<ReturnType<AgentClient["listAudit"]>> = await client.listAudit({ ...next, signal });
    items.push(...page.items.filter(({ target }) => accountId === undefined || target === accountId));
    next = page.next;
  }
  return { items, next };
}

/** `key:billing` is the key that was named so; of a key without a name, the beginning of its digest is enough. */
function nameOf(actor: string): string {
  const [kind = "", name = ""] = actor.split(/:(.*)/s);
  if (kind === "key") return `key ${name.slice(0, 24)}`;
  if (kind === "token") return `a token of ${name}`;
  return actor === "nobody" ? "nobody signed in" : actor;
}
