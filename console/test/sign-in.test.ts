/** Signing in to a deployment that asks for a key or a token. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { newAccountId } from "../../tests/e2e/client.ts";
import { AUDIENCE, ISSUER, JWT_SECRET, tokenFor } from "../../tests/e2e/tokens.ts";
import { ask, picture, product } from "./browser.ts";

const KEY = "console-key-3f9a-52c1-88e0-7d4b";
const { chrome } = product({ secrets: { ANTHROPIC_API_KEY: "sk-ant-console", API_KEYS: KEY, JWT_SECRET }, vars: { JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE } });
const TIME_LIMIT = { timeout: 180_000 };
const REFUSED = { mayLog: /status of 401|status of 403/ };

test("a wrong key is refused with a sentence; a right one opens the account that is asked for, until the tab is closed", TIME_LIMIT, async (t) => {
  const page = await chrome.open(t, REFUSED);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.deepEqual((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id), []);
  await picture(page, "7-sign-in-light");
  await page.getByLabel("Key or token").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("Sign in again with a key or a token.", { exact: false }).waitFor();
  await page.getByLabel("Key or token").fill(KEY);
  const account = newAccountId();
  await page.getByLabel("Account").fill(account);
  await page.getByRole("button", { name: "Sign in" }).click();
  await ask(page, "What is 2+2?");
  await page.getByRole("link", { name: "Operator" }).waitFor();
  await page.reload();
  await page.getByText(account).waitFor();
  assert.doesNotMatch(page.url(), /key/);
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, ""]);

  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("console.credential")), null);
});

test("a token opens its own account, without the operator's page", TIME_LIMIT, async (t) => {
  const account = newAccountId();
  const page = await chrome.open(t, REFUSED);
  await page.getByLabel("Key or token").fill(tokenFor(account));
  await page.getByText(`This token is of the account ${account}.`).waitFor();
  await page.getByRole("button", { name: "Sign in" }).click();
  await ask(page, "What is 6*7?");
  assert.equal(await page.getByRole("link", { name: "Operator" }).count(), 0);
});

test("a credential that is not taken any more leads back to the sign-in", TIME_LIMIT, async (t) => {
  const page = await chrome.open(t, REFUSED);
  await page.evaluate(() => sessionStorage.setItem("console.credential", "revoked"));
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.getByRole("alert").getByText("You are signed out").waitFor();
});
