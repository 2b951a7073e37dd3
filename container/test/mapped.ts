/*
 * The mapper as the tests use it: messages in, frames out. Holds no test.
 */
import type { SDKMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Frame } from "../src/frames.ts";
import { TurnMapper } from "../src/mapper.ts";

/** What a mapper makes of these messages of the SDK. */
export function mapped(...messages: object[]): { frames: Frame[]; stops: string[]; mapper: TurnMapper } {
  const frames: Frame[] = [];
  const stops: string[] = [];
  const mapper = new TurnMapper({ emit: (frame) => frames.push(frame), stop: (message) => stops.push(message) });
  for (const message of messages) mapper.message(message as SDKMessage);
  mapper.flush();
  return { frames, stops, mapper };
}
