/** The message box: Enter sends, Shift and Enter begins a line; while the agent works, the button stops it. */
import { useEffect, useRef, useState } from "react";
import { IconButton } from "../ui/controls.tsx";
import { bytes } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { canAttach } from "./attachments.ts";
import { WAYS } from "./way.ts";
import type { Way } from "./way.ts";

type Props = {
  draft: string;
  onDraft: (text: string) => void;
  isBusy: boolean;
  /** A turn waits for an answer: until then, nothing else can be asked. */
  isWaiting: boolean;
  way: Way;
  onWay: (way: Way) => void;
  onAsk: (question: string, files: File[]) => void;
  onStop: () => void;
  /** Files that cannot be attached go to the agent's folder. */
  onFiles: (files: File[]) => void;
};

/** As the service has it, in UTF-8. */
const MAX_PROMPT_BYTES = 1024 * 1024;
const MAX_ATTACHED = 20;
/** As the styles have it. */
const DESK = "(min-width: 760px)";

export function Composer({ draft, onDraft, isBusy, isWaiting, way, onWay, onAsk, onStop, onFiles }: Props) {
  const box = useRef<HTMLTextAreaElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const [attached, setAttached] = useState<File[]>([]);
  const [isOver, setOver] = useState(false);
  const isTooLong = draft.length > MAX_PROMPT_BYTES / 4 && new TextEncoder().encode(draft).length > MAX_PROMPT_BYTES;
  const canSend = (draft.trim() !== "" || attached.length > 0) && !isTooLong && !isWaiting;

  useEffect(() => {
    // On a phone the keyboard would cover what is there to read.
    if (matchMedia(DESK).matches) box.current?.focus();
  }, []);
  useEffect(() => {
    if (draft !== "" && document.activeElement !== box.current) box.current?.focus();
  }, [draft]);

  const send = (): void => {
    if (!canSend) return;
    onAsk(draft.trim(), attached);
    setAttached([]);
  };
  const stop = (): void => {
    onStop();
    // The button goes, and with it the focus.
    if (matchMedia(DESK).matches) box.current?.focus();
  };
  const attach = (files: File[]): void => {
    const others = files.filter((file) => !canAttach(file));
    if (others.length > 0) onFiles(others);
    setAttached((all) => [...all, ...files.filter(canAttach)].slice(0, MAX_ATTACHED));
    box.current?.focus();
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    // Enter also ends what an input method composes.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  const onPaste = (event: React.ClipboardEvent): void => {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    attach(files);
  };
  const onDrop = (event: React.DragEvent): void => {
    setOver(false);
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    attach([...event.dataTransfer.files]);
  };

  return (
    <form
      className={isOver ? "composer over" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDrop={onDrop}
      onDragOver={() => setOver(true)}
      onDragLeave={() => setOver(false)}
    >
      {attached.length > 0 && (
        <ul className="attaching" aria-label="Attached">
          {attached.map((file, index) => (
            <li key={`${index} ${file.name}`}>
              <Icon name="clip" size={14} />
              <span>{file.name}</span>
              <small>{bytes(file.size)}</small>
              <IconButton icon="close" size={14} label={`Remove ${file.name}`} onClick={() => setAttached(attached.filter((each) => each !== file))} />
            </li>
          ))}
        </ul>
      )}
      <div className="grow" data-text={draft}>
        <textarea ref={box} rows={1} aria-label="Message" placeholder={isWaiting ? "Answer the agent above first" : isBusy ? "Ask the next thing" : "Ask the agent"} value={draft} onChange={(event) => onDraft(event.target.value)} onKeyDown={onKeyDown} onPaste={onPaste} />
      </div>
      <div className="composer-row">
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label="Files to attach"
          onChange={(event) => {
            attach([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <IconButton icon="clip" label="Attach pictures, PDFs and text" onClick={() => chooser.current?.click()} />
        <label className="way" title={WAYS[way].what}>
          <Icon name={way === "alone" ? "play" : way === "asks" ? "shield" : "check"} size={16} />
          <span className="hidden">How freely the agent works</span>
          <select value={way} onChange={(event) => onWay(event.target.value as Way)}>
            {Object.entries(WAYS).map(([name, { label }]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <span className="hint" role={isTooLong ? "alert" : undefined}>
          {isTooLong ? "This is longer than 1 MB: attach it as a file" : <span className="keys">{isWaiting ? "Answer above, or stop" : "Enter sends, Shift + Enter begins a line"}</span>}
        </span>
        {isBusy && <IconButton className="round stop" icon="stop" label="Stop" onClick={stop} />}
        {(!isBusy || canSend) && <IconButton className="round" icon="send" label="Send" type="submit" disabled={!canSend} />}
      </div>
    </form>
  );
}
