/** One account: how it stands, what it may use and has used, its conversations, and what its turns wait for. */
import { useCallback, useState } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";
import { go, href } from "../route.ts";
import { open } from "../session/session.ts";
import type { Session } from "../session/session.ts";
import { Button, Confirm, Dialog, Failure, Menu, Spinner } from "../ui/controls.tsx";
import { Fact, Status } from "../ui/facts.tsx";
import { bytes, dateTime, distance, number } from "../ui/format.ts";
import { useLoaded, usePages } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";
import { AuditSection } from "./audit-section.tsx";
import { EraseForm } from "./erase-form.tsx";
import { LimitsSection } from "./limits-section.tsx";
import { Storage } from "./storage.tsx";
import { UsageSection } from "./usage-section.tsx";

type Account = Schemas["Account"];
type Props = { session: Session; accountId: string; onSession: (session: Session) => void };

export function AccountPage({ session, accountId, onSession }: Props) {
  const { client } = session;
  const load = useCallback((signal: AbortSignal) => client.readAccount(accountId, { signal }), [client, accountId]);
  const [read, readAgain] = useLoaded(load);
  const [changes, setChanges] = useState(0);
  const reload = (): void => {
    readAgain();
    setChanges(changes + 1);
  };
  const [shown, setShown] = useState<"suspend" | "activate" | "erase">();
  if (read.phase === "loading") return <Spinner label="Loading the account" />;
  if (read.phase === "failed") return <Failure error={read.error} onRetry={reload} />;
  const account = read.value;
  const isActive = account.status === "active";
  const speakAs = (): void => {
    onSession(open(session.credential, accountId));
    go(href.new);
  };
  const activate = async (): Promise<void> => {
    await client.changeAccount(accountId, { status: "active" });
    reload();
  };
  return (
    <>
      <section aria-labelledby="account">
        <div className="section-head">
          <h2 id="account">
            {accountId} <Status look={isActive ? "good" : "bad"}>{account.status}</Status>
          </h2>
          <div className="actions">
            <Button icon={isActive ? "pause" : "play"} onClick={() => setShown(isActive ? "suspend" : "activate")}>
              {isActive ? "Suspend" : "Activate"}
            </Button>
            <Menu
              label="Account's menu"
              items={[
                ...(session.kind === "token" ? [] : [{ label: "Speak as this account", icon: "chat" as const, onSelect: speakAs }]),
                { label: "Erase", icon: "trash", danger: true, onSelect: () => setShown("erase") },
              ]}
            />
          </div>
        </div>
        <Facts account={account} />
        {account.last_active_day === null && account.conversations === 0 && <p className="note">Nobody has used this account so far. It begins with its first question; what is set here holds from then on.</p>}
      </section>
      <LimitsSection client={client} account={account} onChanged={reload} />
      <UsageSection session={session} accountId={accountId} />
      <Conversations client={client} accountId={accountId} />
      <Waiting client={client} accountId={accountId} />
      <Storage session={session} accountId={accountId} />
      <AuditSection key={changes} client={client} accountId={accountId} />
      {shown === "suspend" && <SuspendForm client={client} accountId={accountId} onSaved={reload} onClose={() => setShown(undefined)} />}
      {shown === "activate" && (
        <Confirm title="Activate this account?" action="Activate" danger={false} onConfirm={activate} onClose={() => setShown(undefined)}>
          <p>“{accountId}” can ask again, and what waits goes on.</p>
        </Confirm>
      )}
      {shown === "erase" && <EraseForm client={client} accountId={accountId} onClose={() => setShown(undefined)} />}
    </>
  );
}

function Facts({ account: { reason, conversations, turns_open, container, last_active_day, retention_days, bytes: stored, metadata } }: { account: Account }) {
  return (
    <dl className="facts">
      {reason !== null && <Fact name="Why">{reason}</Fact>}
      <Fact name="Conversations">{number(conversations)}, kept for {number(retention_days)} days after their last access</Fact>
      <Fact name="Turns">{turns_open === 0 ? "none queued or running" : `${number(turns_open)} queued or running`}</Fact>
      <Fact name="Container">{container}</Fact>
      <Fact name="Last active">{last_active_day ?? "never"}</Fact>
      <Fact name="Stores">
        {bytes(stored.database)} in the database, {bytes(stored.files)} in files
      </Fact>
      {Object.entries(metadata).map(([name, value]) => (
        <Fact key={name} name={name}>
          {String(value)}
        </Fact>
      ))}
    </dl>
  );
}

/** As the service has it. */
const MAX_REASON_CHARS = 256;

function SuspendForm({ client, accountId, onSaved, onClose }: { client: AgentClient; accountId: string; onSaved: () => void; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await client.changeAccount(accountId, { status: "suspended", reason: reason.trim() === "" ? null : reason.trim() });
      onSaved();
      onClose();
    } catch (why) {
      setError(why);
      setBusy(false);
    }
  };
  return (
    <Dialog title="Suspend this account?" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <p>“{accountId}” can be read and nothing else. Its running turns end, and what waits goes on when it is active again.</p>
        <label>
          Why, for its user (optional)
          <input maxLength={MAX_REASON_CHARS} value={reason} onChange={(event) => setReason(event.target.value)} />
        </label>
        {error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" type="submit" disabled={isBusy}>
            Suspend
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

const PAGE = 20;

type Next = Awaited<ReturnType<AgentClient["listConversations"]>>["next"];

function Conversations({ client, accountId }: { client: AgentClient; accountId: string }) {
  const load = useCallback((next: Next, signal: AbortSignal) => client.listConversations({ limit: PAGE, ...next, accountId, signal }), [client, accountId]);
  const [list, more, reload] = usePages(load);
  return (
    <section aria-labelledby="conversations">
      <h2 id="conversations">Conversations</h2>
      {list.phase === "loading" && <Spinner label="Loading the conversations" />}
      {list.phase === "failed" && <Failure error={list.error} onRetry={reload} />}
      {list.phase === "ready" && list.items.length === 0 && <p className="note">It has no conversation.</p>}
      {list.items.length > 0 && (
        <Table label="Table of the conversations" columns={["Conversation", "Last used", "Begun"]}>
          {list.items.map(({ session_id, title, last_accessed_at, created_at }) => (
            <tr key={session_id}>
              <td className="long">
                <a href={href.account(accountId, session_id)}>{title.trim() || session_id}</a>
              </td>
              <td>{dateTime(last_accessed_at)}</td>
              <td>{dateTime(created_at)}</td>
            </tr>
          ))}
        </Table>
      )}
      {list.hasMore && (
        <Button className="more" onClick={more}>
          Show more
        </Button>
      )}
    </section>
  );
}

/** What turns of the account wait for. Shown only if there is something. */
function Waiting({ client, accountId }: { client: AgentClient; accountId: string }) {
  const load = useCallback((signal: AbortSignal) => client.listActions({ accountId, status: "pending", signal }), [client, accountId]);
  const [actions, reload] = useLoaded(load);
  if (actions.phase === "failed") return <Failure error={actions.error} onRetry={reload} />;
  if (actions.phase === "loading" || actions.value.items.length === 0) return null;
  return (
    <section aria-labelledby="waiting">
      <h2 id="waiting">Waits for an answer</h2>
      <Table label="Table of what waits" columns={["About", "Since", "Expires", "Conversation"]}>
        {actions.value.items.map(({ action_id, kind, tool, created_at, expires_at, session_id }) => (
          <tr key={action_id}>
            <td>
              {kind} {tool !== undefined && <code>{tool}</code>}
            </td>
            <td>{dateTime(created_at)}</td>
            <td>{distance(expires_at)}</td>
            <td>
              <a href={href.account(accountId, session_id)}>Open</a>
            </td>
          </tr>
        ))}
      </Table>
    </section>
  );
}
