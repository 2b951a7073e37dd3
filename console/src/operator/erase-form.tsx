/** Erases an account, once its name was typed. */
import { useState } from "react";
import type { AgentClient } from "claude-agent-service-client";
import { go, href } from "../route.ts";
import { Button, Dialog, Failure } from "../ui/controls.tsx";

export function EraseForm({ client, accountId, onClose }: { client: AgentClient; accountId: string; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [keeps, setKeeps] = useState(false);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const { erasure_id } = await client.eraseAccount(accountId, { keep_account: keeps });
      go(href.erasure(erasure_id));
    } catch (why) {
      setError(why);
      setBusy(false);
    }
  };
  return (
    <Dialog title="Erase this account?" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <p>All conversations, files, webhooks and schedules of “{accountId}” will be gone, and its turns end. This cannot be undone.</p>
        <label>
          Type its name to confirm
          <input required autoComplete="off" spellCheck={false} placeholder={accountId} value={typed} onChange={(event) => setTyped(event.target.value)} />
        </label>
        <label className="check">
          <input type="checkbox" checked={keeps} onChange={(event) => setKeeps(event.target.checked)} />
          Keep what is set of it (status, limits, notes) and what it has used
        </label>
        {error !== undefined && <Failure error={error} />}
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" type="submit" disabled={isBusy || typed !== accountId}>
            Erase
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
