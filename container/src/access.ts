/*
 * Who may call this server: its own Worker alone, known by the token of this container's start.
 * What a browser or a rebound name sends is refused whatever it knows. Looks at the head of a request, never at its body.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

export type Denial = { status: 401 | 403; code: "unauthorized" | "forbidden"; message: string };

/** What the Worker calls it, and what loopback is called. */
const HOST = /^(?:container|localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
const BEARER = /^Bearer +(\S+)$/i;

/** Without a token nobody is asked for one. */
export function accessRule(token: string | undefined): (headers: IncomingHttpHeaders) => Denial | undefined {
  const expected = token === undefined ? undefined : digest(token);
  return ({ host, origin, authorization }) => {
    if (origin !== undefined) return { status: 403, code: "forbidden", message: "calls from web pages are refused" };
    if (host === undefined || !HOST.test(host)) return { status: 403, code: "forbidden", message: "unexpected Host header" };
    if (expected === undefined) return undefined;
    const given = BEARER.exec(authorization ?? "")?.[1] ?? "";
    return timingSafeEqual(digest(given), expected) ? undefined : { status: 401, code: "unauthorized", message: "the token of this container's start is missing or wrong" };
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
