/** One conversation of an account, as its operator sees it: its turns and what they waited for. What was said is in the chat. */
import { useCallback, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import { outcomeOf } from "../actions/action.ts";
import type { Action } from "../actions/action.ts";
import { go, href } from "../route.ts";
import { open } from "../session/session.ts";
import type { Session } from "../session/session.ts";
import { adviceFor } from "../ui/advice.ts";
import { Button, Confirm, Failure, Spinner } from "../ui/controls.tsx";
import { TurnStatus } from "../ui/facts.tsx";
import { dateTime, dollars, duration, tokens } from "../ui/format.ts";
import { useLoaded, useReloadAt } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";
import { tokensOf } from "./usage.ts";

type Turn = Schemas["Turn"];
type Props = { session: Session; accountId: string; sessionId: string; onSession: (session: Session) => void };

const MAX_TURNS = 100;
const MAX_ACTIONS = 200;

export function ConversationPage({ session, accountId, sessionId, onSession }: Props) {
  const { client } = session;
  const load = useCallback(
    async (signal: AbortSignal) => {
      const options = { accountId, signal };
      const [conversation, turns, actions] = await Promise.all([
        client.readConversation(sessionId, options),
        client.listTurns(sessionId, { limit: MAX_TURNS, ...options }),
        client.listActions({ session_id: sessionId, limit: MAX_ACTIONS, ...options }),
      ]);
      return { title: conversation.title, usage: conversation.usage, turns: turns.items, areMore: turns.next !== undefined, actions: actions.items };
    },
    [client, accountId, sessionId],
  );
  const [read, reload] = useLoaded(load);
  const [isStopping, setStopping] = useState(false);
  useReloadAt(read, ({ turns }) => (turns.some(isUnderWay) ? 0 : undefined), reload);
  if (read.phase === "loading") return <Spinner label="Loading the conversation" />;
  if (read.phase === "failed") return <Failure error={read.error} onRetry={reload} />;
  const { title, usage, turns, areMore, actions } = read.value;
  const openInChat = (): void => {
    onSession(open(session.credential, accountId));
    go(href.conversation(sessionId));
  };
  const stop = async (): Promise<void> => {
    await client.cancelConversation(sessionId, { accountId, reason: "stopped by the operator" });
    reload();
  };
  return (
    <>
      <section aria-labelledby="conversation">
        <div className="section-head">
          <div>
            <h2 id="conversation">{title.trim() || sessionId}</h2>
            <p>
              {tokens(tokensOf(usage))} tokens, {dollars(usage.cost_usd)} in all
            </p>
          </div>
          <div className="actions">
            {turns.some((turn) => isUnderWay(turn) || turn.status === "requires_action") && (
              <Button icon="stop" onClick={() => setStopping(true)}>
                Stop
              </Button>
            )}
            <Button icon="chat" onClick={openInChat}>
              Open in the chat
            </Button>
          </div>
        </div>
      </section>
      <section aria-labelledby="turns">
        <h2 id="turns">Turns</h2>
        {turns.length === 0 ? <p className="note">Nothing was asked yet.</p> : <Turns turns={turns} />}
        {areMore && <p className="fine">These are the newest {MAX_TURNS}. GET /conversations/{"{session_id}"}/turns lists all.</p>}
      </section>
      <section aria-labelledby="actions">
        <h2 id="actions">Actions</h2>
        {actions.length === 0 ? <p className="note">No turn of it has waited for anybody.</p> : <Actions actions={actions} />}
      </section>
      {isStopping && (
        <Confirm title="Stop what goes on?" action="Stop" onConfirm={stop} onClose={() => setStopping(false)}>
          <p>The queued and running turns of this conversation end. Its user sees that they were stopped.</p>
        </Confirm>
      )}
    </>
  );
}

function Turns({ turns }: { turns: Turn[] }) {
  return (
    <Table label="Table of the turns" columns={["Asked", "Result", "Took", "Tokens", "Cost", "Turn"]}>
      {turns.map(({ turn_id, created_at, started_at, finished_at, status, usage, error }) => (
        <tr key={turn_id}>
          <td>{dateTime(created_at)}</td>
          <td>{error === undefined ? <TurnStatus status={status} /> : <TurnStatus status={status}>{adviceFor(error).title}</TurnStatus>}</td>
          <td>{started_at === null || finished_at === null ? "" : duration(finished_at - started_at)}</td>
          <td>{usage === undefined ? "" : tokens(tokensOf(usage))}</td>
          <td>{usage === undefined ? "" : dollars(usage.cost_usd)}</td>
          <td>
            <code>{turn_id}</code>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Actions({ actions }: { actions: Action[] }) {
  return (
    <Table label="Table of the actions" columns={["When", "About", "Decision", "Input"]}>
      {actions.map((action) => (
        <tr key={action.action_id}>
          <td>{dateTime(action.created_at)}</td>
          <td>
            {action.kind} {action.tool !== undefined && <code>{action.tool}</code>}
          </td>
          <td>{action.status === "pending" ? "waits" : outcomeOf(action)}</td>
          <td className="long">
            <code>{JSON.stringify(action.input ?? {})}</code>
          </td>
        </tr>
      ))}
    </Table>
  );
}

const isUnderWay = ({ status }: Turn): boolean => status === "queued" || status === "running";
