/** Schedules and webhooks in the console, with a program that takes the webhooks. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import type { Client } from "../../tests/e2e/client.ts";
import { put, Receiver, status, verified, webhook } from "../../tests/e2e/receiver.ts";
import type { Arrival } from "../../tests/e2e/receiver.ts";
import { findings, isWide, picture, product } from "./browser.ts";

const { running, chrome } = product();
const TIME_LIMIT = { timeout: 180_000 };
const ARRIVAL_MS = 30_000;
/** What a browser says of a refusal that the page shows. */
const REFUSED = { route: "/automation", mayLog: /status of 400/ };
let receiver: Receiver;
before(async () => {
  receiver = await Receiver.start();
});
after(() => receiver.close());

const of = (client: Client) => (arrival: Arrival): boolean => arrival.event.data.account_id === client.accountId;
const row = (page: Page, text: string): Locator => page.getByRole("row").filter({ hasText: text });
const pick = async (page: Page, menu: string, item: string): Promise<void> => {
  await page.getByRole("button", { name: menu, exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
};

test("a webhook is made, tried, given a new secret and deleted; each secret is shown once", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client, REFUSED);
  const dialog = page.getByRole("dialog");
  const shown = async (): Promise<string> => {
    const secret = await dialog.locator(".secret code").innerText();
    await dialog.getByRole("button", { name: "Copy the secret" }).click();
    await dialog.getByRole("button", { name: "Copied", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
    await dialog.getByRole("button", { name: "I have copied it" }).click();
    return secret;
  };
  await page.getByText("None yet. A webhook sends").waitFor();
  await page.getByRole("button", { name: "New webhook" }).click();
  await dialog.getByLabel("Name").fill("crm");
  await dialog.getByLabel("URL").fill(`${receiver.url}/hook`);
  await dialog.getByLabel("All, also those that come later").uncheck();
  assert.equal(await dialog.getByRole("button", { name: "Create" }).isDisabled(), true);
  await dialog.getByLabel("turn.completed").check();
  await dialog.getByLabel("Send the answer along").check();
  await dialog.getByRole("button", { name: "Create" }).click();
  const secret = await shown();
  await page.getByText("Nothing was sent yet.").waitFor();

  await page.getByRole("button", { name: "Send a test" }).click();
  await row(page, "webhook.test").getByText("delivered").waitFor();
  receiver.answers.push(status(500));
  await client.query("[[say hello]]", { session_id: "s" });
  const [, first, second] = await receiver.until(3, of(client), ARRIVAL_MS);
  assert.deepEqual([first?.event.id, first?.event.data.turn?.response], [second?.event.id, "hello"]);
  assert.ok(second !== undefined && verified(second, secret));
  const completed = row(page, "turn.completed");
  await completed.getByText("delivered").waitFor();
  assert.match(await completed.innerText(), /2\s+204/);
  await completed.getByRole("button", { name: "Send turn.completed again" }).click();
  assert.equal((await receiver.until(4, of(client), ARRIVAL_MS)).at(-1)?.event.id, first?.event.id);

  await pick(page, "Webhook", "New secret");
  await dialog.getByRole("button", { name: "Make it" }).click();
  const renewed = await shown();
  await page.getByText("the one before signs as well until").waitFor();
  receiver.answers.push(status(410));
  await page.getByRole("button", { name: "Send a test" }).click();
  const last = (await receiver.until(5, of(client), ARRIVAL_MS)).at(-1);
  for (const each of [secret, renewed]) assert.ok(last !== undefined && verified(last, each));
  await page.getByText("Off: its endpoint is gone").waitFor();
  await page.getByRole("button", { name: "Turn on" }).click();
  await page.getByRole("button", { name: "Send a test" }).waitFor();

  await pick(page, "Webhook", "Change");
  await dialog.getByLabel("URL").fill("http://10.0.0.1/");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").getByText("a URL that starts with https://").waitFor();
  await page.keyboard.press("Escape");
  await pick(page, "Webhook", "Delete");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("None yet. A webhook sends").waitFor();
});

test("a schedule is made by keyboard alone, run, paused, changed and deleted", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  const page = await chrome.openFor(t, client, REFUSED);
  const dialog = page.getByRole("dialog");
  const press = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.getByText("None yet. A schedule can").waitFor();
  await page.getByRole("button", { name: "New schedule" }).focus();
  await press("Enter");
  await page.keyboard.type("report");
  await press("Tab");
  await page.keyboard.type("[[say The report.]] Write the report.");
  await press("Tab", "ArrowDown", "ArrowDown");
  await press("Tab", ...Array<string>(4).fill("ArrowDown"));
  // A field for a time has several stops.
  for (let stops = 0; stops < 6 && (await page.locator("input[list]:focus").count()) === 0; stops += 1) await press("Tab");
  await press("Control+a");
  await page.keyboard.type("Europe/Berlin");
  await press("Enter");
  await page.getByText("Every Friday at 09:00, Europe/Berlin").waitFor();
  const next = page.locator(".next li");
  assert.equal(await next.count(), 5);
  for (const each of await next.locator("b").allInnerTexts()) assert.match(each, /^Fri.*09:00/);

  await page.getByRole("button", { name: "Run now" }).focus();
  await press("Enter");
  await row(page, "completed").getByRole("link", { name: "Open" }).click();
  await page.getByRole("log").getByText("The report.", { exact: true }).waitFor();
  await page.goBack();

  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("None while it is paused.").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await next.first().waitFor();
  await pick(page, "Schedule", "Change");
  await dialog.getByLabel("When").selectOption("By a line of cron");
  await dialog.getByRole("textbox", { name: "Cron" }).fill("every day");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").getByText("cron: five fields", { exact: false }).waitFor();
  await dialog.getByRole("textbox", { name: "Cron" }).fill("0 9,17 * * *");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("0 9,17 * * *, Europe/Berlin").waitFor();
  await pick(page, "Schedule", "Delete");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("None yet. A schedule can").waitFor();
});

test("what the form has no field for stays as it was, and a name is given once", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await put(client, "/schedules/report", { cron: "0 6 1 1 *", query: "[[say hi]]", max_turns: 7, metadata: { team: "sales" }, missed: "run_once", conversation: "yearly" });
  const page = await chrome.openFor(t, client, { route: "/automation/schedules/report" });
  await page.getByText('{"team":"sales"}').waitFor();
  await pick(page, "Schedule", "Change");
  await page.getByLabel("What should the agent do?").fill("[[say ho]]");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("[[say ho]]").waitFor();
  const { query, options, missed, conversation, cron } = (await (await client.request("GET", "/schedules/report")).json()) as Record<string, unknown>;
  assert.deepEqual({ query, options, missed, conversation, cron }, { query: "[[say ho]]", options: { max_turns: 7, metadata: { team: "sales" } }, missed: "run_once", conversation: "yearly", cron: "0 6 1 1 *" });
  await page.getByRole("link", { name: "Automation" }).first().click();
  await page.getByRole("button", { name: "New schedule" }).click();
  await page.getByLabel("Name").fill("report");
  await page.getByLabel("What should the agent do?").fill("Something else");
  await page.getByRole("button", { name: "Create" }).click();
  assert.equal(await page.getByLabel("Name").evaluate((field: HTMLInputElement) => field.validationMessage), "There is one with this name already.");
});

test("the pages of automation have no fault for axe, in light and in dark, and fit a phone", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await put(client, "/schedules/report", { cron: "0 9 * * mon-fri", timezone: "Europe/Berlin", query: "[[say Done.]] Write the report of the day to report.md, and compare it with the one of the day before.", max_turns: 20 });
  await put(client, "/schedules/stock", { cron: "*/30 * * * *", query: "Look after the stock.", enabled: false });
  await webhook(client, `${receiver.url}/hook`, { types: ["turn.completed", "turn.failed"] });
  receiver.answers.push(status(503));
  for (const path of ["/schedules/report/run", "/webhooks/crm/test"]) await client.request("POST", path);
  await receiver.until(2, of(client), ARRIVAL_MS);
  const views: [name: string, route: string, ready: (page: Page) => Promise<void>][] = [
    ["8-automation", "/automation", (page) => page.getByText("Next:").waitFor()],
    ["9-schedule", "/automation/schedules/report", (page) => row(page, "completed").waitFor()],
    ["10-webhook", "/automation/webhooks/crm", (page) => row(page, "turn.completed").waitFor()],
  ];
  for (const dark of [false, true]) {
    for (const [name, route, ready] of views) {
      const page = await chrome.openFor(t, client, { dark, route });
      await ready(page);
      assert.deepEqual(await findings(page), []);
      await picture(page, `${name}-${dark ? "dark" : "light"}`);
      await page.setViewportSize({ width: 375, height: 740 });
      assert.equal(await isWide(page), false, `${name} fits`);
      await picture(page, `${name}-phone-${dark ? "dark" : "light"}`);
    }
  }
  const page = await chrome.openFor(t, client, { route: "/automation" });
  for (const name of ["New schedule", "New webhook"]) {
    await page.getByRole("button", { name }).click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await findings(page), []);
    await picture(page, `11-${name.replace(" ", "-").toLowerCase()}`);
    await page.keyboard.press("Escape");
  }
});
