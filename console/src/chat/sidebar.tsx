/** The side: conversations to search, open, rename and delete; the way to the other pages; who is signed in. */
import { memo, useEffect, useRef, useState } from "react";
import { href } from "../route.ts";
import type { Route } from "../route.ts";
import { AccountMenu } from "../session/account-menu.tsx";
import type { Session } from "../session/session.ts";
import { useStore } from "../store.ts";
import { Button, Confirm, Dialog, Failure, IconButton, Menu, Spinner } from "../ui/controls.tsx";
import { dayGroup } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { IconName } from "../ui/icons.tsx";
import { useReached } from "../ui/reached.ts";
import type { Library, Summary } from "./library.ts";

type Props = {
  library: Library;
  session: Session;
  current: string | undefined;
  page: Route["page"];
  isOperator: boolean;
  hasAuth: boolean;
  onClose: () => void;
  onSession: (session: Session) => void;
  onSignOut: () => void;
};

export function Sidebar({ library, session, current, page, isOperator, hasAuth, onClose, onSession, onSignOut }: Props) {
  const { phase, words, conversations, hasMore, running, waiting, error } = useStore(library);
  // The field's own: a store tells of a change a frame later, when the next letter may be there already.
  const [typed, setTyped] = useState(words);
  const [renamed, setRenamed] = useState<Summary>();
  const [deleted, setDeleted] = useState<Summary>();
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  const remove = async (summary: Summary): Promise<void> => {
    await library.delete(summary.session_id);
    if (summary.session_id === current) location.hash = href.new;
  };
  const link = (to: string, name: Route["page"], text: string, icon: IconName) => (
    <a href={to} className="nav-link" aria-current={page === name ? "page" : undefined}>
      <Icon name={icon} />
      {text}
    </a>
  );

  return (
    <nav className="sidebar" aria-label="Conversations">
      <div className="sidebar-head">
        <a className="brand" href={href.new}>
          <img src={ICON} alt="" width="26" height="26" />
          Agent console
        </a>
        <IconButton className="drawer-close" icon="close" label="Close the list" onClick={onClose} />
      </div>
      <a className="button primary new" href={href.new} aria-current={page === "new" ? "page" : undefined}>
        <Icon name="plus" />
        New conversation
      </a>
      <label className="search">
        <Icon name="search" size={16} />
        <span className="hidden">Search the conversations</span>
        <input ref={search} type="search" placeholder="Search" value={typed} onChange={(event) => { setTyped(event.target.value); library.search(event.target.value); }} />
      </label>
      <div className="conversations" data-scrolls>
        {phase === "loading" && <Spinner label="Loading the conversations" />}
        {phase === "failed" && <Failure error={error} onRetry={() => void library.load()} />}
        {phase === "ready" && conversations.length === 0 && <p className="none">{words.trim() === "" ? "Your conversations will be listed here." : `Nothing is about “${words.trim()}”.`}</p>}
        {groups(conversations).map(([day, all]) => (
          <section key={day} aria-label={day}>
            <h2>{day}</h2>
            <ul>
              {all.map((summary) => (
                <Row key={summary.session_id} summary={summary} isCurrent={summary.session_id === current} isRunning={running.has(summary.session_id)} isWaiting={waiting.has(summary.session_id)} onRename={setRenamed} onDelete={setDeleted} />
              ))}
            </ul>
          </section>
        ))}
        {hasMore && phase === "ready" && <More count={conversations.length} error={error} onMore={() => void library.more()} />}
      </div>
      <div className="sidebar-foot">
        {link(href.automation(), "automation", "Automation", "clock")}
        {isOperator && link(href.operator, "operator", "Operator", "gauge")}
        {link(href.reference(), "reference", "Try the API", "code")}
        <AccountMenu session={session} hasAuth={hasAuth} onSession={onSession} onSignOut={onSignOut} />
      </div>
      {renamed !== undefined && <Rename name={nameOf(renamed)} onRename={(title) => library.rename(renamed.session_id, title)} onClose={() => setRenamed(undefined)} />}
      {deleted !== undefined && (
        <Confirm title="Delete this conversation?" action="Delete" onConfirm={() => remove(deleted)} onClose={() => setDeleted(undefined)}>
          <p>
            “{nameOf(deleted)}”, its messages and its files will be gone. If the agent is working on it, it is stopped.
          </p>
        </Confirm>
      )}
    </nav>
  );
}

type RowProps = { summary: Summary; isCurrent: boolean; isRunning: boolean; isWaiting: boolean; onRename: (summary: Summary) => void; onDelete: (summary: Summary) => void };

const Row = memo(function Row({ summary, isCurrent, isRunning, isWaiting, onRename, onDelete }: RowProps) {
  const name = nameOf(summary);
  return (
    <li className={isCurrent ? "current" : undefined}>
      <a href={href.conversation(summary.session_id)} aria-current={isCurrent ? "page" : undefined} title={name}>
        {name}
      </a>
      {isRunning && <Spinner label="The agent works on it" />}
      {isWaiting && <span className="waits" role="img" aria-label="It waits for your answer" title="It waits for your answer" />}
      <Menu
        label={`More about ${name}`}
        items={[
          { label: "Rename", icon: "pencil", onSelect: () => onRename(summary) },
          { label: "Delete", icon: "trash", danger: true, onSelect: () => onDelete(summary) },
        ]}
      />
    </li>
  );
});

/** The list goes on by itself where it is scrolled to its end. */
function More({ count, error, onMore }: { count: number; error: unknown; onMore: () => void }) {
  const reached = useReached<HTMLDivElement>(count, onMore);
  return (
    <div ref={reached}>
      {error === undefined ? (
        <Button className="more" onClick={onMore}>
          Show more
        </Button>
      ) : (
        <Failure error={error} onRetry={onMore} />
      )}
    </div>
  );
}

const MAX_TITLE_CHARS = 200;

export function Rename({ name, onRename, onClose }: { name: string; onRename: (title: string) => Promise<void>; onClose: () => void }) {
  const [title, setTitle] = useState(name);
  const [error, setError] = useState<unknown>();
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    try {
      await onRename(title.trim());
      onClose();
    } catch (reason) {
      setError(reason);
    }
  };
  return (
    <Dialog title="Rename" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Title
          <input required maxLength={MAX_TITLE_CHARS} value={title} onChange={(event) => setTitle(event.target.value)} />
        </label>
        {error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={title.trim() === ""}>
            Rename
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

export const nameOf = ({ title, session_id }: Pick<Summary, "title" | "session_id">): string => title.trim() || session_id;

function groups(conversations: Summary[]): [day: string, all: Summary[]][] {
  const found = new Map<string, Summary[]>();
  for (const summary of conversations) {
    const day = dayGroup(summary.last_accessed_at);
    const group = found.get(day);
    if (group === undefined) found.set(day, [summary]);
    else group.push(summary);
  }
  return [...found];
}

const ICON = new URL("../icon.svg", import.meta.url).href;
