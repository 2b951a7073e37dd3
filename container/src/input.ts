/*
 * The input of a query: messages in order, until the process is to end. Owns how a message is marked as a user's own words.
 */
import type { SDKUserMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Message } from "./attachments.ts";

/** What a user says reaches the model as it is: no command of the CLI, no file that is named, nothing else is looked for in it. */
export function userMessage(uuid: SDKUserMessage["uuid"], content: Message): SDKUserMessage {
  return { ...command(uuid, content), client_composed: true };
}

/** For the CLI itself, which looks for a command in it. */
export function command(uuid: SDKUserMessage["uuid"], content: Message): SDKUserMessage {
  return { type: "user", message: { role: "user", content }, parent_tool_use_id: null, ...(uuid === undefined ? {} : { uuid }) };
}

/** Whoever pushes bounds how much waits: a turn's message and what is offered to it. */
export class Input implements AsyncIterable<SDKUserMessage> {
  readonly #waiting: SDKUserMessage[] = [];
  #ended = false;
  #wake: () => void = () => {};

  push(message: SDKUserMessage): void {
    this.#waiting.push(message);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SDKUserMessage, void> {
    for (;;) {
      const message = this.#waiting.shift();
      if (message !== undefined) yield message;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
