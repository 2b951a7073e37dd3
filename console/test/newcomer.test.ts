/** Somebody who has read nothing: from the start page to a first answer, a command that they allowed, a file of theirs and one of the agent's. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { isWide, product, said } from "./browser.ts";

const { running, chrome } = product();
const TIME_LIMIT = { timeout: 240_000 };
const DONE = "The answer is complete";

for (const [where, size] of [["on a desk", {}], ["on a phone", { width: 375, height: 740 }]] as const) {
  test(`a newcomer ${where} asks, allows a command, gives a file and takes one`, TIME_LIMIT, async (t) => {
    const page = await chrome.openFor(t, running.newClient(), { ...size, url: running.url });
    const send = page.getByRole("button", { name: "Send" });

    await page.getByRole("button", { name: /A quick sum/ }).click();
    await send.click();
    await page.getByRole("log").getByText("144", { exact: true }).waitFor();

    if (where === "on a phone") await page.getByRole("button", { name: "Conversations" }).click();
    await page.getByRole("link", { name: "New conversation" }).click();
    await page.getByRole("button", { name: /Allow each step/ }).click();
    await send.click();
    await page.getByRole("region", { name: "May the agent run this command?" }).getByRole("button", { name: "Allow", exact: true }).click();
    await said(page, DONE);
    await page.locator(".answer .markdown").getByText("Linux").waitFor();

    const files = page.getByRole("complementary", { name: "Files" });
    if (!(await files.isVisible())) await page.getByRole("button", { name: "Show the files" }).click();
    const choosing = page.waitForEvent("filechooser");
    await files.getByRole("button", { name: "Drop files here" }).click();
    await (await choosing).setFiles({ name: "names.txt", mimeType: "text/plain", buffer: Buffer.from("Grace\nAda\n") });
    await files.getByRole("button", { name: /^names\.txt/ }).waitFor();
    if (where === "on a phone") await files.getByRole("button", { name: "Close the files" }).click();

    await page.getByRole("textbox", { name: "Message" }).fill("Run `sort names.txt > sorted.txt`.");
    await send.click();
    await page.getByRole("button", { name: "Allow", exact: true }).click();
    await page.getByRole("button", { name: /sorted\.txt.*new/ }).click();
    assert.equal(await isWide(page), false);
    const downloading = page.waitForEvent("download");
    await page.getByRole("dialog").getByRole("button", { name: "Download" }).click();
    assert.equal(await readFile(await (await downloading).path(), "utf8"), "Ada\nGrace\n");
  });
}
