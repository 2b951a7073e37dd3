/** A conversation: what was said, what is being said, the message box, and its files. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { ChangesDialog } from "../files/changes-dialog.tsx";
import type { Compared } from "../files/changes-dialog.tsx";
import { FilesPanel } from "../files/files-panel.tsx";
import { Preview } from "../files/preview.tsx";
import { useFiles } from "../files/use-files.ts";
import { go, href } from "../route.ts";
import { useStore } from "../store.ts";
import { Confirm, Failure, IconButton, Menu, Spinner } from "../ui/controls.tsx";
import { tokens } from "../ui/format.ts";
import { Composer } from "./composer.tsx";
import type { Library } from "./library.ts";
import { Log } from "./log.tsx";
import { nameOf, Rename } from "./sidebar.tsx";
import type { TurnActions } from "./turn-row.tsx";
import { isOpen, isWaiting } from "./turns.ts";
import { storedWay, storeWay } from "./way.ts";
import type { Way } from "./way.ts";
import { Welcome } from "./welcome.tsx";

type Props = { library: Library; sessionId: string; isNew: boolean };

export function ChatPage({ library, sessionId, isNew }: Props) {
  const conversation = library.conversation(sessionId, isNew);
  const state = useStore(conversation);
  const mayHaveFiles = state.turns.some(({ turnId }) => turnId !== undefined) || (state.phase === "new" && !isNew);
  const files = useFiles(library.client, sessionId, state.filesVersion, mayHaveFiles);
  const [areFilesOpen, setFilesOpen] = useState(() => matchMedia("(min-width: 1200px)").matches && !isNew);
  const [isRenaming, setRenaming] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const [draft, setDraft] = useState("");
  const [way, setWay] = useState(storedWay);
  const [stopError, setStopError] = useState<unknown>();
  const open = state.turns.filter(isOpen);
  const title = state.turns.length === 0 ? "New conversation" : nameOf({ title: state.title, session_id: sessionId });

  // A reload finds what was uploaded before the first question.
  useEffect(() => {
    if (isNew && files.count > 0) go(href.conversation(sessionId));
  }, [isNew, files.count, sessionId]);

  useEffect(() => {
    document.title = `${title} · Agent console`;
  }, [title]);

  const ask = useCallback(
    (question: string, chosen: File[]) => {
      conversation.ask(question, chosen);
      setDraft("");
      if (isNew) go(href.conversation(sessionId));
    },
    [conversation, isNew, sessionId],
  );
  const [rewound, setRewound] = useState<string>();
  const [compared, setCompared] = useState<Compared>();
  const actions = useMemo<TurnActions>(
    () => ({
      onRetry: (key) => conversation.retry(key),
      onOpenFile: files.open,
      onCompare: setCompared,
      onEdit: (key, question) => conversation.edit(key, question),
      onFork: (turnId) => void conversation.fork(turnId).then((id) => go(href.conversation(id)), setStopError),
      onRewind: setRewound,
      onDecide: (actionId, decision) => conversation.decide(actionId, decision),
      // It stays as it is shown, and the service refuses an answer that is late.
      onLate: (actionId) => void conversation.readAction(actionId).catch(() => undefined),
    }),
    [conversation, files.open],
  );
  const earlier = useCallback(() => void conversation.earlier(), [conversation]);
  const chooseWay = (chosen: Way): void => {
    storeWay(chosen);
    setWay(chosen);
  };
  const pick = (question: string, wanted: Way | undefined): void => {
    setDraft(question);
    if (wanted !== undefined) chooseWay(wanted);
  };
  const stop = (): void => {
    setStopError(undefined);
    conversation.stop().catch(setStopError);
  };
  const remove = async (): Promise<void> => {
    await library.delete(sessionId);
    go(href.new);
  };
  const onDrop = (event: React.DragEvent): void => {
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    setFilesOpen(true);
    files.upload([...event.dataTransfer.files]);
  };

  return (
    <div className={`chat ${areFilesOpen ? "with-files" : ""}`} onDrop={onDrop} onDragOver={(event) => event.preventDefault()}>
      <section className="talk" aria-label={title}>
        <header className="page-head">
          <h1 title={title}>{title}</h1>
          <div className="page-actions">
            {state.context !== undefined && <ContextMeter {...state.context} />}
            <IconButton icon="folder" label={areFilesOpen ? "Hide the files" : "Show the files"} aria-pressed={areFilesOpen} onClick={() => setFilesOpen(!areFilesOpen)} />
            {files.count > 0 && <span className="badge" aria-hidden="true">{files.count}</span>}
            {state.turns.length > 0 && (
              <Menu
                label="Conversation"
                items={[
                  { label: "Rename", icon: "pencil", onSelect: () => setRenaming(true) },
                  { label: "Summarise to make room", icon: "compact", disabled: open.length > 0, onSelect: () => conversation.compact() },
                  { label: "Delete", icon: "trash", danger: true, onSelect: () => setDeleting(true) },
                ]}
              />
            )}
          </div>
        </header>
        {state.phase === "loading" && <div className="centre"><Spinner label="Loading the conversation" /></div>}
        {state.phase === "failed" && <div className="centre"><Failure error={state.error} onRetry={() => void conversation.load()} /></div>}
        {state.phase === "new" && <Welcome isMissing={!isNew && files.isKnown && files.count === 0} onPick={pick} />}
        {state.phase === "ready" && <Log turns={state.turns} isAtRest={open.length === 0} actions={actions} earlier={state.hasEarlier ? earlier : undefined} earlierError={state.earlierError} />}
        <div className="dock">
          {stopError !== undefined && <Failure error={stopError} />}
          <Composer draft={draft} onDraft={setDraft} isBusy={open.length > 0} isWaiting={open.some(isWaiting)} way={way} onWay={chooseWay} onAsk={ask} onStop={stop} onFiles={(chosen) => { setFilesOpen(true); files.upload(chosen); }} />
        </div>
      </section>
      {areFilesOpen && <FilesPanel files={files} onClose={() => setFilesOpen(false)} />}
      {files.shown !== undefined && <Preview key={files.shown} path={files.shown} files={files} />}
      {compared !== undefined && <ChangesDialog client={library.client} sessionId={sessionId} compared={compared} onClose={() => setCompared(undefined)} />}
      {rewound !== undefined && (
        <Confirm title="Go back to here?" action="Go back" onConfirm={() => conversation.rewind({ to: rewound })} onClose={() => setRewound(undefined)}>
          <p>The questions and answers after this one are deleted, and the files are again what they were then. To keep them, branch off instead.</p>
        </Confirm>
      )}
      {isRenaming && <Rename name={title} onRename={(to) => library.rename(sessionId, to)} onClose={() => setRenaming(false)} />}
      {isDeleting && (
        <Confirm title="Delete this conversation?" action="Delete" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>“{title}”, its messages and its files will be gone. If the agent is working on it, it is stopped.</p>
        </Confirm>
      )}
    </div>
  );
}

/** Nobody has to care about less. */
const MIN_PERCENT_SHOWN = 5;

/** How much of what the model can hold is in use. */
function ContextMeter({ tokens: used, limit }: { tokens: number; limit: number }) {
  const percent = Math.min(100, Math.round((used / limit) * 100));
  if (percent < MIN_PERCENT_SHOWN) return null;
  const text = `${tokens(used)} of ${tokens(limit)} tokens in the model's context`;
  return (
    <span className="context" title={text}>
      <meter min={0} max={100} high={80} value={percent} aria-label={text} />
      <small aria-hidden="true">Context {percent} %</small>
    </span>
  );
}
