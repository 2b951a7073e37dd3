/** Who speaks: the credential and the account, for this tab alone. Nothing of it is in the address or outlives the tab. */
import { AgentClient } from "claude-agent-service-client";

export type Session = {
  client: AgentClient;
  /** The same, but without a second try of its own. */
  feed: AgentClient;
  /** A key, which speaks for any account; a token, for its own; or none, where the service asks for none. */
  kind: "key" | "token" | "none";
  credential: string | undefined;
  accountId: string;
};

const CREDENTIAL = "console.credential";
const ACCOUNT = "console.account";
const DEFAULT_ACCOUNT = "default";

export function storedCredential(): string | undefined {
  return sessionStorage.getItem(CREDENTIAL) ?? undefined;
}

export function storedAccount(): string {
  return sessionStorage.getItem(ACCOUNT) ?? DEFAULT_ACCOUNT;
}

export function open(credential: string | undefined, account = storedAccount()): Session {
  const own = credential === undefined ? undefined : accountOfToken(credential);
  const accountId = own ?? account;
  if (credential === undefined) sessionStorage.removeItem(CREDENTIAL);
  else sessionStorage.setItem(CREDENTIAL, credential);
  sessionStorage.setItem(ACCOUNT, accountId);
  const kind = credential === undefined ? "none" : own === undefined ? "key" : "token";
  return { client: clientFor(credential, accountId), feed: clientFor(credential, accountId, 0), kind, credential, accountId };
}

export function forget(): void {
  sessionStorage.removeItem(CREDENTIAL);
  sessionStorage.removeItem(ACCOUNT);
}

export function clientFor(credential: string | undefined, accountId?: string, maxRetries?: number): AgentClient {
  return new AgentClient({ baseUrl: location.origin, token: credential, accountId, ...(maxRetries !== undefined && { maxRetries }) });
}

/** The account that a JWT names; undefined for anything else. What the service believes is its own business. */
export function accountOfToken(credential: string): string | undefined {
  const [, payload, signature] = credential.split(".");
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown };
    return typeof sub === "string" && sub !== "" ? sub : undefined;
  } catch {
    return undefined;
  }
}
