/** The chat in a real browser on the running product, from the first question on. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { bash } from "../../tests/e2e/client.ts";
import { ask, findings, isWide, product, said } from "./browser.ts";
import { importPast } from "./past.ts";

const { running, chrome } = product();
const TIME_LIMIT = { timeout: 180_000 };
/** Some six seconds of words. */
const SLOW = "[[delay 60]] [[words 400]]";
const trimmed = (texts: string[]): string[] => texts.map((text) => text.trim());

test("the root leads a browser to the console, and everyone else where it always did", TIME_LIMIT, async (t) => {
  const html = await fetch(running.url, { headers: { accept: "text/html" }, redirect: "manual" });
  assert.deepEqual([html.status, html.headers.get("location"), html.headers.get("vary")], [302, "/console/", "accept"]);
  assert.equal((await fetch(running.url)).status, 404);
  const page = await chrome.open(t);
  await page.goto(running.url);
  await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/console/");
});

test("the console's files have a policy, and those with a hash in their name are kept", async () => {
  const response = await fetch(`${running.url}/console/`);
  assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'self'/);
  const script = /src="(\/console\/assets\/[^"]+\.js)"/.exec(await response.text())?.[1] ?? "";
  assert.equal((await fetch(running.url + script)).headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal((await fetch(`${running.url}/console/nothing`)).status, 404);
});

test("a first question is answered as it is written, and is there after a reload", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await page.getByText("Your conversations will be listed here.").waitFor();
  await ask(page, "What is 2+2?");
  await page.getByRole("log").getByText("4", { exact: true }).waitFor();
  await page.getByRole("link", { name: "What is 2+2?" }).waitFor();
  await page.reload();
  await page.getByRole("log").getByText("4", { exact: true }).waitFor();
  assert.match(await page.locator(".cost").innerText(), /in[^]*out[^]*\$/);
  // As on a page without TLS, where there is no clipboard.
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.getByRole("button", { name: "Copy the answer" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  await page.getByRole("textbox", { name: "Message" }).focus();
  await page.keyboard.press("Control+v");
  assert.equal(await page.getByRole("textbox", { name: "Message" }).inputValue(), "4");
  assert.match(await page.title(), /^What is 2\+2\?/);
});

test("a reload and a lost connection in the middle of an answer lose nothing of it, and the connection is told", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client, { mayLog: /ERR_INTERNET_DISCONNECTED/ });
  const answer = page.locator(".answer");
  await page.getByRole("textbox", { name: "Message" }).fill(SLOW);
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("word20", { exact: false }).waitFor();
  await page.reload();
  await said(page, "The agent is working");
  await page.getByRole("log").getByText("word30", { exact: false }).waitFor();
  assert.equal(await answer.getAttribute("aria-busy"), "true");

  await page.context().setOffline(true);
  const notice = page.getByRole("status").filter({ hasText: "No connection to the service." });
  await notice.waitFor();
  await page.getByText("The connection is lost. The agent goes on").waitFor();
  await client.query("What is 2+2?", { session_id: "meanwhile" });
  await page.context().setOffline(false);
  await notice.waitFor({ state: "detached" });
  await page.getByRole("link", { name: "What is 2+2?" }).waitFor();
  await said(page, "The answer is complete");
  assert.equal(await answer.getAttribute("aria-busy"), "false");
  assert.equal((await answer.locator(".markdown").innerText()).trim(), Array.from({ length: 400 }, (_, index) => `word${index + 1}`).join(" "));
});

test("of a long past, what is looked for is loaded, and stays", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await importPast(client, running.url, 100, 90);
  const page = await chrome.openFor(t, client, { route: "/c/past" });
  const log = page.getByRole("log");
  await log.getByText("Question 100", { exact: true }).waitFor();
  assert.equal(await page.locator(".turn").count(), 40);
  const place = (scrolled?: number): Promise<number> =>
    log.evaluate((element, to) => {
      element.scrollTop = to ?? element.scrollTop;
      const question = [...element.querySelectorAll(".bubble")].find(({ textContent }) => textContent === "Question 61");
      return Math.round(question?.getBoundingClientRect().top ?? NaN);
    }, scrolled);
  const before = await place(300);
  await log.getByText("Question 60", { exact: true }).waitFor({ state: "attached" });
  assert.equal(await place(), before);
  await log.evaluate(async (element) => {
    while (element.querySelector(".earlier") !== null) {
      element.scrollTop = 0;
      await new Promise(requestAnimationFrame);
    }
  });
  assert.equal(await page.locator(".turn").count(), 100);
  await log.evaluate((element) => (element.scrollTop = 0));
  const oldest = page.locator(".turn").first();
  for (const text of ["Question 1", "Answer 1", "400 in", "7 out"]) await oldest.getByText(text, { exact: true }).first().waitFor();

  const list = page.getByRole("navigation", { name: "Conversations" });
  assert.equal(await list.getByRole("link", { name: /^About/ }).count(), 40);
  const all = list.locator(".conversations");
  await all.evaluate(async (element) => {
    while (element.querySelectorAll("li").length < 91) {
      element.scrollTop = element.scrollHeight;
      await new Promise(requestAnimationFrame);
    }
  });
  const behind = (): Promise<number> => all.evaluate(({ scrollTop, scrollHeight }) => scrollHeight - scrollTop);
  const end = await behind();
  await client.query("What is 2+2?");
  await list.getByRole("link", { name: "What is 2+2?" }).waitFor();
  assert.deepEqual([await all.getByRole("listitem").count(), await behind()], [92, end]);
});

test("an answer is stopped, and what was written stays", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await page.getByRole("textbox", { name: "Message" }).fill(SLOW);
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("word12", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("alert").getByText("Stopped").waitFor();
  assert.match(await page.locator(".answer .markdown").innerText(), /^word1 word2/);
  await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Message");
  await page.getByRole("button", { name: "Edit the question" }).click();
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Edit the question");
});

test("a tool call is a card that opens to what went in and came out, after a reload as well", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await ask(page, `${bash("echo from the machine > made.txt; cat made.txt")} [[say Done.]]`);
  const card = page.locator("details.tool.finished");
  await card.locator("summary").click();
  await card.getByText("Input").waitFor();
  assert.match(await card.locator("pre").first().innerText(), /echo from the machine/);
  assert.equal((await card.locator("pre").last().innerText()).trim(), "from the machine");
  await page.reload();
  await card.locator("summary").click();
  assert.equal((await card.locator("pre").last().innerText()).trim(), "from the machine");
});

test("markdown is shown as such, code with colours, and no HTML, script or picture of the model's is run or fetched", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  const answer = [
    "# Title", "", "A **bold** word, [a link](https://example.com/x) and `code`.", "", "- one", "- two", "",
    "| a | b |", "|---|---|", "| 1 | 2 |", "", "```ts", "const x: number = 1;", "```", "",
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">", "",
    "![a picture](https://example.com/spy.png) [bad](javascript:document.title='taken')",
  ].join("\n");
  await ask(page, `[[say ${answer}]]`);
  const log = page.locator(".answer");
  await log.getByRole("heading", { name: "Title" }).waitFor();
  await log.locator(".hljs-keyword").first().waitFor();
  assert.equal(await log.getByRole("cell", { name: "2" }).count(), 1);
  const link = log.getByRole("link", { name: "a link" });
  assert.deepEqual([await link.getAttribute("rel"), await link.getAttribute("target")], ["noopener noreferrer nofollow", "_blank"]);
  assert.equal(await log.locator("img, script").count(), 0);
  assert.doesNotMatch(await page.title(), /taken/);
  assert.doesNotMatch((await log.getByText("bad", { exact: true }).getAttribute("href")) ?? "", /javascript/);
});

test("a failure says what happened and what to do, and the question is asked again", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await page.getByRole("textbox", { name: "Message" }).fill("[[fail 400]]");
  await page.keyboard.press("Enter");
  const alert = page.getByRole("alert");
  await alert.getByText("The model could not answer").waitFor();
  assert.match(await alert.innerText(), /model_failed · req_/);
  await alert.getByRole("button", { name: "Ask again" }).click();
  await alert.nth(1).getByText("The model could not answer").waitFor();
  assert.equal(await page.locator(".bubble").count(), 2);
  await page.reload();
  await alert.nth(1).getByText("The model could not answer").waitFor();
  assert.match(await alert.nth(1).innerText(), /model_failed/);
});

test("thinking is folded", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await ask(page, "[[thinking It is about tea.]] [[say Tea.]]");
  const thought = page.getByText("It is about tea.", { exact: true });
  assert.equal(await thought.isVisible(), false);
  await page.getByText("Thought about it").click();
  await thought.waitFor();
});

test("a picture, a text and what the model cannot read are given to it, each in its way", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  const pixel = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
  await page.getByLabel("Files to attach").setInputFiles([
    { name: "dot.png", mimeType: "image/png", buffer: pixel },
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("Tea is green.") },
    { name: "data.bin", mimeType: "application/octet-stream", buffer: Buffer.from([1, 2, 3]) },
  ]);
  const attached = page.getByRole("list", { name: "Attached" });
  assert.match(await attached.innerText(), /dot\.png[^]*notes\.txt/);
  await page.getByRole("complementary", { name: "Files" }).getByRole("button", { name: /^data\.bin/ }).waitFor();
  await ask(page, "[[say I see a dot.]] What do you see?");
  const request = running.asked("[[say I see a dot.]] What do you see?")[0];
  assert.deepEqual(request?.last_blocks.map(({ type }) => type).filter((type) => type !== "text"), ["image", "document"]);
  assert.match(await page.getByRole("list", { name: "Attachments" }).innerText(), /dot\.png[^]*notes\.txt/);
  await page.reload();
  assert.match(await page.getByRole("list", { name: "Attachments" }).innerText(), /dot\.png[^]*notes\.txt/);
});

test("a question is edited in its place, and a branch goes on by itself", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?", { session_id: "trunk" });
  await client.query("What is 3+3?", { session_id: "trunk" });
  const page = await chrome.openFor(t, client, { route: "/c/trunk" });
  const turns = page.getByRole("article");
  await turns.nth(1).getByText("6", { exact: true }).waitFor();

  await turns.nth(0).getByRole("button", { name: "Branch off from here" }).click();
  await page.getByRole("heading", { name: "What is 2+2? (branch)" }).waitFor();
  assert.equal(await turns.count(), 1);
  await ask(page, "What is 5+5?");
  await page.goto(`${running.url}/console/#/c/trunk`);
  await turns.nth(1).getByText("What is 3+3?").hover();
  await turns.nth(1).getByRole("button", { name: "Edit the question" }).click();
  await page.getByRole("textbox", { name: "The question" }).fill("What is 4+4?");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await turns.nth(1).getByText("8", { exact: true }).waitFor();
  assert.deepEqual(await client.said("trunk"), ["user: What is 2+2?", "assistant: 4", "user: What is 4+4?", "assistant: 8"]);

  await turns.nth(0).getByRole("button", { name: "Go back to here" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Go back" }).click();
  await turns.nth(1).waitFor({ state: "detached" });
  assert.deepEqual(await client.said("trunk"), ["user: What is 2+2?", "assistant: 4"]);
});

test("the context is told, and a conversation is summarised to make room", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await ask(page, "[[usage 500000]] [[say Much.]]");
  await page.getByRole("meter", { name: /^50\dk of [0-9.]+(k|M) tokens in the model's context/ }).waitFor();
  await page.getByRole("button", { name: "Conversation", exact: true }).click();
  await page.getByRole("menuitem", { name: "Summarise to make room" }).click();
  await page.getByText("The conversation was summarised to make room", { exact: false }).waitFor();
});

test("what is asked elsewhere appears here", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?", { session_id: "shared" });
  const page = await chrome.openFor(t, client, { route: "/c/shared" });
  await page.getByRole("log").getByText("4", { exact: true }).waitFor();
  await client.query("What is 6*7?", { session_id: "shared" });
  await page.getByRole("log").getByText("42", { exact: true }).waitFor();
  await client.query("What is 1+1?", { session_id: "other" });
  await page.getByRole("link", { name: "What is 1+1?" }).waitFor();
  await client.patch("shared", { title: "Renamed elsewhere" });
  await page.getByRole("heading", { name: "Renamed elsewhere" }).waitFor();
});

test("conversations are found, renamed and deleted", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?", { session_id: "sums" });
  await client.query("[[say about tea]] Which tea is green?", { session_id: "tea" });
  const page = await chrome.openFor(t, client, { route: "/c/sums", mayLog: /404/ });
  const list = page.getByRole("navigation", { name: "Conversations" });
  await list.getByRole("link", { name: /tea/ }).waitFor();

  await page.keyboard.press("Control+k");
  await page.keyboard.type("green");
  await list.getByRole("link", { name: "What is 2+2?" }).waitFor({ state: "detached" });
  await page.keyboard.type(" xyzzy");
  await list.getByText("Nothing is about “green xyzzy”.").waitFor();
  await list.getByRole("searchbox").fill("");

  await page.getByRole("button", { name: "Conversation", exact: true }).click();
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await page.getByRole("textbox", { name: "Title" }).fill("Simple sums");
  await page.keyboard.press("Enter");
  await list.getByRole("link", { name: "Simple sums" }).waitFor();
  await page.getByRole("heading", { name: "Simple sums" }).waitFor();

  await list.getByRole("button", { name: "More about Simple sums" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await list.getByRole("link", { name: "Simple sums" }).waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
  assert.equal((await client.request("GET", "/conversations/sums")).status, 404);
  assert.equal(await page.getByText("There is no conversation at this address").count(), 0);
  await page.goBack();
  await page.getByText("There is no conversation at this address").waitFor();
});

test("a file is dropped, seen, used by the agent, and what it made is downloaded", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient());
  await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["a,b\n1,2\n"], "table.csv", { type: "text/csv" }));
    return transfer;
  });
  await page.dispatchEvent(".chat", "drop", { dataTransfer: data });
  const files = page.getByRole("complementary", { name: "Files" });
  await files.getByRole("button", { name: /^table\.csv/ }).click();
  await page.getByRole("dialog").getByText("a,b").waitFor();
  await page.keyboard.press("Escape");

  await ask(page, bash("tr , ';' < table.csv > out.csv; cat out.csv"));
  await page.getByRole("button", { name: /out\.csv.*new/ }).waitFor();
  const downloading = page.waitForEvent("download");
  await files.getByRole("button", { name: "Download out.csv" }).click();
  const download = await downloading;
  assert.equal(download.suggestedFilename(), "out.csv");
  assert.equal(await readFile(await download.path(), "utf8"), "a;b\n1;2\n");

  await files.getByRole("button", { name: "Delete table.csv" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await files.getByRole("button", { name: "Delete table.csv" }).waitFor({ state: "detached" });
});

test("what a turn changed in a file is shown line by line, by keyboard, on a phone and in the dark", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient(), { width: 375, height: 740, dark: true });
  await ask(page, bash("seq 1 20 > list.txt; printf 'a\\0b' > data.bin; echo gone > old.txt"));
  await ask(page, "What is 2+2?");
  await ask(page, bash("sed -i 's/^7$/seven/' list.txt; echo 21 >> list.txt; printf 'a\\0bc' > data.bin; rm old.txt"));
  await page.getByRole("button", { name: "Show changes in list.txt" }).press("Enter");
  const dialog = page.getByRole("dialog", { name: "Changes in list.txt" });
  await dialog.getByText("@@", { exact: false }).first().waitFor();
  assert.deepEqual(await dialog.locator("ins").allInnerTexts().then(trimmed), ["+ seven", "+ 21"]);
  assert.deepEqual(await dialog.locator("del").allInnerTexts().then(trimmed), ["- 7"]);
  assert.equal(await dialog.locator("pre span").count(), 2 + 6 + 3, "two places, with three lines around each change");
  assert.equal(await isWide(page), false);
  assert.deepEqual(await findings(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Show changes in data.bin" }).click();
  await page.getByText("It is not text. It had 3 B before this turn, and 4 B after it.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Show changes in old.txt" }).click();
  await page.getByRole("dialog").locator("del").waitFor();
  assert.equal((await page.getByRole("dialog").locator("pre").innerText()).trim().split("\n").at(-1), "- gone");
});

test("everything is done by keyboard alone", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client);
  await page.getByRole("textbox", { name: "Message" }).waitFor();
  await page.locator(":focus").waitFor();
  await page.keyboard.type("What is 3*4?");
  await page.keyboard.press("Enter");
  await said(page, "The answer is complete");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Message");

  const reach = async (name: string, step = "Tab"): Promise<void> => {
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press(step);
      const focused = await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
      if (focused === name) return;
    }
    assert.fail(`${name} is not reached with ${step}`);
  };
  await reach("Conversation", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Delete");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Conversation");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /By keyboard/ }).waitFor();
  await reach("New conversation", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
});

test("on a phone the list and the files are drawers, and nothing is wider than the screen", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query(`${bash("echo x > made.txt")} [[letters 300]]`, { session_id: "long" });
  const page = await chrome.openFor(t, client, { width: 375, height: 700, route: "/c/long" });
  await page.getByRole("log").waitFor();
  assert.equal(await isWide(page), false);
  const link = page.getByRole("link", { name: "New conversation" });
  assert.equal(await link.isVisible(), false);
  const focused = (): Promise<string | null | undefined> => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
  await page.getByRole("button", { name: "Conversations" }).click();
  await link.waitFor();
  assert.equal(await focused(), "Close the list");
  await page.keyboard.press("Escape");
  await link.waitFor({ state: "hidden" });
  assert.equal(await focused(), "Conversations");
  await page.getByRole("button", { name: "Show the files" }).click();
  await page.getByRole("complementary", { name: "Files" }).getByRole("button", { name: /^made\.txt/ }).waitFor();
  await page.getByRole("button", { name: "Close the files" }).click();
  assert.equal(await isWide(page), false);
});
