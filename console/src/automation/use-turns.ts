/** Reads a page's content again whenever a turn of the account begins or ends. */
import { useEffect } from "react";
import type { Library } from "../chat/library.ts";
import { useStore } from "../store.ts";

export function useReloadOnTurns(library: Library, reload: () => void): void {
  const { running } = useStore(library);
  useEffect(reload, [running, reload]);
}
