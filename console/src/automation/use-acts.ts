/** What the page of one schedule or webhook does with it: changes, one at a time and followed by a reload, and its removal. */
import { useState } from "react";
import { go, href } from "../route.ts";

type Acts = {
  isBusy: boolean;
  error: unknown;
  act: (change: () => Promise<unknown>) => Promise<void>;
  remove: () => Promise<void>;
};

export function useActs(reload: () => void, deleteIt: () => Promise<unknown>): Acts {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const act = async (change: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    setError(undefined);
    await change().catch(setError);
    setBusy(false);
    reload();
  };
  const remove = async (): Promise<void> => {
    await deleteIt();
    go(href.automation());
  };
  return { isBusy, error, act, remove };
}
