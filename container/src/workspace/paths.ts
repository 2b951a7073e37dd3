/*
 * Which paths a workspace can hold, and their order: relative, of real names, sorted by their bytes as SQLite sorts them.
 */
import { MAX_PATH_BYTES, MAX_SEGMENT_NAME_BYTES } from "./limits.ts";

const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** One name between two slashes. */
export function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !CONTROL_CHARACTERS.test(name) && Buffer.byteLength(name) <= MAX_SEGMENT_NAME_BYTES;
}

export function isPath(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_PATH_BYTES && !LONE_SURROGATE.test(path) && path.split("/").every(isName);
}

/** By the bytes of their UTF-8. JavaScript's own order puts U+FFFD behind an emoji. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Surrogates stand for what is above U+FFFF. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
