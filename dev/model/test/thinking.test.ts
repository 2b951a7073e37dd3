/*
 * Thinking, structured answers, told usage, and messages in the middle of a turn: in the forms in which the CLI sends them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SIGNATURE } from "../blocks.ts";
import { eventsOf, post, userSays, withModel } from "./support.ts";
import type { Model } from "../server.ts";

type Content = { type: string; text?: string; thinking?: string; signature?: string; name?: string; input?: object };
type Answer = { stop_reason: string; content: Content[]; usage: Record<string, number> };

const ADAPTIVE = { thinking: { type: "adaptive" } };

async function asked(model: Model, body: object): Promise<Answer> {
  return (await (await post(model, body)).json()) as Answer;
}

function later(prompt: string, ...turns: [answer: object, result: object][]): object {
  const messages = turns.flatMap(([answer, result]) => [{ role: "assistant", content: [answer] }, { role: "user", content: [result] }]);
  return { ...userSays(), messages: [{ role: "user", content: prompt }, ...messages] };
}

const call = (name: string, input: object = {}): object => ({ type: "tool_use", id: "toolu_1", name, input });
const result = (content: string, isError = false): object => ({ type: "tool_result", tool_use_id: "toolu_1", content, is_error: isError });

test("thinking comes before the answer, with the signature that the API wants back", () =>
  withModel(async (model) => {
    const { content } = await asked(model, { ...userSays("[[thinking Two and two.]] [[say four]]"), ...ADAPTIVE });
    assert.deepEqual(content, [
      { type: "thinking", thinking: "Two and two.", signature: SIGNATURE },
      { type: "text", text: "four" },
    ]);
    const sent = { ...userSays(), messages: [{ role: "user", content: "a" }, { role: "assistant", content }, { role: "user", content: "[[say b]]" }] };
    assert.equal((await post(model, sent)).status, 200);
    const forged = JSON.parse(JSON.stringify(sent).replace(SIGNATURE, "forged")) as object;
    const response = await post(model, forged);
    assert.equal(response.status, 400);
    assert.match(await response.text(), /messages\.1\.content\.0: Invalid `signature` in `thinking` block/);
  }));

test("thinking is streamed in pieces and then signed", () =>
  withModel(async (model) => {
    const events = await eventsOf(await post(model, { ...userSays("[[thinking one two three four five]] [[say six]]"), ...ADAPTIVE, stream: true }));
    const deltas = events.filter((event) => event.type === "content_block_delta").map((event) => [event["index"], event["delta"]]);
    assert.deepEqual(deltas, [
      [0, { type: "thinking_delta", thinking: "one two three four " }],
      [0, { type: "thinking_delta", thinking: "five" }],
      [0, { type: "signature_delta", signature: SIGNATURE }],
      [1, { type: "text_delta", text: "six" }],
    ]);
    assert.deepEqual(events.find((event) => event.type === "content_block_start")?.["content_block"], { type: "thinking", thinking: "", signature: "" });
  }));

for (const [what, thinking, logged] of [
  ["disabled", { thinking: { type: "disabled" } }, "disabled"],
  ["not mentioned", {}, null],
] as const) {
  test(`where thinking is ${what} there is none`, () =>
    withModel(async (model) => {
      const { content } = await asked(model, { ...userSays("[[thinking hm]] [[say so]]"), ...thinking });
      assert.deepEqual(content, [{ type: "text", text: "so" }]);
      assert.equal(model.control.requests()[0]?.thinking, logged);
    }));
}

test("the second thought comes with the second step", () =>
  withModel(async (model) => {
    const prompt = "[[thinking first]] [[thinking second]] [[tool Bash {}]] [[say done]]";
    const steps = [later(prompt), later(prompt, [call("Bash"), result("ok")])];
    const types = await Promise.all(steps.map(async (body) => (await asked(model, { ...body, ...ADAPTIVE })).content.map((block) => block.thinking ?? block.type)));
    assert.deepEqual(types, [["first", "tool_use"], ["second", "text"]]);
    assert.equal(model.control.requests()[0]?.thinking, "adaptive");
  }));

const OFFERED = { tools: [{ name: "StructuredOutput", input_schema: { type: "object" } }] };

test("a structured answer is a call of the tool that is offered for it, and its JSON where none is", () =>
  withModel(async (model) => {
    const prompt = '[[structured {"list":[[1]]}]]';
    const offered = await asked(model, { ...userSays(prompt), ...OFFERED });
    assert.deepEqual([offered.stop_reason, offered.content[0]?.name, offered.content[0]?.input], ["tool_use", "StructuredOutput", { list: [[1]] }]);
    assert.equal((await asked(model, userSays(prompt))).content[0]?.text, '{"list":[[1]]}');
  }));

test("a structured answer that is not taken is followed by the next, the last one again and again", () =>
  withModel(async (model) => {
    const prompt = '[[tool Bash {}]] [[structured {"n":1}]] [[structured {"n":2}]] [[say done]]';
    const bash: [object, object] = [call("Bash"), result("ok")];
    const refused: [object, object] = [call("StructuredOutput"), result("does not match", true)];
    const taken: [object, object] = [call("StructuredOutput"), result("ok")];
    const inputs = [];
    for (const turns of [[], [bash], [bash, refused], [bash, refused, refused], [bash, refused, taken]]) {
      const { content } = await asked(model, { ...later(prompt, ...turns), ...OFFERED });
      inputs.push(content[0]?.input ?? content[0]?.text);
    }
    assert.deepEqual(inputs, [{}, { n: 1 }, { n: 2 }, { n: 2 }, "done"]);
  }));

test("the CLI's request for a structured answer is nothing that the user said", () =>
  withModel(async (model) => {
    const { content } = await asked(model, userSays("[[say plain]]", "[structured-output-enforce] You MUST call the StructuredOutput tool."));
    assert.equal(content[0]?.text, "plain");
  }));

test("usage is told as the prompt says", () =>
  withModel(async (model) => {
    const prompt = "[[usage 970000]] [[say a]]";
    const { usage } = await asked(model, userSays(prompt));
    assert.deepEqual([usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]], [970_000, 0, 0]);
    const [start] = await eventsOf(await post(model, { ...userSays(prompt), stream: true }));
    assert.equal((start?.["message"] as Answer).usage["input_tokens"], 970_000);
    assert.equal((await post(model, userSays("[[usage much]]"))).status, 400);
  }));

test("a message sent in the middle of a turn is what the user said last", () =>
  withModel(async (model) => {
    const reminder = "<system-reminder>\nThe user sent a new message while you were working:\n[[say turned]]\n\nThis is how Claude Code surfaces messages the user sends mid-turn.\n</system-reminder>";
    for (const [role, content] of [
      ["system", reminder],
      ["system", [{ type: "text", text: reminder }]],
      ["user", [{ type: "text", text: reminder }]],
    ] as const) {
      const { messages } = later("[[tool Bash {}]]", [call("Bash"), result("ok")]) as { messages: object[] };
      const answer = await asked(model, { ...userSays(), messages: [...messages, { role, content }] });
      assert.equal(answer.content[0]?.text, "turned");
    }
    assert.deepEqual(model.control.requests()[0]?.user_texts, ["[[tool Bash {}]]", "[[say turned]]"]);
  }));

test("what the system says else is nothing that the user said", () =>
  withModel(async (model) => {
    const { messages } = userSays("[[say a]]") as { messages: object[] };
    const answer = await asked(model, { ...userSays(), messages: [...messages, { role: "system", content: "[[say b]]" }] });
    assert.equal(answer.content[0]?.text, "a");
  }));
