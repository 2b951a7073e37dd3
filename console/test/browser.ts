/** A real browser on the running product. A page that breaks its own policy, or says an error on the console, fails its test. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import type { TestContext } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { findChromium } from "../../dev/chromium.mjs";
import { ROOT } from "../../dev/tools.mjs";
import type { Client } from "../../tests/e2e/client.ts";
import type { StackOptions } from "../../dev/stack.ts";
import { service } from "../../tests/e2e/support.ts";
import type { Service } from "../../tests/e2e/support.ts";

export type PageOptions = {
  width?: number;
  height?: number;
  dark?: boolean;
  /** The route, such as `/c/sums`. */
  route?: string;
  /** The account that the console speaks for. */
  account?: string;
  /** What the console may say on the browser's own console. */
  mayLog?: RegExp;
  /** The address of another page than the console. */
  url?: string;
  /** Origins that it may ask besides its own. */
  origins?: string[];
};

const LAUNCH_TIMEOUT_MS = 60_000;
/** For what the page should show: an agent's process starts within it, on a machine that is busy. */
const WAIT_MS = 45_000;
const ARTIFACTS = join(ROOT, "artifacts");

/** The product and a browser for all tests of this process. */
export function product(options: StackOptions = {}): { running: Service; chrome: Chrome } {
  // Its hooks come first: what is left of the browser when the product has stopped counts as left behind.
  const chrome = new Chrome();
  const running = service(options);
  chrome.browses(running);
  return { running, chrome };
}

export class Chrome {
  #browser: Browser | undefined;
  #service: Service | undefined;

  constructor() {
    before(
      async () => {
        const executablePath = findChromium();
        assert.ok(executablePath !== undefined, "there is no Chromium: install Chromium or Chrome, or set CHROMIUM to where it is");
        // Root has no sandbox, and a container little shared memory.
        this.#browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
      },
      { timeout: LAUNCH_TIMEOUT_MS },
    );
    after(() => this.#browser?.close());
  }

  browses(running: Service): void {
    this.#service = running;
  }

  get #url(): string {
    assert.ok(this.#service !== undefined);
    return this.#service.url;
  }

  /** The console in a browser that nobody used before. */
  async open(t: TestContext, { width = 1280, height = 800, dark = false, route = "/", account, mayLog, url = `${this.#url}/console/#${route}`, origins = [] }: PageOptions = {}): Promise<Page> {
    assert.ok(this.#browser !== undefined, "the browser runs while tests run");
    const context = await this.#browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && mayLog?.test(message.text()) !== true) faults.push(`${message.text()} ${message.location().url}`);
    });
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol !== "blob:" && protocol !== "data:" && ![new URL(url).origin, ...origins].includes(origin)) faults.push(`a request to ${origin}`);
    });
    await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
    if (account !== undefined) await page.addInitScript((name) => sessionStorage.setItem("console.account", sessionStorage.getItem("console.account") ?? name), account);
    t.after(async () => {
      await context.close();
      assert.deepEqual(faults, [], "the page says no error and breaks no policy");
    });
    await page.goto(url);
    return page;
  }

  /** The console for an account that nobody used before. */
  async openFor(t: TestContext, client: Client, options: PageOptions = {}): Promise<Page> {
    return this.open(t, { account: client.accountId, ...options });
  }
}

/** Asks something and waits for the end of the answer. */
export async function ask(page: Page, question: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(question);
  await page.keyboard.press("Enter");
  await said(page, "The answer is complete");
}

/** Waits until the page tells a screen reader this. */
export function said(page: Page, sentence: string): Promise<void> {
  return page.getByRole("status").filter({ hasText: sentence }).first().waitFor({ state: "attached" });
}

/** Keeps a picture of the page under artifacts/. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), animations: "disabled" });
}

/** Faults that axe finds; the rules are WCAG 2.2's, at level AA. */
export async function findings(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

/** Whether anything is wider than the screen, but for what scrolls by itself. */
export function isWide(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    const isOut = (element: Element): boolean => element.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(element).position !== "absolute" && element.closest("pre, .tool-name, .table") === null;
    return document.documentElement.scrollWidth > innerWidth || [...document.querySelectorAll("main *")].some(isOut);
  });
}
