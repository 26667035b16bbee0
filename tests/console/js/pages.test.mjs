// Every page: no violation of accessibility, in light, dark and narrow; hostile names are text; the keyboard is enough;
// nothing is wider than the screen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Broker, assertAccessible, closeBrowser, connected, eventually, signedIn } from "./lib.mjs";
import { PAGES, filled } from "./pages.mjs";

let broker;
let clients;
before(async () => {
  broker = await Broker.start();
  clients = await filled(broker);
});
after(async () => {
  for (const client of clients) await client.endAsync(true);
  await closeBrowser();
  await broker.stop();
});

const VIEWS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  narrow: { viewport: { width: 360, height: 760 } },
};

for (const [name, options] of Object.entries(VIEWS)) {
  test(`no page has a violation of level A or AA, ${name}`, { timeout: 300_000 }, async () => {
    const page = await signedIn(broker, options);
    for (const [title, path] of Object.entries(PAGES)) {
      await page.goto(`${broker.url}${path}`);
      await assertAccessible(page, title);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wider <= 0, `${title}: ${wider} pixels wider than the screen`);
    }
    await page.locator("[data-apply-menu] summary").click();
    await assertAccessible(page, "the menu of Apply");
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

test("sign-in has no violation", async () => {
  const page = await signedIn(broker);
  await page.context().clearCookies();
  await page.goto(`${broker.url}/login`);
  await assertAccessible(page, "sign in");
  await page.context().close();
});

test("hostile names and topics are text on every page", { timeout: 120_000 }, async () => {
  const page = await signedIn(broker);
  for (const [title, path] of Object.entries(PAGES)) {
    await page.goto(`${broker.url}${path}`);
    const found = await page.evaluate(() => ({
      images: document.images.length,
      scripts: [...document.scripts].filter((script) => !script.src.startsWith(`${location.origin}/assets/`)).length,
      handlers: document.querySelectorAll("[onerror], [onmouseover], [onclick], [style]").length,
      hacked: window.hacked ?? null,
      unseen: /[\u202a-\u202e\u200b\u0007]/u.test(document.body.innerText),
    }));
    assert.deepEqual(found, { images: 0, scripts: 0, handlers: 0, hacked: null, unseen: false }, title);
  }
  await page.goto(`${broker.url}/clients`);
  await page.getByText("<img src=x onerror=window.hacked=1>").waitFor();
  await page.goto(`${broker.url}/retained`);
  await page.getByText("<script>window.hacked=1<").first().waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("messages with markup are text while they are watched", { timeout: 120_000 }, async () => {
  const page = await signedIn(broker);
  await page.goto(`${broker.url}/diagnostics`);
  await page.getByLabel("Watch MQTT messages").check();
  await page.getByText("watching", { exact: true }).waitFor();
  const client = await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId: "<b>id</b>" });
  await client.publishAsync("<u>topic</u>", "<script>window.hacked=1</script>\u202e", { qos: 1 });
  await page.getByRole("log").getByText("<script>window.hacked=1</script>").waitFor();
  await page.getByRole("log").getByText("\\u{202e}").waitFor();
  assert.equal(await page.evaluate(() => window.hacked ?? null), null);
  await client.endAsync();
  await page.context().close();
});

test("the keyboard is enough", { timeout: 120_000 }, async () => {
  const page = await signedIn(broker);
  await page.goto(`${broker.url}/configuration/broker-settings`);
  // What a key does, the page does when it comes to it.
  const holds = (what, is, wanted) => eventually(what, async () => assert.equal(await page.evaluate(is), wanted));
  await page.keyboard.press("Tab");
  await holds("the first stop", () => document.activeElement.textContent, "Skip to the content");
  await page.keyboard.press("Enter");
  await holds("skipped", () => document.activeElement.id, "main");
  const menu = page.locator("[data-apply-menu]");
  await menu.locator("summary").press("Enter");
  await holds("opened", () => document.querySelector("[data-apply-menu]").open, true);
  await page.keyboard.press("Escape");
  await holds("closed", () => document.querySelector("[data-apply-menu]").open, false);
  await page.locator(".menu.more summary").focus();
  // The header is fetched anew every few seconds: whoever is in it stays there.
  const header = () => page.evaluate(() => document.querySelector("[data-header]").dataset.marked ?? "");
  await page.evaluate(() => (document.querySelector("[data-header]").dataset.marked = "old"));
  await eventually("a new header", async () => assert.equal(await header(), ""));
  await holds("the focus stays", () => document.activeElement === document.querySelector(".menu.more summary"), true);
  await page.keyboard.press("Enter");
  await page.waitForResponse("**/header");
  await holds("the menu stays", () => document.querySelector(".menu.more").open, true);
  const kept = page.waitForResponse("**/theme");
  await page.getByRole("button", { name: "Dark" }).press("Enter");
  await holds("chosen", () => document.documentElement.dataset.theme, "dark");
  await kept;
  await page.goto(`${broker.url}/status`);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark", "it is remembered");
  await page.context().close();
});

test("forms work without the script", { timeout: 120_000 }, async () => {
  const page = await signedIn(broker, { javaScriptEnabled: false });
  await page.goto(`${broker.url}/configuration/broker-settings`);
  const before = (await broker.api("GET", "config/draft")).config.credentials.require;
  await page.getByLabel("Require client credentials").setChecked(!before);
  await page.getByRole("button", { name: "Save to the draft" }).first().click();
  await page.getByText("Saved to the draft.").waitFor();
  assert.equal((await broker.api("GET", "config/draft")).config.credentials.require, !before);
  await broker.api("PATCH", "config/draft", { credentials: { require: before } });
  await page.context().close();
});
