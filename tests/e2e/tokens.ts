/*
 * Tokens for the tests of authentication, made with node:crypto alone: right ones and wrong ones of every kind.
 */
import { createHmac } from "node:crypto";

export const JWT_SECRET = "end-to-end secret of more than thirty-two bytes";
export const ISSUER = "https://id.example.com";
export const AUDIENCE = "agents";

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const nowS = (): number => Math.floor(Date.now() / 1_000);

/** Claims that are right for an account. */
export function claims(sub: string): Record<string, unknown> {
  return { sub, exp: nowS() + 600, iss: ISSUER, aud: AUDIENCE };
}

/** A token with these claims, signed as its header says it is, or otherwise. */
export function signed(payload: unknown, header: object = { alg: "HS256", typ: "JWT" }, secret = JWT_SECRET, hash = "sha256"): string {
  const content = `${encoded(header)}.${encoded(payload)}`;
  return `${content}.${createHmac(hash, secret).update(content).digest("base64url")}`;
}

/** A token that speaks for an account. */
export const tokenFor = (account: string): string => signed(claims(account));

/** Tokens that nobody may get in with, by what is wrong with each. */
export function badTokens(account: string): Record<string, string> {
  const right = claims(account);
  const without = (name: string): Record<string, unknown> => Object.fromEntries(Object.entries(right).filter(([key]) => key !== name));
  const good = signed(right);
  const [header, payload, signature] = good.split(".") as [string, string, string];
  return {
    "no algorithm": `${encoded({ alg: "none" })}.${payload}.`,
    "no algorithm, but the signature of one": signed(right, { alg: "none" }),
    "another algorithm": signed(right, { alg: "HS512" }, JWT_SECRET, "sha512"),
    "another algorithm in the header alone": signed(right, { alg: "RS256" }),
    "a part that must be understood": signed(right, { alg: "HS256", crit: ["b64"], b64: false }),
    "no end": signed(without("exp")),
    "an end that has come": signed({ ...right, exp: nowS() - 1 }),
    "an end more than 366 days ahead": signed({ ...right, exp: nowS() + 367 * 86_400 }),
    "an end in milliseconds": signed({ ...right, exp: (nowS() + 600) * 1_000 }),
    "an end that is a text": signed({ ...right, exp: String(nowS() + 600) }),
    "a time that has not come": signed({ ...right, nbf: nowS() + 3600 }),
    "another secret": signed(right, undefined, "another secret of more than thirty-two bytes"),
    "no signature": `${header}.${payload}.`,
    "a signature cut short": `${header}.${payload}.${signature.slice(0, -4)}`,
    "the signature of other claims": `${header}.${encoded({ ...right, sub: "somebody else" })}.${signature}`,
    "another issuer": signed({ ...right, iss: "https://elsewhere.example.com" }),
    "no issuer": signed(without("iss")),
    "another audience": signed({ ...right, aud: ["others"] }),
    "no audience": signed(without("aud")),
    "no account": signed(without("sub")),
    "an account that is none": signed({ ...right, sub: "a\u0000b" }),
    "the account of those that name none": signed({ ...right, sub: "default" }),
    "two parts": `${header}.${payload}`,
    "four parts": `${good}.${signature}`,
    "claims that are no object": signed("claims"),
    "more than may be sent": signed({ ...right, padding: "x".repeat(9_000) }),
  };
}
