/** Where the console is: the hash of its address, so that its server knows one page only. */
import { useMemo, useSyncExternalStore } from "react";

export type Automation = { kind: "schedules" | "webhooks"; name: string };
/** What the operator looks at: an account, one of its conversations, or the receipt of an erasure. */
export type Operated = { kind: "account"; accountId: string; sessionId: string | undefined } | { kind: "erasure"; erasureId: string };
export type Route =
  | { page: "new" }
  | { page: "conversation"; sessionId: string }
  | { page: "automation"; shown: Automation | undefined }
  | { page: "operator"; shown: Operated | undefined }
  | { page: "reference"; operation: string | undefined };

export function parse(hash: string): Route {
  const [page, id, name, more] = hash.replace(/^#?\/?/, "").split("/").map(decoded);
  if (page === "c" && id !== undefined && id !== "") return { page: "conversation", sessionId: id };
  if (page === "automation") return { page: "automation", shown: (id === "schedules" || id === "webhooks") && name ? { kind: id, name } : undefined };
  if (page === "operator" && id === "accounts" && name) return { page, shown: { kind: "account", accountId: name, sessionId: more || undefined } };
  if (page === "operator" && id === "erasures" && name) return { page, shown: { kind: "erasure", erasureId: name } };
  if (page === "operator") return { page, shown: undefined };
  if (page === "api") return { page: "reference", operation: id };
  return { page: "new" };
}

export const href = {
  new: "#/",
  conversation: (sessionId: string): string => `#/c/${encodeURIComponent(sessionId)}`,
  automation: (shown?: Automation): string => (shown === undefined ? "#/automation" : `#/automation/${shown.kind}/${encodeURIComponent(shown.name)}`),
  operator: "#/operator",
  account: (accountId: string, sessionId?: string): string => `#/operator/accounts/${encodeURIComponent(accountId)}${sessionId === undefined ? "" : `/${encodeURIComponent(sessionId)}`}`,
  erasure: (erasureId: string): string => `#/operator/erasures/${erasureId}`,
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
