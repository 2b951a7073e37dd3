/** The operator's pages in a real browser on the running product. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { bash, problem } from "../../tests/e2e/client.ts";
import { findings, isWide, picture, product } from "./browser.ts";

const { running, chrome } = product();
const TIME_LIMIT = { timeout: 240_000 };

const rowOf = (page: Page, text: string) => page.getByRole("row").filter({ hasText: text });

test("the list leads to an account, its conversations, and what its turns did and waited for", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?", { session_id: "sums", permissions: { ask: ["Bash"] } });
  const { actions } = (await (await client.post(bash("ls"), { session_id: "sums", permissions: { ask: ["Bash"] } })).json()) as { actions: [{ action_id: string }] };
  await client.decide(actions[0].action_id, { decision: "deny", message: "Not here." });
  await client.post(bash("pwd"), { session_id: "waits", permissions: { ask: ["Bash"] } });

  const page = await chrome.openFor(t, client, { route: "/operator" });
  const now = page.getByRole("region", { name: "Now" });
  await now.getByText(/of [1-9]\d* heard of lately/).waitFor();
  assert.match(await now.innerText(), /Containers[^]*running, \d+ starting[^]*Turns in the last hour[^\d]*[1-9]/);
  const row = rowOf(page, client.accountId);
  await row.getByText("active").waitFor();
  // A turn that waits has called the model and has not ended.
  await row.getByRole("cell", { name: "2", exact: true }).waitFor();
  assert.match(await row.innerText(), /\$0\.\d+/);
  assert.deepEqual(await findings(page), []);
  await row.getByRole("link", { name: client.accountId }).click();
  await page.getByRole("heading", { name: `${client.accountId} active` }).waitFor();
  const chart = page.getByRole("img", { name: /^Cost by day: \$/ });
  await chart.waitFor();
  assert.match((await chart.getAttribute("aria-label")) ?? "", new RegExp(`${new Date().toISOString().slice(0, 10)}: \\$0\\.`));
  await page.getByRole("combobox", { name: "What is counted" }).selectOption("Turns");
  await page.getByText("Turns by day: 2").waitFor();
  await page.getByRole("heading", { name: "Waits for an answer" }).waitFor();
  assert.match(await page.locator(".figures").innerText(), /Conversations\s+2\s+Messages\s+\d/);
  assert.equal(await page.getByRole("button", { name: "Delete what is due" }).isDisabled(), true);

  await page.getByRole("main").getByRole("link", { name: "What is 2+2?" }).click();
  await page.getByRole("heading", { name: "Turns" }).waitFor();
  await rowOf(page, "turn_").nth(1).getByText("completed").waitFor();
  await page.getByRole("cell", { name: "Denied: Not here." }).waitFor();
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Open in the chat" }).click();
  await page.getByRole("log").getByText("4", { exact: true }).waitFor();
});

test("an account is suspended with a reason and activated again", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?");
  const page = await chrome.openFor(t, client, { route: `/operator/accounts/${client.accountId}` });
  const audit = page.getByRole("region", { name: "Audit" });
  await audit.getByText("Nobody has asked for a change yet.").waitFor();
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("textbox", { name: "Why, for its user (optional)" }).fill("unpaid");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: `${client.accountId} suspended` }).waitFor();
  await page.getByText("unpaid", { exact: true }).waitFor();
  assert.match((await problem(client.post("What is 3+3?"), 403, "account_suspended")).detail, /unpaid/);
  await page.getByRole("button", { name: "Activate" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Activate" }).click();
  await page.getByRole("heading", { name: `${client.accountId} active` }).waitFor();
  await audit.getByRole("row", { name: /nobody signed in Change the account req_/ }).nth(1).waitFor();
  assert.equal((await client.query("What is 3+3?")).response, "6");
});

test("limits are set, and go back to those of all accounts", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?");
  const page = await chrome.openFor(t, client, { route: `/operator/accounts/${client.accountId}` });
  const change = async (limit: string, which: string, value?: [name: string, value: string]): Promise<void> => {
    await page.getByRole("region", { name: "Limits" }).getByRole("button", { name: "Change" }).click();
    await page.getByRole("combobox", { name: `${limit}: which limit` }).selectOption(which);
    if (value !== undefined) await page.getByRole("spinbutton", { name: value[0] }).fill(value[1]);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  };
  await change("Cost a day", "At most …", ["Cost a day in US dollars", "5"]);
  await page.getByText(/of \$5\.00$/).waitFor();
  await change("Storage", "At most …", ["Storage in MB", "20"]);
  await page.getByText(/of 20 MB$/).waitFor();
  await page.getByText("set for this account").nth(1).waitFor();
  await change("Cost a day", "As for all accounts");
  await page.getByText(/of \$5\.00$/).waitFor({ state: "detached" });
  await page.getByText(/of 20 MB$/).waitFor();

  const audit = page.getByRole("region", { name: "Audit" });
  for (let count = 0; count < 8; count += 1) {
    const body = JSON.stringify({ metadata: { count: String(count) } });
    assert.equal((await fetch(`${running.url}/accounts/${client.accountId}`, { method: "PATCH", headers: { "content-type": "application/json" }, body })).status, 200);
  }
  await page.reload();
  await audit.getByRole("row").nth(10).waitFor();
  assert.equal(await audit.getByRole("row").count(), 11);
  await audit.getByRole("button", { name: "Show more" }).click();
  await audit.getByRole("button", { name: "Show more" }).waitFor({ state: "detached" });
  // Three by hand, of which the last took two requests.
  assert.equal(await audit.getByRole("row").count(), 1 + 4 + 8);
});

test("an account is erased once its name was typed, and there is a receipt", TIME_LIMIT, async (t) => {
  const client = running.newClient();
  await client.query("What is 2+2?", { session_id: "gone" });
  const page = await chrome.openFor(t, running.newClient(), { route: `/operator/accounts/${client.accountId}` });
  assert.equal(await page.getByText("Nobody has used this account so far.").count(), 0);
  await page.getByRole("button", { name: "Account's menu" }).click();
  await page.getByRole("menuitem", { name: "Erase" }).click();
  const erase = page.getByRole("dialog").getByRole("button", { name: "Erase" });
  await page.getByRole("textbox", { name: "Type its name to confirm" }).fill(client.accountId.slice(1));
  assert.equal(await erase.isDisabled(), true);
  await page.getByRole("textbox", { name: "Type its name to confirm" }).fill(client.accountId);
  await erase.click();
  await page.getByText("Nothing of the account is left.").waitFor();
  await page.getByText(/1 conversations, 1 turns, 2 messages/).waitFor();
  assert.deepEqual(await findings(page), []);
  await page.reload();
  await page.getByText("Nothing of the account is left.").waitFor();
  assert.equal((await client.request("GET", "/conversations/gone")).status, 404);
  await page.goto(`${running.url}/console/#/operator/accounts/${client.accountId}`);
  await page.getByText("Nobody has used this account so far.").waitFor();
});

test("a purge of all accounts is started and told", TIME_LIMIT, async (t) => {
  const page = await chrome.openFor(t, running.newClient(), { route: "/operator" });
  const runs = page.getByRole("region", { name: "Purge runs" });
  await runs.getByText("No run yet.").waitFor();
  await runs.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
  await runs.getByRole("cell", { name: "operator" }).waitFor();
  await page.reload();
  const audit = page.getByRole("region", { name: "Audit" });
  await audit.getByRole("row", { name: /nobody signed in Run the purge all req_/ }).waitFor();
});

for (const dark of [false, true]) {
  test(`the operator's pages on a desk and on a phone, ${dark ? "dark" : "light"}: no fault for axe, nothing wider than the screen, and pictures`, TIME_LIMIT, async (t) => {
    const client = running.newClient();
    const { session_id } = await client.query("What is 2+2?");
    for (const [where, size] of [["desk", { height: 1000 }], ["phone", { width: 375, height: 740 }]] as const) {
      const page = await chrome.openFor(t, client, { dark, route: `/operator/accounts/${client.accountId}`, ...size });
      await page.getByRole("img", { name: /^Cost by day/ }).waitFor();
      await page.getByRole("region", { name: "Table of the conversations" }).waitFor();
      await page.locator(".figures").waitFor();
      assert.deepEqual(await findings(page), []);
      assert.equal(await isWide(page), false);
      await picture(page, `8-account-${where}-${dark ? "dark" : "light"}`);
      for (const [name, route, table] of [["overview", "/operator", "Table of the accounts"], ["turns", `/operator/accounts/${client.accountId}/${session_id}`, "Table of the turns"]] as const) {
        await page.goto(`${running.url}/console/#${route}`);
        await page.getByRole("region", { name: table }).waitFor();
        assert.deepEqual(await findings(page), []);
        assert.equal(await isWide(page), false);
        await picture(page, `8-operator-${name}-${where}-${dark ? "dark" : "light"}`);
      }
    }
  });
}
