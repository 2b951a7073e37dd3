/** The page of the API, signing in, and how all of it looks and reads. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { Client } from "../../tests/e2e/client.ts";
import { findings, picture, product } from "./browser.ts";

const { running, chrome } = product();
const TIME_LIMIT = { timeout: 240_000 };

/** Questions as a person asks them, and what the model is to do with each. */
const STORY: [question: string, sessionId: string, title: string, directives: string][] = [
  ["How hot may the water for green tea be?", "tea", "Water for green tea", "[[say About 80 °C: boiling water makes it bitter.]]"],
  ["How often does the train to the coast run on weekdays?", "trains", "Trains to the coast", "[[say Four times an hour.]]"],
];
const QUESTION = "Summarise table.csv, and write what matters to report.md.";
const REPORT = `[[thinking The table has two regions. I count the rows first.]] [[tool Bash {"command":"wc -l table.csv && head -2 table.csv"}]] [[tool Write {"file_path":"report.md","content":"# Sales\\n\\nNorth sold **the most**: 1,204 of 1,935.\\n"}]] [[say North sold **the most**, by a wide margin:

| region | sold | share |
|---|---|---|
| North | 1,204 | 62 % |
| South | 731 | 38 % |

I counted with this, and wrote the summary to \`report.md\`:

\`\`\`python
import csv

with open("table.csv") as file:
    rows = list(csv.DictReader(file))
print(sum(int(row["sold"]) for row in rows))
\`\`\`
]]`;

/** An account with something to see. */
async function furnished(): Promise<Client> {
  const client = new Client(running.url, "ada");
  for (const [question, session_id, title, directives] of STORY) {
    running.model.control.script(question, directives);
    await client.query(question, { session_id });
    await client.patch(session_id, { title });
  }
  running.model.control.script(QUESTION, REPORT);
  await client.uploaded("sales", "table.csv", "region,sold\nNorth,1204\nSouth,731\n");
  await client.query(QUESTION, { session_id: "sales" });
  await client.patch("sales", { title: "Sales by region" });
  return client;
}

test("six views in light and in dark have no fault for axe, and their pictures are kept", TIME_LIMIT, async (t) => {
  const client = await furnished();
  await client.request("POST", "/purge-runs");
  for (const dark of [false, true]) {
    const look = dark ? "dark" : "light";
    const show = async (name: string, route: string, ready: (page: Page) => Promise<void>, size: { width?: number; height?: number } = {}): Promise<void> => {
      await t.test(`${name}, ${look}`, async (t) => {
        const page = await chrome.openFor(t, client, { dark, route, ...size });
        await ready(page);
        assert.deepEqual(await findings(page), []);
        await picture(page, `${name}-${look}`);
      });
    };
    await show("1-welcome", "/", (page) => page.getByRole("link", { name: "Sales by region" }).waitFor());
    await show("2-conversation", "/c/sales", async (page) => {
      await page.locator(".hljs-keyword").first().waitFor();
      await page.locator("details.tool").first().locator("summary").click();
      await page.getByRole("log").evaluate((log) => log.scrollTo(0, 0));
    }, { width: 1440, height: 900 });
    await show("3-phone", "/c/sales", (page) => page.locator(".hljs-keyword").first().waitFor(), { width: 375, height: 740 });
    await show("4-operator", "/operator", (page) => page.getByRole("region", { name: "Table of the purge runs" }).waitFor());
    await show("5-api", "/api/query", (page) => page.locator(".hljs-string").first().waitFor());
    await show("6-file", "/c/sales", async (page) => {
      await page.getByRole("button", { name: "Show the files" }).or(page.getByRole("button", { name: "Hide the files" })).waitFor();
      await page.getByRole("button", { name: /report\.md.*new/ }).click();
      await page.getByRole("dialog").getByText("the most").waitFor();
    });
  }
});

test("the API's page sends what it shows, and its lines of curl do the same", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client, { route: "/api/uploadFile" });
  const line = (): Promise<string> => page.locator("form .code pre").first().innerText();
  const send = async (status: number): Promise<void> => {
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("status").filter({ hasText: new RegExp(`^${status}[^]* in `) }).waitFor();
  };
  const curl = async (): Promise<string> => (await promisify(execFile)("bash", ["-ec", await line()])).stdout;
  await send(200);
  assert.match(await curl(), /"path":"in\/table.csv"/);

  await page.goto(`${running.url}/console/#/api/query`);
  await page.getByRole("heading", { name: "Query", level: 2 }).waitFor();
  await page.getByRole("textbox", { name: "Body" }).fill('{"query": "[[say it\'s done]]", "session_id": "sums"}');
  await send(200);
  assert.equal((JSON.parse(await curl()) as { response: string }).response, "it's done");
  assert.match(await page.locator("form .code").last().innerText(), /"response": "it's done"/);

  await page.goto(`${running.url}/console/#/api/listConversations`);
  await page.getByRole("heading", { name: "List conversations" }).waitFor();
  assert.deepEqual((JSON.parse(await curl()) as { session_id: string }[]).map(({ session_id }) => session_id), ["sums"]);
});

test("an account is chosen, and the choice is this tab's alone", TIME_LIMIT, async (t) => {
  const [one, other] = [running.newClient(), running.newClient()];
  await other.query("What is 5*5?", { session_id: "squares" });
  const page: Page = await chrome.openFor(t, one);
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Change the account" }).click();
  await page.getByRole("textbox", { name: "Account" }).fill(other.accountId);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "What is 5*5?" }).waitFor();
  await page.reload();
  await page.getByRole("link", { name: "What is 5*5?" }).waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage)), "{}");
});

test("the look is chosen and kept", TIME_LIMIT, async (t: TestContext) => {
  const page = await chrome.openFor(t, running.newClient());
  const paper = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  for (const name of ["Look: as the system", "Look: light"]) {
    await page.getByRole("button", { name: "Account" }).click();
    await page.getByRole("menuitem", { name }).click();
  }
  assert.notEqual(await paper(), light);
  await page.reload();
  await page.getByRole("button", { name: "Account" }).waitFor();
  assert.notEqual(await paper(), light);
});
