/** The AI SDK's own client in a real browser, on a site of its own, without an adapter: `ai` and `@ai-sdk/react` as they are published. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";
import type { UIMessage } from "ai";
import { BreakingProxy } from "../../clients/typescript/test/proxy.ts";
import { bash, Client, newAccountId } from "../../tests/e2e/client.ts";
import type { Turn } from "../../tests/e2e/client.ts";
import { serverAndCli } from "../../tests/e2e/containers.ts";
import { gone } from "../../tests/e2e/processes.ts";
import { AUDIENCE, ISSUER, JWT_SECRET, tokenFor } from "../../tests/e2e/tokens.ts";
import { serveSite } from "./ai-sdk/site.ts";
import { product } from "./browser.ts";

const site = await serveSite();
const { running, chrome } = product({
  secrets: { ANTHROPIC_API_KEY: "sk-ant-chat", JWT_SECRET },
  vars: { JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, ALLOWED_ORIGINS: site, ACCOUNT_CONCURRENCY: "1", MAX_QUEUED_TURNS: "1" },
});
const TIME_LIMIT = { timeout: 120_000 };
/** Some three seconds of words. */
const SLOW = "[[delay 60]] [[words 200]]";
const WORDS = Array.from({ length: 200 }, (_, index) => `word${index + 1}`).join(" ");

type Opened = { page: Page; client: Client };

/** The site's chat of an account; of one that nobody used before unless there is one. */
async function open(t: TestContext, options: { id?: string; client?: Client; service?: string; token?: string; more?: object; mayLog?: RegExp } = {}): Promise<Opened> {
  const account = options.client?.accountId ?? newAccountId();
  const token = options.token ?? tokenFor(account);
  const client = options.client ?? new Client(running.url, account, { authorization: `Bearer ${token}` });
  const { id = "chat", service = running.url, more = {}, mayLog } = options;
  const hash = new URLSearchParams({ service, id, token, more: JSON.stringify(more) });
  const page = await chrome.open(t, { url: `${site}/#${hash}`, origins: [service], ...(mayLog !== undefined && { mayLog }) });
  // The hook asks whether there is something to resume. If a message came first, it would have its answer twice, which nobody's fingers can do.
  if (options.token === undefined) await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/stream")));
  return { page, client };
}

const status = (page: Page, word: string): Promise<void> => page.getByRole("status").getByText(word, { exact: true }).waitFor();
const press = (page: Page, name: string): Promise<void> => page.getByRole("button", { name, exact: true }).first().click();

async function write(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await press(page, "Send");
}

/** Asks, and waits for the end of the answer. */
async function ask(page: Page, text: string): Promise<void> {
  const before = await page.getByRole("article", { name: "assistant" }).count();
  await write(page, text);
  await page.getByRole("article", { name: "assistant" }).nth(before).waitFor({ state: "attached" });
  await status(page, "ready");
}

/** What the hook holds, without the names that it gives to thoughts of its own. */
async function held(page: Page): Promise<UIMessage[]> {
  const messages = await page.evaluate(() => JSON.parse(JSON.stringify(window.messages)) as UIMessage[]);
  for (const part of messages.flatMap(({ parts }) => parts)) if (part.type === "reasoning") delete (part as { id?: string }).id;
  return messages;
}

/** Asks for another answer, and waits until it has begun. */
async function regenerate(page: Page): Promise<void> {
  const before = (await held(page)).at(-1)?.id;
  await press(page, "Regenerate");
  await page.waitForFunction((id) => window.messages.at(-1)?.role === "assistant" && window.messages.at(-1)?.id !== id, before);
}

const textOf = (message: UIMessage | undefined): string => (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
const texts = async (page: Page): Promise<string[]> => (await held(page)).map((message) => `${message.role}: ${textOf(message)}`);
const finished = (page: Page): Promise<unknown> => page.evaluate(() => JSON.parse(JSON.stringify(window.finished)) as unknown);

test("an answer is streamed with its thoughts, calls and files, and a reload brings the same messages", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t);
  await status(page, "ready");
  await ask(page, `[[thinking I look first.]] ${bash("echo a > made.txt; cat made.txt")} [[say All done.]]`);
  assert.deepEqual(await finished(page), { isAbort: false, isDisconnect: false, isError: false, finishReason: "stop" });
  const live = await held(page);
  const answer = live[1];
  assert.deepEqual(answer?.parts.map(({ type }) => type).filter((type) => type !== "reasoning"), ["step-start", "dynamic-tool", "step-start", "text", "data-file"]);
  assert.equal(textOf(answer), "All done.");
  const call = answer?.parts.find((part) => part.type === "dynamic-tool");
  assert.deepEqual([call?.toolName, call?.state, call?.output, call?.providerExecuted], ["Bash", "output-available", "a", true]);
  const metadata = answer?.metadata as { turn_id: string; status: string; usage: { output_tokens: number } };
  assert.deepEqual([metadata.turn_id, metadata.status, metadata.usage.output_tokens > 0], [answer?.id, "completed", true]);
  await page.reload();
  await status(page, "ready");
  assert.deepEqual(await held(page), live);
  // What the API is asked belongs to the same conversation.
  await client.query("What is 2+2?", { session_id: "chat" });
  await page.reload();
  await page.getByText("4", { exact: true }).waitFor();
});

test("a reload in the middle of an answer goes on with the same message, and nothing is there twice", TIME_LIMIT, async (t) => {
  const { page } = await open(t);
  await write(page, SLOW);
  await page.getByText("word20", { exact: false }).waitFor();
  const [, begun] = await held(page);
  await page.reload();
  await status(page, "streaming");
  await status(page, "ready");
  const [question, answer, ...others] = await held(page);
  assert.deepEqual([textOf(question), textOf(answer), answer?.id, others], [SLOW, WORDS, begun?.id, []]);
});

test("a connection that is cut is an error, and the answer is resumed in the same message", TIME_LIMIT, async (t) => {
  const proxy = new BreakingProxy(running.url);
  t.after(() => proxy.close());
  let pieces = 0;
  proxy.judge = (piece) => (piece.includes("text-delta") && (pieces += 1) === 10 ? "cut-after" : "pass");
  const { page } = await open(t, { service: await proxy.listen(), mayLog: /ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION/ });
  await write(page, SLOW);
  await status(page, "error");
  assert.deepEqual(await finished(page), { isAbort: false, isDisconnect: true, isError: true });
  await press(page, "Resume");
  await status(page, "ready");
  assert.deepEqual(await texts(page), [`user: ${SLOW}`, `assistant: ${WORDS}`]);
});

test("to leave lets the turn go on; to cancel ends it, and what was written stays", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t);
  await write(page, SLOW);
  await page.getByText("word12", { exact: false }).waitFor();
  await press(page, "Leave");
  await status(page, "ready");
  await press(page, "Resume");
  await status(page, "streaming");
  await press(page, "Cancel");
  await status(page, "ready");
  assert.match(textOf((await held(page))[1]), /^word1 word2/);
  const [turn] = (await (await client.request("GET", "/conversations/chat/turns")).json()) as Turn[];
  assert.ok(turn !== undefined);
  assert.equal((await client.ended(turn)).status, "cancelled");
  await ask(page, "What is 3+3?");
  assert.equal(textOf((await held(page)).at(-1)), "6");
});

test("a turn that somebody else cancels is interrupted, not complete", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t);
  await write(page, SLOW);
  await page.getByText("word12", { exact: false }).waitFor();
  await client.request("POST", "/conversations/chat/cancel");
  await status(page, "ready");
  assert.deepEqual(await finished(page), { isAbort: false, isDisconnect: false, isError: false, finishReason: "interrupted" });
  assert.equal(((await held(page))[1]?.metadata as { status: string }).status, "cancelled");
});

test("a message is changed in its place, before and after a reload, and another answer is asked for", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t);
  await ask(page, "What is 2+2?");
  await ask(page, "What is 3+3?");
  await press(page, "Edit");
  await write(page, "What is 4+4?");
  await page.getByText("8", { exact: true }).waitFor();
  await status(page, "ready");
  assert.deepEqual(await texts(page), ["user: What is 4+4?", "assistant: 8"]);
  await page.reload();
  await status(page, "ready");
  await press(page, "Edit");
  await write(page, "What is 5+5?");
  await page.getByText("10", { exact: true }).waitFor();
  await status(page, "ready");
  await regenerate(page);
  await status(page, "ready");
  assert.deepEqual(await client.said("chat"), ["user: What is 5+5?", "assistant: 10"]);
  // A question that was not asked here has a name of the service's.
  await client.query("What is 6+6?", { session_id: "chat" });
  await page.reload();
  await page.getByText("12", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Edit" }).nth(1).click();
  await write(page, "What is 7+7?");
  await page.getByText("14", { exact: true }).waitFor();
  await status(page, "ready");
  assert.deepEqual(await client.said("chat"), ["user: What is 5+5?", "assistant: 10", "user: What is 7+7?", "assistant: 14"]);
});

test("another answer is asked for while the first is still being written: that turn ends", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t);
  await write(page, SLOW);
  await page.getByText("word12", { exact: false }).waitFor();
  await press(page, "Leave");
  await press(page, "Edit");
  await write(page, "What is 2+2?");
  await page.getByText("4", { exact: true }).waitFor();
  await status(page, "ready");
  assert.deepEqual(await texts(page), ["user: What is 2+2?", "assistant: 4"]);
  assert.deepEqual(await client.said("chat"), ["user: What is 2+2?", "assistant: 4"]);
});

test("files are given to the model, are there after a reload, and go with another answer", TIME_LIMIT, async (t) => {
  const { page } = await open(t, { mayLog: /status of 40[45]|status of 415/ });
  const pixel = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
  const question = "[[say A dot.]] What is it?";
  await status(page, "ready");
  await page.getByLabel("Files").setInputFiles([
    { name: "dot.png", mimeType: "image/png", buffer: pixel },
    { name: "notes.csv", mimeType: "text/csv", buffer: Buffer.from("tea,green\n") },
  ]);
  await ask(page, question);
  const kinds = (): string[] | undefined => running.asked(question).at(-1)?.last_blocks.map(({ type }) => type).filter((type) => type !== "text");
  assert.deepEqual(kinds(), ["image", "document"]);
  await regenerate(page);
  await status(page, "ready");
  assert.deepEqual([running.asked(question).length, kinds()], [2, ["image", "document"]]);
  await page.reload();
  await page.getByText("dot.png").waitFor();
  await page.getByText("notes.csv").waitFor();
  // What is gone with the answer is asked for again, and not left out.
  await press(page, "Regenerate");
  await page.getByRole("alert").getByText("attach it again", { exact: false }).waitFor();
  await page.getByLabel("Files").setInputFiles([{ name: "all.zip", mimeType: "application/zip", buffer: Buffer.from([80, 75, 3, 4, 255]) }]);
  await write(page, "And this?");
  await page.getByRole("alert").getByText("an image, a PDF, or text in UTF-8", { exact: false }).waitFor();
});

test("what is refused and what fails is told in a sentence, and asked again", TIME_LIMIT, async (t) => {
  const { page } = await open(t, { mayLog: /status of 400/ });
  const alert = page.getByRole("alert");
  await write(page, "[[fail 400]]");
  await status(page, "error");
  assert.match(await alert.innerText(), /^[A-Z][^{}]*$/);
  const failed = (await held(page))[1]?.metadata as { status: string; error: { code: string } };
  assert.deepEqual([failed.status, failed.error.code], ["failed", "model_failed"]);
  await regenerate(page);
  await status(page, "error");
  assert.equal((await held(page)).length, 2);
  await write(page, " ");
  await alert.getByText("No prompt provided").waitFor();
  const { page: other } = await open(t, { token: "expired", mayLog: /status of 401/ });
  assert.match(await other.getByRole("alert").innerText(), /^[A-Z][^{}]*$/);
});

test("a turn that waits says where it stands, and one that cannot wait is refused and asked again", TIME_LIMIT, async (t) => {
  const { page: first, client } = await open(t, { id: "one" });
  await write(first, "[[hang]]");
  await running.hanging("[[hang]]");
  const { page: second } = await open(t, { id: "two", client });
  await write(second, "What is 2+2?");
  await second.waitForFunction(() => window.data.length > 0);
  assert.deepEqual((await second.evaluate(() => window.data))[0], { type: "data-turn", data: { status: "queued", position: 1 }, transient: true });
  const { page: third } = await open(t, { id: "three", client, mayLog: /status of 429/ });
  await write(third, "What is 3+3?");
  await third.getByRole("alert").getByText("turns of this account are waiting already").waitFor();
  running.model.control.release();
  await second.getByText("4", { exact: true }).waitFor();
  await press(third, "Regenerate");
  await third.getByText("6", { exact: true }).waitFor();
  await status(third, "ready");
  assert.deepEqual(await client.said("three"), ["user: What is 3+3?", "assistant: 6"]);
});

test("options of a query go beside the messages, and a history of any length with them", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t, { more: { model: "claude-haiku-4-5", metadata: { from: "site" } } });
  await ask(page, "What is 2+2?");
  assert.deepEqual(((await held(page))[1]?.metadata as { metadata: object }).metadata, { from: "site" });
  const [turn] = (await (await client.request("GET", "/conversations/chat/turns")).json()) as { metadata: object }[];
  assert.deepEqual(turn?.metadata, { from: "site" });
});

/** What needs leave in the tests of approvals. */
const ASKING = { permissions: { ask: ["Bash(touch:*)"] } };
const TOUCH = { made: `${bash("touch made.txt")} [[say All done.]]`, both: `[[tool Bash {"command":"touch one"}]] [[also Bash {"command":"touch two"}]] [[say All done.]]` };
/** What the CLI says to the model when it goes on by itself. */
const GO_ON = "Continue from where you left off.";

const states = async (page: Page): Promise<string[]> => ((await held(page)).at(-1)?.parts ?? []).flatMap((part) => (part.type === "dynamic-tool" ? [part.state] : []));

/** Asks something that needs leave, and waits until the page can give it. */
async function asksForLeave(page: Page, text: string): Promise<UIMessage> {
  await write(page, text);
  await page.getByRole("button", { name: "Approve" }).first().waitFor();
  await status(page, "ready");
  return (await held(page)).at(-1) as UIMessage;
}

/** Waits for the end of an answer that the page has only now. */
async function done(page: Page): Promise<void> {
  await page.getByText("All done.", { exact: true }).waitFor();
  await status(page, "ready");
}

async function filesOf(client: Client): Promise<string[]> {
  const { files } = (await (await client.request("GET", "/conversations/chat/files")).json()) as { files: { path: string }[] };
  return files.map(({ path }) => path).sort();
}

/** The parts are what a reload brings. */
async function isTheSameAfterAReload(page: Page): Promise<void> {
  const parts = (await held(page)).map((message) => message.parts);
  await page.reload();
  await page.getByRole("article").nth(parts.length - 1).waitFor();
  await status(page, "ready");
  assert.deepEqual((await held(page)).map((message) => message.parts), parts);
}

test("a call waits for leave, and goes on in the same message when it is approved", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t, { more: ASKING });
  const asked = await asksForLeave(page, TOUCH.made);
  assert.deepEqual([await states(page), (asked.metadata as { status: string }).status], [["approval-requested"], "requires_action"]);
  assert.deepEqual(await finished(page), { isAbort: false, isDisconnect: false, isError: false, finishReason: "tool-calls" });
  await isTheSameAfterAReload(page);
  await press(page, "Approve");
  await done(page);
  const [, answer, ...others] = await held(page);
  assert.deepEqual([answer?.id, await states(page), others], [asked.id, ["output-available"], []]);
  assert.equal((answer?.metadata as { status: string }).status, "completed");
  assert.deepEqual(await filesOf(client), ["made.txt"]);
  await isTheSameAfterAReload(page);
});

test("a call that is denied does not run, and the agent is told why", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t, { more: ASKING });
  await asksForLeave(page, bash("touch made.txt"));
  await press(page, "Deny");
  await page.getByText("Not today.", { exact: false }).waitFor();
  await status(page, "ready");
  assert.deepEqual([await states(page), await filesOf(client)], [["output-denied"], []]);
  await isTheSameAfterAReload(page);
});

test("two calls of one message are approved and denied, each when it is its turn", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t, { more: ASKING });
  const asked = await asksForLeave(page, TOUCH.both);
  await press(page, "Approve");
  await press(page, "Deny");
  await done(page);
  const [, answer, ...others] = await held(page);
  assert.deepEqual([answer?.id, await states(page), others], [asked.id, ["output-available", "output-denied"], []]);
  assert.deepEqual(await filesOf(client), ["one"]);
  await isTheSameAfterAReload(page);
});

test("an approval counts once: of two pages the second goes on with the first, and what comes too late is told in a sentence", TIME_LIMIT, async (t) => {
  const mayLog = /status of 409/;
  const { page, client } = await open(t, { more: ASKING, mayLog });
  await asksForLeave(page, TOUCH.made);
  const { page: second } = await open(t, { client, more: ASKING });
  await second.getByRole("button", { name: "Approve" }).waitFor();
  const { page: third } = await open(t, { client, more: ASKING, mayLog });
  await third.getByRole("button", { name: "Deny" }).waitFor();
  await press(page, "Approve");
  await done(page);
  await press(second, "Approve");
  await done(second);
  await press(third, "Deny");
  await third.getByRole("alert").getByText("This action was decided before: allow.").waitFor();
  assert.deepEqual(await held(second), await held(page));
  const { page: late } = await open(t, { id: "late", client, more: ASKING, mayLog });
  await asksForLeave(late, TOUCH.made);
  await client.request("POST", "/conversations/late/cancel");
  await press(late, "Approve");
  await late.getByRole("alert").getByText("This action cannot be decided any more: it is cancelled.").waitFor();
  await write(page, "What is 2+2?");
  await page.getByText("4", { exact: true }).waitFor();
});

test("an approval goes on with a turn whose container is gone", TIME_LIMIT, async (t) => {
  const { page, client } = await open(t, { more: ASKING });
  const asked = await asksForLeave(page, TOUCH.made);
  const { server } = await serverAndCli(client, running, "other");
  process.kill(server, "SIGKILL");
  await gone(server, 10_000);
  // Until the death is noticed, an approval goes to the process that is gone.
  const events = await client.events("chat");
  assert.ok(await events.until(({ event }) => event === "paused"));
  running.model.control.script(GO_ON, TOUCH.made);
  await press(page, "Approve");
  await done(page);
  assert.deepEqual([(await held(page)).at(-1)?.id, await states(page), await filesOf(client)], [asked.id, ["output-available", "output-available"], ["made.txt"]]);
  await isTheSameAfterAReload(page);
});

test("a call of the app's own code gets its output, and a question its answers", TIME_LIMIT, async (t) => {
  const tools = [{ name: "find_order", description: "Finds an order.", input_schema: { type: "object", properties: { id: { type: "number" } } } }];
  const { page, client } = await open(t, { more: { tools, questions: true } });
  const question = { question: "Which colour?", header: "Colour", multiSelect: false, options: [{ label: "Blue", description: "b" }, { label: "Red", description: "r" }] };
  await write(page, `[[tool mcp__client__find_order {"id":7}]] [[tool AskUserQuestion ${JSON.stringify({ questions: [question] })}]]`);
  for (const name of ["find_order", "AskUserQuestion"]) {
    await page.getByText(`${name} `, { exact: false }).locator("xpath=..").getByRole("button", { name: "Give" }).click();
  }
  await page.getByText("Blue", { exact: false }).last().waitFor();
  await status(page, "ready");
  assert.deepEqual(await states(page), ["output-available", "output-available"]);
  assert.match(textOf((await held(page)).at(-1)), /shipped[^]*Blue/);
  assert.equal(((await (await client.request("GET", "/conversations/chat/turns")).json()) as Turn[]).length, 1);
  await isTheSameAfterAReload(page);
});
