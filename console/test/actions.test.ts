/** What the agent waits for, answered in a real browser on the running product. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { bash, json } from "../../tests/e2e/client.ts";
import type { Action, Client, Waiting } from "../../tests/e2e/client.ts";
import { ask, findings, isWide, picture, product, said } from "./browser.ts";

/** A server whose one tool asks for a seat, and answers with what it was told. */
const SEATS = `
let call;
const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n");
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params, result } = JSON.parse(line);
  if (method === "initialize") send({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "seats", version: "1" } } });
  else if (method === "tools/list") send({ id, result: { tools: [{ name: "book", description: "books a seat", inputSchema: { type: "object", properties: {} } }] } });
  else if (method === "tools/call") send({ id: \`ask-\${call = id}\`, method: "elicitation/create", params: { message: "Where do you sit?", requestedSchema: {
    type: "object", required: ["row", "side"],
    properties: { row: { type: "integer", title: "Row", minimum: 1, maximum: 30 }, side: { type: "string", title: "Side", enum: ["window", "aisle"] }, quiet: { type: "boolean", title: "Quiet" } },
  } } });
  else if (id === \`ask-\${call}\`) send({ id: call, result: { content: [{ type: "text", text: "told " + JSON.stringify(result) }] } });
});
`;
const { running, chrome } = product({
  vars: { ACTION_HOLD: "4s" },
  configuration: { vars: { MCP_SERVERS: { seats: { command: process.execPath, args: ["-e", SEATS] } } } },
});
const TIME_LIMIT = { timeout: 240_000 };
const WAITS = "The agent waits for your answer";
const DONE = "The answer is complete";

/** Asks something with the choice that the agent asks or plans first, which it does. */
async function askFirst(page: Page, question: string, way = "Asks first"): Promise<void> {
  await page.getByRole("combobox", { name: "How freely the agent works" }).selectOption(way);
  await page.getByRole("textbox", { name: "Message" }).fill(question);
  await page.keyboard.press("Enter");
  await said(page, WAITS);
}

/** What the command has left in the conversation's folder. */
const runs = async (client: Client, sessionId: string): Promise<string> => (await client.query(bash("cat runs 2>/dev/null; echo end"), { session_id: sessionId })).response.trim();

/** A turn that waits without a process. */
async function parked(client: Client): Promise<Action> {
  const stream = await client.stream(`${bash(command)} [[say Done.]]`, { permissions: { ask: ["Bash"] } });
  const paused = await stream.until(({ event }) => event === "paused");
  return (paused?.data["actions"] as [Action])[0];
}

const sessionOf = (page: Page): string => decodeURIComponent(/#\/c\/(.+)$/.exec(page.url())?.[1] ?? "");
const command = "echo ran >> runs";

test("a command is asked about, allowed by keyboard, and runs once", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client);
  await askFirst(page, `${bash(command)} [[say Done.]]`);
  const form = page.getByRole("region", { name: "May the agent run this command?" });
  assert.match(await form.innerText(), /echo ran >> runs[^]*Allow[^]*Deny[^]*expires/);
  assert.equal(await page.locator("details.tool").count(), 0);
  assert.deepEqual(await findings(page), []);
  await picture(page, "7-approval-light");
  await page.getByRole("link", { name: /echo ran/ }).waitFor();
  await page.getByRole("img", { name: "It waits for your answer" }).waitFor();
  await form.getByRole("button", { name: "Allow", exact: true }).press("Enter");
  await said(page, DONE);
  await page.getByText("Allowed", { exact: true }).waitFor();
  await page.locator("details.tool.finished").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Allowed");
  await page.getByRole("img", { name: "It waits for your answer" }).waitFor({ state: "detached" });
  assert.equal(await runs(client, sessionOf(page)), "ran\nend");
});

test("a call is denied with a word to the agent, and what was decided is there after a reload", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client, { width: 375, height: 740, dark: true });
  await askFirst(page, bash(command));
  assert.equal(await isWide(page), false);
  assert.deepEqual(await findings(page), []);
  await picture(page, "7-approval-phone-dark");
  await page.getByRole("textbox", { name: "What should it do instead? (optional)" }).fill("Not today.");
  await page.keyboard.press("Enter");
  await said(page, DONE);
  for (const isAgain of [false, true]) {
    if (isAgain) await page.reload();
    await page.getByText("Denied: Not today.", { exact: true }).waitFor();
    await page.locator("details.tool.denied").waitFor();
  }
  assert.equal(await runs(client, sessionOf(page)), "end");
});

test("a turn that was parked is found by its mark, answered, and goes on in its place", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const { session_id } = await parked(client);
  const page = await chrome.openFor(t, client);
  await page.getByRole("img", { name: "It waits for your answer" }).waitFor();
  await page.getByRole("link", { name: /echo ran/ }).click();
  await said(page, WAITS);
  await page.getByRole("button", { name: "Allow for this conversation" }).click();
  await said(page, DONE);
  await page.getByText("Allowed for this conversation", { exact: true }).waitFor();
  assert.equal(new URL(page.url()).hash, `#/c/${session_id}`);
});

test("what is decided elsewhere is shown at once, and who is too late sees what it was", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const actions = [await parked(client), await parked(client)];
  for (const [index, { action_id, session_id }] of actions.entries()) {
    const isDeaf = index === 1;
    const page = await chrome.openFor(t, client, { mayLog: /409|ERR_FAILED/ });
    if (isDeaf) await page.route((url) => url.pathname === "/events", (route) => route.abort());
    await page.goto(`${running.url}/console/#/c/${session_id}`);
    if (isDeaf) await page.reload();
    await said(page, WAITS);
    await json(await client.decide(action_id, { decision: "deny", message: "Too late." }), 200);
    if (isDeaf) await page.getByRole("button", { name: "Allow", exact: true }).click();
    await page.getByText("Denied", { exact: isDeaf ? false : true }).waitFor();
    if (isDeaf) await page.getByText("Denied: Too late.", { exact: true }).waitFor();
    await said(page, DONE);
  }
});

test("a turn that waits is stopped, and its question says so", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await askFirst(page, bash(command));
  assert.equal(await page.getByRole("button", { name: "Send" }).count(), 0);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Not answered: the turn had ended", { exact: true }).waitFor();
  await page.getByRole("alert").getByText("Stopped").waitFor();
});

test("a tool of the caller's waits for its application, and gets a result by hand", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const tools = [{ name: "find_order", description: "Finds an order.", input_schema: { type: "object", properties: { id: { type: "number" } } } }];
  const waiting = await json<Waiting>(await client.post('[[tool mcp__client__find_order {"id":7}]]', { tools }), 200);
  const page = await chrome.openFor(t, client, { route: `/c/${waiting.session_id}` });
  const form = page.getByRole("region", { name: "“find_order” waits for your application" });
  assert.match(await form.innerText(), /"id": 7/);
  await form.getByRole("textbox", { name: "Result, as JSON or text" }).fill('{"state":"shipped"}');
  await picture(page, "7-tool-light");
  await form.getByRole("button", { name: "Give this result" }).click();
  await said(page, DONE);
  await page.locator(".answer .markdown").getByText("shipped").waitFor();
});

test("a tool of an MCP server is asked about, and what the server asks is a form", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient(), { width: 375, height: 740 });
  await askFirst(page, "[[tool mcp__seats__book {}]]");
  await page.getByRole("region", { name: "May the agent use “book (seats)”?" }).getByRole("button", { name: "Allow", exact: true }).click();
  const form = page.getByRole("region", { name: "“seats” asks you" });
  await form.getByText("Where do you sit?").waitFor();
  const row = form.getByRole("spinbutton", { name: "Row" });
  await row.fill("31");
  await form.getByRole("combobox", { name: "Side" }).selectOption("window");
  await form.getByRole("checkbox", { name: "Quiet" }).check();
  await row.press("Enter");
  assert.equal(await row.evaluate((input: HTMLInputElement) => input.validity.rangeOverflow), true);
  assert.deepEqual([await isWide(page), await findings(page)], [false, []]);
  await picture(page, "7-elicitation-light");
  await row.fill("7");
  await row.press("Enter");
  await said(page, DONE);
  assert.match(await page.locator(".answer .markdown").innerText(), /told .*"action":"accept".*"quiet":true,"row":7,"side":"window"/);
  assert.match(await page.locator(".outcome").last().innerText(), /Answered\s+row\s+7\s+side\s+window\s+quiet\s+true/);
});

test("questions are answered by keyboard, with choices and one's own words, and the answers stay", TIME_LIMIT, async (t) => {
  const questions = [
    { question: "Which colour?", header: "Colour", multiSelect: false, options: [{ label: "Blue", description: "like the sea" }, { label: "Red", description: "" }] },
    { question: "Which extras?", header: "Extras", multiSelect: true, options: [{ label: "Tests", description: "" }, { label: "A README", description: "" }] },
  ];
  const page = await chrome.openFor(t, running.newClient());
  await askFirst(page, `[[tool AskUserQuestion ${JSON.stringify({ questions })}]]`);
  const form = page.getByRole("region", { name: "The agent asks you" });
  const answer = form.getByRole("button", { name: "Answer", exact: true });
  assert.equal(await answer.isDisabled(), true);
  await form.getByRole("radio", { name: "Blue like the sea" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await form.getByRole("group", { name: "Which extras?" }).getByRole("checkbox", { name: "Something else" }).press("Space");
  await page.keyboard.type("A licence");
  assert.deepEqual(await findings(page), []);
  await picture(page, "7-questions-light");
  await page.keyboard.press("Enter");
  await said(page, DONE);
  for (const isAgain of [false, true]) {
    if (isAgain) await page.reload();
    await page.locator(".outcome").getByText("Tests, A licence").waitFor();
    assert.match(await page.locator(".outcome").innerText(), /Answered\s+Which colour\?\s+Red\s+Which extras\?\s+Tests, A licence/);
  }
});

test("a plan is shown as such, and carried out when it is approved", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client, { dark: true });
  await askFirst(page, `[[plan # Run it]] ${bash(command)} [[say Done.]]`, "Plans first");
  const form = page.getByRole("region", { name: "May the agent carry out this plan?" });
  await form.getByRole("heading", { name: "Run it" }).waitFor();
  assert.deepEqual(await findings(page), []);
  await picture(page, "7-plan-dark");
  await form.getByRole("button", { name: "Approve" }).click();
  await said(page, DONE);
  await page.getByText("Plan approved", { exact: true }).waitFor();
  assert.equal(await runs(client, sessionOf(page)), "ran\nend");
});

test("how freely the agent works is kept, and without a word it works by itself", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await ask(page, `${bash(command)} [[say Done.]]`);
  const choice = page.getByRole("combobox", { name: "How freely the agent works" });
  await choice.selectOption("Asks first");
  await page.reload();
  assert.equal(await choice.inputValue(), "asks");
});
