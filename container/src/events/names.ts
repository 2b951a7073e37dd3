/*
 * Names, ids and sentences of others, as short as frames have them. Pure.
 */
import { cutToChars } from "../pieces.ts";

/** Names and ids that come of the model or the SDK. */
export const MAX_NAME_CHARS = 256;
/** The words of an error, whoever they are of. */
export const MAX_ERROR_CHARS = 500;

export function shortName(name: string): string {
  return cutToChars(name, MAX_NAME_CHARS);
}

export function shortSentence(sentence: string): string {
  return cutToChars(sentence, MAX_ERROR_CHARS);
}
