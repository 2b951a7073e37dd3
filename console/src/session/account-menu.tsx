/** Who is signed in: the account, which a key can change, and how the console looks. */
import { useState } from "react";
import { Button, Dialog, Menu } from "../ui/controls.tsx";
import type { MenuItem } from "../ui/controls.tsx";
import { applyTheme, storedTheme } from "./theme.ts";
import { open } from "./session.ts";
import type { Session } from "./session.ts";

type Props = { session: Session; hasAuth: boolean; onSession: (session: Session) => void; onSignOut: () => void };

export function AccountMenu({ session, hasAuth, onSession, onSignOut }: Props) {
  const [isChoosing, setChoosing] = useState(false);
  const [theme, setTheme] = useState(storedTheme);
  const nextTheme = { auto: "light", light: "dark", dark: "auto" } as const;
  const changeTheme = (): void => {
    applyTheme(nextTheme[theme]);
    setTheme(nextTheme[theme]);
  };
  const items: MenuItem[] = [
    ...(session.kind === "token" ? [] : [{ label: "Change the account", icon: "pencil" as const, onSelect: () => setChoosing(true) }]),
    { label: { auto: "Look: as the system", light: "Look: light", dark: "Look: dark" }[theme], icon: "spark", onSelect: changeTheme },
    ...(hasAuth ? [{ label: "Sign out", icon: "out" as const, onSelect: onSignOut }] : []),
  ];
  return (
    <div className="account">
      <span className="avatar" aria-hidden="true">
        {session.accountId.slice(0, 1).toUpperCase()}
      </span>
      <span className="account-name">
        <b>{session.accountId}</b>
        <small>{{ key: "with a key", token: "with a token", none: "no sign-in needed" }[session.kind]}</small>
      </span>
      <Menu label="Account" items={items} />
      {isChoosing && <ChooseAccount session={session} onSession={onSession} onClose={() => setChoosing(false)} />}
    </div>
  );
}

function ChooseAccount({ session, onSession, onClose }: Omit<Props, "hasAuth" | "onSignOut"> & { onClose: () => void }) {
  const [account, setAccount] = useState(session.accountId);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    location.hash = "#/";
    onSession(open(session.credential, account));
    onClose();
  };
  return (
    <Dialog title="Change the account" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Account
          <input required maxLength={128} autoComplete="off" spellCheck={false} value={account} onChange={(event) => setAccount(event.target.value)} />
          <span className="hint">Accounts share nothing. One that does not exist yet begins empty.</span>
        </label>
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={account === ""}>
            Change
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
