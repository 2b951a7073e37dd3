/*
 * No frame is over 4 MiB: long transcripts and entries are divided, an answer has a bound, and what others wrote is cut.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { FrameLog, MAX_FRAME_BYTES } from "../src/frames.ts";
import type { Entry, Frame } from "../src/frames.ts";
import { MAX_ANSWER_BYTES } from "../src/events/answer.ts";
import { smallInput } from "../src/events/tools.ts";
import { cutToBytes, cutToChars, EntryTooLarge, MAX_ENTRY_BYTES, MAX_FRAME_ENTRIES, MAX_PIECE_BYTES, transcriptFrames } from "../src/pieces.ts";
import { startAgent } from "./harness.ts";
import type { Agent, TurnFrames } from "./harness.ts";
import { mapped } from "./mapped.ts";

const MIB = 1024 * 1024;
/** One, two, three and four bytes of UTF-8, and what JSON escapes. */
const MIXED = 'aé€😀"\\\n\u0000';

const lineBytes = (frame: Frame): number => Buffer.byteLength(`${JSON.stringify({ n: 1e9, ...frame })}\n`);
const entry = (text: string): Entry => ({ type: "user", text });
const filled = (bytes: number, from = MIXED): string => from.repeat(Math.ceil(bytes / Buffer.byteLength(from)));

/** What a caller has that puts the pieces together. */
function assembled(frames: readonly Frame[]): Entry[] {
  const entries: Entry[] = [];
  let pieces = "";
  for (const frame of frames) {
    if (frame.type === "transcript_part") {
      pieces += frame.text;
      if (!frame.last) continue;
      entries.push(JSON.parse(pieces) as Entry);
      pieces = "";
    } else {
      assert.equal(pieces, "", "no other frame comes between the parts of an entry");
      if (frame.type === "transcript") entries.push(...frame.entries);
    }
  }
  assert.equal(pieces, "");
  return entries;
}

describe("transcript entries", () => {
  for (const [what, entries] of [
    ["none", []],
    ["a small one", [entry("x")]],
    ["many small ones", Array.from({ length: 2 * MAX_FRAME_ENTRIES + 1 }, (_, n) => entry(String(n)))],
    ["many of some size", Array.from({ length: 40 }, () => entry(filled(300_000)))],
    ["one that just fits, one that does not", [entry("x".repeat(MAX_PIECE_BYTES - 30)), entry("x".repeat(MAX_PIECE_BYTES))]],
    ["a large one between small ones", [entry("a"), entry(filled(5 * MIB)), entry("b")]],
    ["two large ones, of nothing but what JSON escapes", [entry('"'.repeat(MIB)), entry("\\".repeat(2 * MIB))]],
    ["one as large as is sent", [entry("x".repeat(MAX_ENTRY_BYTES - 30))]],
  ] as const) {
    test(`${what}: come back whole from frames that are small`, () => {
      for (const subpath of [null, "subagents/agent-1"]) {
        const frames = [...transcriptFrames(subpath, entries)];
        assert.deepEqual(assembled(frames), entries);
        for (const frame of frames) {
          assert.ok(lineBytes(frame) <= MAX_FRAME_BYTES, `${lineBytes(frame)} bytes`);
          assert.equal("subpath" in frame ? frame.subpath : null, subpath);
          if (frame.type === "transcript_part") assert.ok(Buffer.byteLength(frame.text) <= MAX_PIECE_BYTES);
          if (frame.type === "transcript") assert.ok(frame.entries.length <= MAX_FRAME_ENTRIES);
        }
      }
    });
  }

  test("over 12 MiB is refused, behind what comes before it", () => {
    const frames: Frame[] = [];
    assert.throws(() => {
      for (const frame of transcriptFrames(null, [entry("before"), entry("x".repeat(MAX_ENTRY_BYTES)), entry("behind")])) frames.push(frame);
    }, EntryTooLarge);
    assert.deepEqual(assembled(frames), [entry("before")]);
  });
});

test("a text is cut at a whole character", () => {
  for (let at = 0; at < 12; at++) {
    const bytes = cutToBytes("aé€😀b", at);
    assert.ok(Buffer.byteLength(bytes) <= at && "aé€😀b".startsWith(bytes));
    assert.ok(cutToChars("aé€😀b", at).isWellFormed());
  }
  assert.ok(JSON.stringify(smallInput({ text: `${"x".repeat(1023)}${"😀".repeat(1000)}` })).isWellFormed());
});

test("a frame over the bound is not taken, and those before and behind are numbered without it", () => {
  const frames = new FrameLog();
  assert.deepEqual([frames.append({ type: "message", text: "a" }), frames.append({ type: "message", text: "x".repeat(MAX_FRAME_BYTES) }), frames.append({ type: "message", text: "b" })], [true, false, true]);
  assert.deepEqual([frames.next(0)?.n, frames.next(1)?.n, frames.next(2)], [1, 2, undefined]);
});

describe("what the SDK says", () => {
  const said = (content: object[], model = "m"): object => ({ type: "assistant", uuid: "u", message: { model, content }, parent_tool_use_id: null });
  const text = (words: string): object => ({ type: "text", text: words });
  const delta = (words: string): object => ({ type: "stream_event", event: { type: "content_block_delta", delta: { type: "text_delta", text: words } }, parent_tool_use_id: null });
  const failed = (result: string): SDKResultMessage => ({ type: "result", subtype: "success", is_error: true, result, num_turns: 1, duration_ms: 1 }) as SDKResultMessage;

  for (const [what, blocks] of [
    ["one block", [filled(MAX_ANSWER_BYTES, "x")]],
    ["several blocks", Array<string>(8).fill(filled(MAX_ANSWER_BYTES / 9, "é"))],
    ["a block of quotes", ['"'.repeat(1.9 * MIB)]],
  ] as const) {
    test(`up to the bound is answered whole: ${what}`, () => {
      const { frames, stops, mapper } = mapped(said(blocks.map(text)));
      assert.deepEqual(stops, []);
      assert.deepEqual(frames, blocks.map((words) => ({ type: "message", text: words })));
      assert.equal(mapper.text, blocks.join("\n\n"));
      assert.ok(lineBytes(mapper.endedWithoutResult("failed", "stopped")) <= MAX_FRAME_BYTES);
    });
  }

  for (const [what, blocks] of [
    ["one block", [filled(MAX_ANSWER_BYTES + 1)]],
    ["the last of several", [...Array<string>(8).fill(filled(MAX_ANSWER_BYTES / 9)), filled(MAX_ANSWER_BYTES / 3)]],
    ["a block that is short but for its escapes", ["\u0000".repeat(MIB)]],
  ] as const) {
    test(`beyond the bound ends the turn, with as much as a frame holds: ${what}`, () => {
      const { frames, stops, mapper } = mapped(said(blocks.map(text)));
      assert.deepEqual(stops, ["the answer is over 2 MiB"]);
      assert.equal(frames.length, blocks.length - 1);
      assert.ok(mapper.text.length > 100_000 && blocks.join("\n\n").startsWith(mapper.text));
      const result = mapper.endedWithoutResult("failed", "stopped", { code: "agent_failed", message: stops[0] ?? "" });
      assert.ok(lineBytes(result) <= MAX_FRAME_BYTES, `${lineBytes(result)} bytes`);
    });
  }

  test("in one long delta comes in several", () => {
    const words = filled(3 * MIB, "😀\u0000");
    const { frames } = mapped(delta(words));
    assert.equal(frames.map((frame) => (frame.type === "delta" ? frame.text : "")).join(""), words);
    for (const frame of frames) assert.ok(lineBytes(frame) <= MAX_FRAME_BYTES && (frame.type !== "delta" || frame.text.isWellFormed()));
  });

  test("in an error, a tool's name or a model's is cut", () => {
    const long = "é😀".repeat(MIB);
    const use = { type: "tool_use", id: long, name: long, input: { [long]: long } };
    const { frames, mapper } = mapped(said([text("x"), use], long));
    const result = mapper.result(failed(long));
    assert.equal(result.error?.message, cutToChars(long, 500));
    for (const frame of [...frames, result]) assert.ok(lineBytes(frame) < 8_000, `${lineBytes(frame)} bytes of ${frame.type}`);
    assert.equal(mapper.endedWithoutResult("failed", long, { code: "agent_failed", message: long }).error?.message, cutToChars(long, 500));
  });
});

describe("the real SDK", () => {
  let model: Model;
  let agent: Agent;
  before(async () => {
    model = await startModel();
    agent = await startAgent(model);
    await agent.processesReady();
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  const small = (turn: TurnFrames): void => {
    for (const frame of turn.all) assert.ok(lineBytes(frame) <= MAX_FRAME_BYTES);
  };

  test("writes an entry over 1 MiB, which goes in parts and resumes elsewhere", async () => {
    const letters = 1_500_000;
    const first = await agent.turn({ prompt: `the word is heron [[letters ${letters}]]` });
    assert.equal(first.result.text.length, letters);
    assert.deepEqual(first.of("transcript_part").map((frame) => frame.last), [false, true]);
    small(first);
    const fresh = await startAgent(model);
    try {
      const next = { agent_session: first.session, resume: true, transcript: first.transcript };
      const second = await fresh.turn({ ...next, prompt: "repeat everything I said" });
      assert.match(second.result.text, /the word is heron/);
    } finally {
      await fresh.stop();
    }
  });

  test("writes an entry over 12 MiB: the turn fails and says so, and the conversation goes on from what the caller has", async () => {
    const first = await agent.turn({ prompt: "the word is heron" });
    const next = { agent_session: first.session, resume: true };
    const large = await agent.turn({ ...next, prompt: `[[say noted]] ${"x".repeat(MAX_ENTRY_BYTES + 1)}` });
    assert.deepEqual([large.result.status, large.result.error], ["failed", { code: "agent_failed", message: "an entry of the transcript is over 12 MiB" }]);
    assert.equal((await agent.post({ ...next, prompt: "hello" })).status, 409);
    const third = await agent.turn({ ...next, prompt: "repeat everything I said", transcript: [...first.transcript, ...large.transcript] });
    assert.match(third.result.text, /the word is heron/);
  });

  test("says more than 2 MiB: the turn fails and says so", async () => {
    const turn = await agent.turn({ prompt: `[[letters ${MAX_ANSWER_BYTES + 1}]]` });
    assert.deepEqual([turn.result.status, turn.result.error], ["failed", { code: "agent_failed", message: "the answer is over 2 MiB" }]);
    assert.equal(Buffer.byteLength(turn.result.text), MAX_ANSWER_BYTES);
    small(turn);
    const next = await agent.turn({ agent_session: turn.session, resume: true, prompt: "What is 8+1?" });
    assert.equal(next.result.text, "9");
  });
});
