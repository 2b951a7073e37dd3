/** Asks for a key or a token, and checks it before it is believed. */
import { useState } from "react";
import type { FormEvent } from "react";
import { Button, Failure } from "../ui/controls.tsx";
import { accountOfToken, clientFor, open } from "./session.ts";
import type { Session } from "./session.ts";

export function SignIn({ notice, onOpen }: { notice: unknown; onOpen: (session: Session) => void }) {
  const [credential, setCredential] = useState("");
  const [account, setAccount] = useState("default");
  const [error, setError] = useState<unknown>(notice);
  const [isBusy, setBusy] = useState(false);
  const owner = accountOfToken(credential.trim());

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const given = credential.trim();
    try {
      await clientFor(given, owner ?? account).listConversations({ limit: 1 });
      onOpen(open(given, account));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };

  return (
    <main className="sign-in">
      <form onSubmit={(event) => void submit(event)}>
        <img src={ICON} alt="" width="44" height="44" />
        <h1>Sign in</h1>
        <p>Paste one of this service's API keys, or a token that your application made for you. It stays in this tab and is forgotten when you close it.</p>
        <label>
          Key or token
          <input type="password" name="credential" autoComplete="off" spellCheck={false} autoFocus required value={credential} onChange={(event) => setCredential(event.target.value)} />
        </label>
        {owner === undefined ? (
          <label>
            Account
            <input name="account" autoComplete="off" spellCheck={false} required maxLength={128} value={account} onChange={(event) => setAccount(event.target.value)} />
            <span className="hint">A key speaks for every account; you can change this later.</span>
          </label>
        ) : (
          <p className="hint">
            This token is of the account <b>{owner}</b>.
          </p>
        )}
        {error !== undefined && <Failure error={error} />}
        <Button kind="primary" type="submit" disabled={isBusy || credential.trim() === ""}>
          {isBusy ? "Checking …" : "Sign in"}
        </Button>
      </form>
    </main>
  );
}

const ICON = new URL("../icon.svg", import.meta.url).href;
