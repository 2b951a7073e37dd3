/** The message box: Enter sends, Shift and Enter begins a line; while the agent works, the button stops it. */
import { useEffect, useRef } from "react";
import { IconButton } from "../ui/controls.tsx";

type Props = {
  draft: string;
  onDraft: (text: string) => void;
  isBusy: boolean;
  onAsk: (question: string) => void;
  onStop: () => void;
  onFiles: (files: File[]) => void;
};

/** As the service has it, in UTF-8. */
const MAX_PROMPT_BYTES = 1024 * 1024;

export function Composer({ draft, onDraft, isBusy, onAsk, onStop, onFiles }: Props) {
  const box = useRef<HTMLTextAreaElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const isTooLong = draft.length > MAX_PROMPT_BYTES / 4 && new TextEncoder().encode(draft).length > MAX_PROMPT_BYTES;
  const canSend = draft.trim() !== "" && !isTooLong;

  useEffect(() => {
    // On a phone the keyboard would cover what is there to read.
    if (matchMedia("(min-width: 760px)").matches) box.current?.focus();
  }, []);
  useEffect(() => {
    if (draft !== "" && document.activeElement !== box.current) box.current?.focus();
  }, [draft]);

  const send = (): void => {
    if (canSend) onAsk(draft.trim());
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    // Enter also ends what an input method composes.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="grow" data-text={draft}>
        <textarea ref={box} rows={1} aria-label="Message" placeholder={isBusy ? "Ask the next thing" : "Ask the agent"} value={draft} onChange={(event) => onDraft(event.target.value)} onKeyDown={onKeyDown} />
      </div>
      <div className="composer-row">
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          onChange={(event) => {
            onFiles([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <IconButton icon="upload" label="Upload files for the agent" onClick={() => chooser.current?.click()} />
        <span className="hint" role={isTooLong ? "alert" : undefined}>
          {isTooLong ? "This is longer than 1 MB: upload it as a file" : <span className="keys">Enter sends, Shift + Enter begins a line</span>}
        </span>
        {isBusy && <IconButton className="round stop" icon="stop" label="Stop" onClick={onStop} />}
        {(!isBusy || canSend) && <IconButton className="round" icon="send" label="Send" type="submit" disabled={!canSend} />}
      </div>
    </form>
  );
}
