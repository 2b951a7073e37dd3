/** For the operator: all accounts, each of them with its conversations, and the purge runs. */
import { useEffect } from "react";
import { href } from "../route.ts";
import type { Operated } from "../route.ts";
import type { Session } from "../session/session.ts";
import { Icon } from "../ui/icons.tsx";
import { AccountPage } from "./account-page.tsx";
import { Accounts } from "./accounts.tsx";
import { AuditSection } from "./audit-section.tsx";
import { ConversationPage } from "./conversation-page.tsx";
import { ErasurePage } from "./erasure-page.tsx";
import { FleetSection } from "./fleet-section.tsx";
import { PurgeRuns } from "./purge-runs.tsx";
import "../style/detail.css";
import "../style/operator.css";

type Props = { session: Session; shown: Operated | undefined; onSession: (session: Session) => void };

export default function OperatorPage({ session, shown, onSession }: Props) {
  const name = shown === undefined ? undefined : shown.kind === "account" ? shown.accountId : "Erasure";
  useEffect(() => {
    document.title = `${name ?? "Operator"} · Agent console`;
  }, [name]);
  return (
    <div className="page detail operator" tabIndex={0} role="region" aria-label="Operator">
      <header className="page-head">
        {shown === undefined ? (
          <h1>Operator</h1>
        ) : (
          <h1>
            <a href={href.operator}>Operator</a>
            <Icon name="chevron" size={14} />
            {shown.kind === "account" && shown.sessionId !== undefined ? <a href={href.account(shown.accountId)}>{name}</a> : name}
            {shown.kind === "account" && shown.sessionId !== undefined && (
              <>
                <Icon name="chevron" size={14} />
                Conversation
              </>
            )}
          </h1>
        )}
      </header>
      <div className="page-body">
        {shown === undefined && <FleetSection session={session} />}
        {shown === undefined && <Accounts session={session} />}
        {shown === undefined && <PurgeRuns session={session} />}
        {shown === undefined && <AuditSection client={session.client} />}
        {shown?.kind === "account" && shown.sessionId === undefined && <AccountPage key={shown.accountId} session={session} accountId={shown.accountId} onSession={onSession} />}
        {shown?.kind === "account" && shown.sessionId !== undefined && <ConversationPage key={`${shown.accountId}\n${shown.sessionId}`} session={session} accountId={shown.accountId} sessionId={shown.sessionId} onSession={onSession} />}
        {shown?.kind === "erasure" && <ErasurePage key={shown.erasureId} session={session} erasureId={shown.erasureId} />}
      </div>
    </div>
  );
}
