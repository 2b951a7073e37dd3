/** Where the console is: the hash of its address, so that its server knows one page only. */
import { useMemo, useSyncExternalStore } from "react";

export type Route = { page: "new" } | { page: "conversation"; sessionId: string } | { page: "operator" } | { page: "reference"; operation: string | undefined };

export function parse(hash: string): Route {
  const [page, id] = hash.replace(/^#?\/?/, "").split("/").map(decoded);
  if (page === "c" && id !== undefined && id !== "") return { page: "conversation", sessionId: id };
  if (page === "operator") return { page: "operator" };
  if (page === "api") return { page: "reference", operation: id };
  return { page: "new" };
}

export const href = {
  new: "#/",
  conversation: (sessionId: string): string => `#/c/${encodeURIComponent(sessionId)}`,
  operator: "#/operator",
  reference: (operation?: string): string => (operation === undefined ? "#/api" : `#/api/${encodeURIComponent(operation)}`),
};

export function go(hash: string): void {
  location.hash = hash;
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(
    (changed) => {
      addEventListener("hashchange", changed);
      return () => removeEventListener("hashchange", changed);
    },
    () => location.hash,
  );
  // The same address is the same object.
  return useMemo(() => parse(hash), [hash]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
