/** Small things that every page uses: buttons, dialogs, menus, errors. */
import { useEffect, useId, useRef, useState } from "react";
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { adviceFor } from "./advice.ts";
import { Icon } from "./icons.tsx";
import type { IconName } from "./icons.tsx";

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { kind?: "primary" | "plain" | "danger"; icon?: IconName };

export function Button({ kind = "plain", icon, children, className = "", ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} className={`button ${kind} ${className}`}>
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function IconButton({ icon, label, size, className = "", ...rest }: ButtonHTMLAttributes<HTMLButtonElement> & { icon: IconName; label: string; size?: number }) {
  return (
    <button type="button" aria-label={label} title={label} {...rest} className={`icon-button ${className}`}>
      <Icon name={icon} {...(size !== undefined && { size })} />
    </button>
  );
}

/** How long a button says that it has copied. */
const COPIED_MS = 1500;

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), COPIED_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = (): void => void copied(text).then(setCopied);
  return <IconButton icon={isCopied ? "check" : "copy"} label={isCopied ? "Copied" : label} size={16} onClick={copy} />;
}

/** Whether it could be copied. On a page without TLS, a browser copies only what is selected. */
async function copied(text: string): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const { activeElement } = document;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (activeElement instanceof HTMLElement) activeElement.focus();
  return isCopied;
}

/** A modal dialog; the browser keeps the focus in it and closes it with Escape. */
export function Dialog({ title, onClose, children, wide = false }: { title: string; onClose: () => void; children: ReactNode; wide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    dialog.current?.showModal();
    // By itself, the browser would take the button that closes it.
    const field = dialog.current?.querySelector<HTMLInputElement>("input, textarea");
    field?.focus();
    field?.select();
  }, []);
  return (
    <dialog ref={dialog} className={wide ? "dialog wide" : "dialog"} aria-labelledby={heading} onClose={onClose} onClick={(event) => event.target === dialog.current && dialog.current.close()}>
      <div className="dialog-body">
        <header>
          <h2 id={heading}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={() => dialog.current?.close()} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be undone. The dialog shows it if it fails. */
export function Confirm({ title, children, action, onConfirm, onClose, danger = true }: { title: string; children: ReactNode; action: string; onConfirm: () => Promise<void>; onClose: () => void; danger?: boolean }) {
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const confirm = async (): Promise<void> => {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="prose">{children}</div>
      {error !== undefined && <Failure error={error} />}
      <footer>
        <Button onClick={onClose}>Cancel</Button>
        <Button kind={danger ? "danger" : "primary"} disabled={isBusy} onClick={() => void confirm()}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}

export type MenuItem = { label: string; icon: IconName; onSelect: () => void; danger?: boolean; disabled?: boolean };

/** A button that opens a list of things to do. Arrow keys move, Escape closes and returns the focus. */
export function Menu({ label, items, icon = "more" }: { label: string; items: MenuItem[]; icon?: IconName }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = (): HTMLElement | null | undefined => root.current?.querySelector("button");
  useEffect(() => {
    if (!isOpen) return;
    root.current?.querySelector<HTMLElement>('[role="menuitem"]:not(:disabled)')?.focus();
    const outside = (event: Event): void => void (root.current?.contains(event.target as Node) !== true && setOpen(false));
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen]);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (!isOpen) return;
    const all = [...(root.current?.querySelectorAll<HTMLElement>('[role="menuitem"]:not(:disabled)') ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: (at + 1) % all.length, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all.at(to)?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      if (event.key === "Escape") button()?.focus();
      setOpen(false);
    }
  };
  return (
    <div className="menu" ref={root} onKeyDown={onKeyDown}>
      <IconButton icon={icon} label={label} aria-haspopup="menu" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} />
      {isOpen && (
        <div role="menu" aria-label={label} className="menu-list">
          {items.map(({ label: text, icon: name, onSelect, danger, disabled }) => (
            <button
              key={text}
              type="button"
              role="menuitem"
              tabIndex={-1}
              disabled={disabled}
              className={danger === true ? "danger" : undefined}
              onClick={() => {
                setOpen(false);
                button()?.focus();
                onSelect();
              }}
            >
              <Icon name={name} size={16} />
              {text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** An error: what happened, what to do next, and what the operator needs to find it. */
export function Failure({ error, onRetry, retryLabel = "Try again", children }: { error: unknown; onRetry?: (() => void) | undefined; retryLabel?: string; children?: ReactNode }) {
  const { title, detail, next, code, requestId, canRetry } = adviceFor(error);
  return (
    <div className={`failure ${code === "turn_cancelled" ? "quiet" : ""}`} role="alert">
      <Icon name={code === "turn_cancelled" ? "stop" : "warning"} />
      <div>
        <strong>{title}</strong>
        <p>
          {code !== "turn_cancelled" && `${detail.replace(/[.!?]?$/, ".")} `}
          {next}
        </p>
        {code !== undefined && code !== "turn_cancelled" && (
          <p className="fine">
            {code}
            {requestId !== undefined && (
              <>
                {` · ${requestId}`}
                <CopyButton text={requestId} label="Copy the request's id" />
              </>
            )}
          </p>
        )}
        {children}
        {onRetry !== undefined && canRetry && (
          <Button icon="rewind" onClick={onRetry}>
            {retryLabel}
          </Button>
        )}
      </div>
    </div>
  );
}

export function Spinner({ label }: { label: string }) {
  return <span className="spinner" role="img" aria-label={label} />;
}
