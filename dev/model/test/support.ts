/*
 * How the tests talk to the stand-in: the API's client side in its plainest form. Asserts nothing.
 */
import { startModel } from "../server.ts";
import type { Model } from "../server.ts";

export type Event = { type: string } & Record<string, unknown>;

export function userSays(...texts: string[]): object {
  const messages = texts.flatMap((text, index) => [
    ...(index === 0 ? [] : [{ role: "assistant", content: "so be it" }]),
    { role: "user", content: text },
  ]);
  return { model: "claude-sonnet-4-5", max_tokens: 1024, messages };
}

export async function withModel(use: (model: Model) => Promise<void>): Promise<void> {
  const model = await startModel();
  try {
    await use(model);
  } finally {
    await model.close();
  }
}

export function post(model: Model, body: object | string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${model.url}/v1/messages?beta=true`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": "placeholder" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
}

/** The text of the answer to a request that is not streamed. */
export async function answerTo(model: Model, body: object): Promise<string> {
  const response = await post(model, body);
  const message = (await response.json()) as { content: { text: string }[] };
  return message.content[0]?.text ?? "";
}

/** The events of a streamed answer; rejects where the stream is cut. */
export async function eventsOf(response: Response): Promise<Event[]> {
  const text = await response.text();
  return text.split("\n\n").flatMap((part) => {
    const data = /^data: (.*)$/m.exec(part)?.[1];
    return data === undefined ? [] : [JSON.parse(data) as Event];
  });
}

export function textOf(events: Event[]): string {
  return events
    .filter((event) => event.type === "content_block_delta")
    .map((event) => (event["delta"] as { text?: string; partial_json?: string }))
    .map((delta) => delta.text ?? delta.partial_json ?? "")
    .join("");
}
