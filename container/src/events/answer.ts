/*
 * The answer of a turn: its top-level text blocks, joined, within their bounds. Emits nothing.
 */
import { MAX_FRAME_BYTES } from "../frames.ts";
import { cutToBytes, jsonBytes } from "../pieces.ts";

/** The joined text of a turn. Escaped as JSON it may be larger, as far as a frame can hold it. */
export const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
const MAX_ANSWER_JSON_BYTES = MAX_FRAME_BYTES - 64 * 1024;
const BLOCK_SEPARATOR = "\n\n";

type Block = { uuid: string; text: string; bytes: number; jsonBytes: number };

export class Answer {
  #blocks: Block[] = [];

  /** All of it, or as much of it as its bounds allow. */
  get text(): string {
    let text = cutToBytes(this.#blocks.map((block) => block.text).join(BLOCK_SEPARATOR), MAX_ANSWER_BYTES);
    while (jsonBytes(text) > MAX_ANSWER_JSON_BYTES) text = cutToBytes(text, Math.floor(Buffer.byteLength(text) / 2));
    return text;
  }

  get overfull(): boolean {
    const between = this.#blocks.length - 1;
    const sum = (of: (block: Block) => number, separator: number): number => this.#blocks.reduce((bytes, block) => bytes + of(block), between * separator);
    return (
      sum((block) => block.bytes, BLOCK_SEPARATOR.length) > MAX_ANSWER_BYTES ||
      sum((block) => block.jsonBytes, jsonBytes(BLOCK_SEPARATOR)) > MAX_ANSWER_JSON_BYTES
    );
  }

  add(uuid: string, text: string): void {
    this.#blocks.push({ uuid, text, bytes: Buffer.byteLength(text), jsonBytes: jsonBytes(text) });
  }

  /** The blocks of these messages are none of it any more. False: there were none. */
  remove(uuids: string[]): boolean {
    const before = this.#blocks.length;
    this.#blocks = this.#blocks.filter((block) => !uuids.includes(block.uuid));
    return this.#blocks.length < before;
  }
}
