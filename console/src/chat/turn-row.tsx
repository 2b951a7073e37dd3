/** A question and everything that came of it. */
import { memo, useEffect, useRef, useState } from "react";
import { ActionCard } from "../actions/action-card.tsx";
import type { ActionPart, Decision } from "../actions/action.ts";
import type { ChangedFile } from "../files/changes.ts";
import type { Compared } from "../files/changes-dialog.tsx";
import { Button, CopyButton, Failure, IconButton } from "../ui/controls.tsx";
import { bytes, dollars, duration, tokens } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { Markdown } from "./markdown.tsx";
import { usePaced } from "./paced.ts";
import { ToolCard } from "./tool-card.tsx";
import { isOpen, isWaiting, pendingOf } from "./turns.ts";
import type { Part, TextPart, TurnFiles, TurnView } from "./turns.ts";

export type TurnActions = {
  onRetry: (key: string) => void;
  onOpenFile: (path: string) => void;
  onCompare: (compared: Compared) => void;
  onEdit: (key: string, question: string) => Promise<void>;
  onFork: (turnId: string) => void;
  onRewind: (turnId: string) => void;
  onDecide: (actionId: string, decision: Decision) => Promise<void>;
  onLate: (actionId: string) => void;
};
type Props = { turn: TurnView; isLast: boolean; isAtRest: boolean; actions: TurnActions };

export const TurnRow = memo(function TurnRow({ turn, isLast, isAtRest, actions: { onRetry, onOpenFile, onCompare, onEdit, onFork, onRewind, onDecide, onLate } }: Props) {
  const { question, attachments, parts, error, files } = turn;
  // A call that somebody has to decide about is shown with its form.
  const asked = new Set(pendingOf(turn).map(({ tool_call_id }) => tool_call_id));
  const answer = parts.flatMap((part) => (part.kind === "text" ? [part.text] : [])).join("\n\n");
  return (
    <article className="turn" aria-label={question.slice(0, 80) || "Attachments"}>
      <h2 className="hidden">You asked</h2>
      <div className="question">
        <Question text={question} onEdit={isAtRest && turn.turnId !== undefined && !question.startsWith("/compact") ? (text) => onEdit(turn.key, text) : undefined} />
        {attachments.length > 0 && (
          <ul className="attached" aria-label="Attachments">
            {attachments.map(({ path, type, title, size }, index) => (
              <li key={path ?? index}>
                <Icon name="clip" size={14} />
                {title ?? path?.slice(path.lastIndexOf("/") + 1) ?? type}
                {size !== undefined && <small>{bytes(size)}</small>}
              </li>
            ))}
          </ul>
        )}
      </div>
      {/* What is still being written is not read out piece by piece. */}
      <div className="answer" aria-busy={isOpen(turn) && !isWaiting(turn)}>
        {parts.map((part, index) => {
          if (part.kind === "action") return <ActionCard key={part.id} action={part.action} onDecide={onDecide} onLate={onLate} />;
          return part.kind === "tool" && asked.has(part.id) ? null : <PartView key={part.kind === "tool" ? part.id : index} part={part} />;
        })}
        {isOpen(turn) && (!isWaiting(turn) || asked.size === 0) && <Progress turn={turn} />}
        {error !== undefined && error !== null && <Failure error={error} onRetry={() => onRetry(turn.key)} retryLabel="Ask again" />}
        {files !== undefined && <Changes files={files} onOpenFile={onOpenFile} onCompare={turn.turnId === undefined ? undefined : (file) => onCompare({ turnId: turn.turnId ?? "", file })} />}
        {!isOpen(turn) && (
          <footer className="turn-foot">
            {answer !== "" && <CopyButton text={answer} label="Copy the answer" />}
            {isAtRest && turn.turnId !== undefined && (
              <>
                <IconButton icon="branch" size={16} label="Branch off from here" onClick={() => onFork(turn.turnId ?? "")} />
                {!isLast && <IconButton icon="rewind" size={16} label="Go back to here" onClick={() => onRewind(turn.turnId ?? "")} />}
              </>
            )}
            <Cost turn={turn} />
          </footer>
        )}
      </div>
    </article>
  );
});

/** Longer questions show their beginning. */
const MAX_QUESTION_CHARS = 900;
const MAX_QUESTION_LINES = 12;

function Question({ text, onEdit }: { text: string; onEdit: ((text: string) => Promise<void>) | undefined }) {
  const [isWhole, setWhole] = useState(false);
  const [isEditing, setEditing] = useState(false);
  // The form that had the focus is gone; its button takes it.
  const takesFocus = useRef(false);
  useEffect(() => {
    takesFocus.current = isEditing;
  }, [isEditing]);
  if (isEditing && onEdit !== undefined) return <Edit text={text} onEdit={onEdit} onClose={() => setEditing(false)} />;
  if (text === "") return null;
  const isLong = text.length > MAX_QUESTION_CHARS || text.split("\n").length > MAX_QUESTION_LINES;
  return (
    <>
      <div className="question-row">
        {onEdit !== undefined && <IconButton icon="pencil" size={16} label="Edit the question" autoFocus={takesFocus.current} onClick={() => setEditing(true)} />}
        <div className={isLong && !isWhole ? "bubble long" : "bubble"}>{text}</div>
      </div>
      {isLong && <Button aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>{isWhole ? "Show less" : "Show all of it"}</Button>}
    </>
  );
}

function Edit({ text, onEdit, onClose }: { text: string; onEdit: (text: string) => Promise<void>; onClose: () => void }) {
  const [draft, setDraft] = useState(text);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await onEdit(draft.trim());
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <form className="edit" onSubmit={(event) => void submit(event)} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <textarea autoFocus aria-label="The question" rows={Math.min(10, draft.split("\n").length + 1)} value={draft} onChange={(event) => setDraft(event.target.value)} />
      {error !== undefined && <Failure error={error} />}
      <div>
        <span className="hint">The answer, and all that came after it, is replaced.</span>
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" type="submit" disabled={isBusy || draft.trim() === ""}>
          Ask
        </Button>
      </div>
    </form>
  );
}

const PartView = memo(function PartView({ part }: { part: Exclude<Part, ActionPart> }) {
  switch (part.kind) {
    case "text":
      return <Said part={part} />;
    case "thinking":
      return (
        <details className="thinking">
          <summary>
            <Icon name="chevron" size={14} />
            {part.isWhole ? "Thought about it" : "Thinking …"}
          </summary>
          <p>{part.text}</p>
        </details>
      );
    case "tool":
      return <ToolCard part={part} />;
    case "notice":
      return <p className="notice">{part.text}</p>;
  }
});

function Said({ part: { text, isWhole } }: { part: TextPart }) {
  return <Markdown text={usePaced(text, isWhole)} />;
}

/** After which the time is told: most answers begin before. */
const PATIENCE_MS = 4000;

function Progress({ turn }: { turn: TurnView }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const ms = turn.startedAt === undefined ? 0 : now - turn.startedAt;
  return (
    <p className="progress">
      <span className="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {sentence(turn)}
      {ms > PATIENCE_MS && <time>{duration(Math.floor(ms / 1000) * 1000).replace(".0", "")}</time>}
    </p>
  );
}

function sentence({ status, position, retrying, parts, isUnheard }: TurnView): string {
  if (isUnheard === true) return "The connection is lost. The agent goes on, and what it writes comes when there is one again";
  if (retrying !== undefined) return `The model did not answer${retrying.status === null ? "" : ` (${retrying.status})`}; attempt ${retrying.attempt} follows`;
  if (status === "sending") return "Sending";
  if (status === "requires_action") return "Waiting for an answer";
  if (status === "queued") return position > 0 ? `Waiting: ${position} before it` : "Waiting for its turn";
  const last = parts.at(-1);
  if (last?.kind === "tool" && last.status === "started") return "Working";
  return parts.length === 0 ? "Getting ready" : "Writing";
}

const MAX_CHIPS = 8;

function Changes({ files, onOpenFile, onCompare }: { files: TurnFiles; onOpenFile: (path: string) => void; onCompare: ((file: ChangedFile) => void) | undefined }) {
  const { changed, changed_total, saved, reason } = files;
  if (changed.length === 0 && saved) return null;
  const more = (changed_total ?? changed.length) - Math.min(changed.length, MAX_CHIPS);
  return (
    <div className="changes">
      {changed.slice(0, MAX_CHIPS).map((file) => {
        const { path, change, size } = file;
        return (
          <span key={path} className="chip-group">
            <button type="button" className={`chip ${change}`} disabled={change === "deleted"} onClick={() => onOpenFile(path)} title={`${path}: ${change}`}>
              <Icon name={change === "deleted" ? "trash" : "file"} size={14} />
              <span>{path}</span>
              <small>{change === "deleted" ? "deleted" : `${change === "added" ? "new" : "changed"}${size === undefined ? "" : `, ${bytes(size)}`}`}</small>
            </button>
            {change !== "added" && onCompare !== undefined && <IconButton icon="compare" size={16} label={`Show changes in ${path}`} onClick={() => onCompare(file)} />}
          </span>
        );
      })}
      {more > 0 && <span className="fine">and {more} more</span>}
      {!saved && (
        <p className="notice">
          <Icon name="warning" size={14} /> The files are not saved yet ({(reason ?? "unknown").replaceAll("_", " ")}). The next save includes them.
        </p>
      )}
    </div>
  );
}

function Cost({ turn: { model, usage, durationMs } }: { turn: TurnView }) {
  if (usage === undefined) return null;
  const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd } = usage;
  const sent = input_tokens + cache_read_input_tokens + cache_creation_input_tokens;
  return (
    <dl className="cost" title={`${sent.toLocaleString()} tokens sent, of which ${cache_read_input_tokens.toLocaleString()} from the cache; ${output_tokens.toLocaleString()} received`}>
      {model !== undefined && <Fact name="Model" value={model} />}
      {durationMs !== undefined && <Fact name="Time" value={duration(durationMs)} />}
      <Fact name="Tokens sent" value={`${tokens(sent)} in`} />
      <Fact name="Tokens received" value={`${tokens(output_tokens)} out`} />
      <Fact name="Cost" value={dollars(cost_usd)} />
    </dl>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt className="hidden">{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
