/*
 * The kinds of turns that the soak mixes: what is sent, and what the stand-in answers to it.
 */
import type { QueryFields, Said } from "../client.ts";
import { bash } from "../client.ts";
import type { Random } from "./random.ts";

/** One question: `prompt` is how it is stored, `answer` what it is answered if nobody steers its turn. */
export type Question = { prompt: string; answer: string; said: Said; fields: QueryFields; isCompaction?: true };

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const SCHEMA = { type: "object", properties: { answer: { type: "string" } }, required: ["answer"], additionalProperties: false };

const plain = (prompt: string, answer: string, fields: QueryFields = {}): Question => ({ prompt, answer, said: prompt, fields });

const KINDS: ((mark: string, random: Random) => Question)[] = [
  (mark, random) => plain(`${random.pick(["", "[[delay 20]] ", `${bash("sleep 0.1")} `])}[[say answer-${mark}]] ask-${mark}`, `answer-${mark}`),
  (mark) => plain(`[[thinking about ${mark}]] ${bash("echo hi")} [[say answer-${mark}]] ask-${mark}`, `answer-${mark}`, { thinking: "on", effort: "low" }),
  (mark, random) => plain(`${bash(`echo ${mark} > file-${random.between(1, 4)}`)} [[say answer-${mark}]] ask-${mark}`, `answer-${mark}`),
  (mark) => {
    const answer = JSON.stringify({ answer: mark });
    return plain(`[[structured ${answer}]] ask-${mark}`, answer, { output_schema: SCHEMA });
  },
  (mark, random) => {
    const prompt = `[[say answer-${mark}]] ask-${mark}`;
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
    const note = { type: "document", source: { type: "text", media_type: "text/plain", data: `Note ${mark}` } };
    return { prompt, answer: `answer-${mark}`, said: [random.pick([image, note]), { type: "text", text: prompt }], fields: {} };
  },
  (mark, random) => {
    const when_busy = random.pick(["steer", "steer", "interrupt", "reject"] as const);
    return plain(`[[say answer-${mark}]] ask-${mark}`, `answer-${mark}`, { when_busy });
  },
  (mark, random) => plain(`${bash("sleep 0.3")} ${random.pick(["", bash("sleep 0.2")])} [[say answer-${mark}]] ask-${mark}`, `answer-${mark}`),
];
const COMPACTION_EVERY = 40;

export function question(mark: string, random: Random): Question {
  if (random.between(1, COMPACTION_EVERY) > 1) return random.pick(KINDS)(mark, random);
  return { ...plain(`/compact Keep ask-${mark}.`, ""), isCompaction: true };
}
