/*
 * What the stand-in says to which request.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo, post, userSays, withModel } from "./support.ts";

const ARITHMETIC: [string, string][] = [
  ["What is 2+2?", "4"],
  ["what's 2 + 3 * 4", "14"],
  ["Calculate 10 / 4", "2.5"],
  ["7-10", "-3"],
  ["How much is 0.1 + 0.2?", "0.3"],
];

for (const [prompt, answer] of ARITHMETIC) {
  test(`"${prompt}" is answered with ${answer}`, () =>
    withModel(async (model) => assert.equal(await answerTo(model, userSays(prompt)), answer)));
}

test("a prompt that is no question about numbers is echoed with the stand-in's name on it", () =>
  withModel(async (model) => {
    assert.equal(await answerTo(model, userSays("Be here 2026-11-22.")), "The stand-in model heard: Be here 2026-11-22.");
  }));

test("everything the user said before is repeated, one a line", () =>
  withModel(async (model) => {
    assert.equal(await answerTo(model, userSays("one", "two", "Repeat everything I said.")), "one\ntwo");
  }));

test("system reminders and interruption marks are not what the user said", () =>
  withModel(async (model) => {
    const content = [
      { type: "text", text: "<system-reminder>\nWhat is 1+1?\n</system-reminder>" },
      { type: "text", text: "hello <system-reminder>there</system-reminder>" },
      { type: "text", text: "[Request interrupted by user]" },
      { type: "text", text: "repeat everything I said" },
    ];
    assert.equal(await answerTo(model, { ...userSays(), messages: [{ role: "user", content }] }), "hello");
  }));

test("say answers exactly its text", () =>
  withModel(async (model) => assert.equal(await answerTo(model, userSays("[[say  a [b] c ]]")), "a [b] c")));

test("words answers so many words", () =>
  withModel(async (model) => assert.equal(await answerTo(model, userSays("[[words 3]]")), "word1 word2 word3")));

test("only the last thing the user said gives directives", () =>
  withModel(async (model) => assert.equal(await answerTo(model, userSays("[[fail 500]]", "[[say ok]]")), "ok")));

test("a directive that does not exist is refused with its name", () =>
  withModel(async (model) => {
    const response = await post(model, userSays("[[dance]]"));
    assert.equal(response.status, 400);
    assert.match(await response.text(), /no directive \[\[dance\]\]/);
  }));

test("letters answers so many letters without a space", () =>
  withModel(async (model) => assert.equal(await answerTo(model, userSays("[[letters 5]]")), "aaaaa")));

test("a title is made from the prompt's first words", () =>
  withModel(async (model) => {
    const body = { ...userSays("Why is the sky blue today and not green?"), system: "Generate a concise title." };
    assert.equal(await answerTo(model, body), '{"title":"Why is the sky blue today"}');
  }));

function afterTools(prompt: string, ...outputs: string[]): object {
  const results = outputs.flatMap((output, index) => [
    { role: "assistant", content: [{ type: "tool_use", id: `toolu_${index}`, name: "Bash", input: {} }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: `toolu_${index}`, content: output }] },
  ]);
  return { ...userSays(), messages: [{ role: "user", content: prompt }, ...results] };
}

test("tool calls come one a step, in order, with their input", () =>
  withModel(async (model) => {
    const prompt = '[[tool Bash {"command":"echo [[x]]"}]] and [[tool Read {"file_path":"/x"}]]';
    const calls = [];
    for (const body of [afterTools(prompt), afterTools(prompt, "1")]) {
      const message = (await (await post(model, body)).json()) as {
        stop_reason: string;
        content: { type: string; name: string; input: object }[];
      };
      calls.push([message.stop_reason, message.content[0]?.type, message.content[0]?.name, message.content[0]?.input]);
    }
    assert.deepEqual(calls, [
      ["tool_use", "tool_use", "Bash", { command: "echo [[x]]" }],
      ["tool_use", "tool_use", "Read", { file_path: "/x" }],
    ]);
  }));

test("calls of one message come together, and the next one when all their results are there", () =>
  withModel(async (model) => {
    const prompt = '[[tool Bash {"command":"a"}]] [[also Bash {"command":"b"}]] [[tool Read {}]] [[say done]]';
    const names = async (...outputs: string[]): Promise<unknown[]> => {
      const message = (await (await post(model, afterTools(prompt, ...outputs))).json()) as { content: { name?: string; text?: string; input?: { command?: string } }[] };
      return message.content.map(({ name, text, input }) => [name ?? text, input?.command]);
    };
    assert.deepEqual(await names(), [["Bash", "a"], ["Bash", "b"]]);
    assert.deepEqual(await names("1", "2"), [["Read", undefined]]);
    assert.deepEqual(await names("1", "2", "3"), [["done", undefined]]);
  }));

test("a plan is written into the file that the request names", () =>
  withModel(async (model) => {
    const prompt = "[[plan # Do it]]";
    assert.equal((await post(model, userSays(prompt))).status, 400);
    const system = "No plan file exists yet. You should create your plan at /cfg/plans/a-b.md using the Write tool.";
    const message = (await (await post(model, { ...userSays(prompt), system })).json()) as { content: { name: string; input: object }[] };
    assert.deepEqual(message.content.map(({ name, input }) => [name, input]), [["Write", { file_path: "/cfg/plans/a-b.md", content: "# Do it" }]]);
  }));

test("after its tool calls the answer is what the tools put out", () =>
  withModel(async (model) => {
    const prompt = "[[tool Bash {}]] [[tool Bash {}]]";
    assert.equal(await answerTo(model, afterTools(prompt, "one", "two")), "one\n\ntwo");
  }));

test("a say that stands with a tool call is the answer after it", () =>
  withModel(async (model) => {
    assert.equal(await answerTo(model, afterTools("[[tool Bash {}]] [[say done]]", "one")), "done");
  }));

test("tool calls of an earlier prompt do not count for this one", () =>
  withModel(async (model) => {
    const { messages } = afterTools("[[tool Bash {}]]", "one") as { messages: object[] };
    const body = { ...userSays(), messages: [...messages, { role: "user", content: "[[tool Bash {}]]" }] };
    const message = (await (await post(model, body)).json()) as { stop_reason: string };
    assert.equal(message.stop_reason, "tool_use");
  }));

test("a prompt that begins with a command to run calls Bash with it, where that is offered", () =>
  withModel(async (model) => {
    const prompt = "Run `ls -la`, and tell me what you see.";
    const body = { ...afterTools(prompt), tools: [{ name: "Bash", input_schema: { type: "object" } }] };
    const message = (await (await post(model, body)).json()) as { content: { name: string; input: object }[] };
    assert.deepEqual([message.content[0]?.name, message.content[0]?.input], ["Bash", { command: "ls -la" }]);
    assert.equal(await answerTo(model, { ...body, ...afterTools(prompt, "made.txt") }), "made.txt");
    assert.match(await answerTo(model, userSays(prompt)), /^The stand-in model heard/);
  }));
