// Pictures of every page: light, dark and narrow. `node screenshots.mjs FOLDER`

import fs from "node:fs";
import path from "node:path";

import { Broker, closeBrowser, open, signedIn } from "./lib.mjs";
import { PAGES, filled } from "./pages.mjs";

const folder = process.argv[2] ?? "target/screenshots";
const VIEWS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  narrow: { viewport: { width: 360, height: 760 } },
};

fs.mkdirSync(folder, { recursive: true });
const fresh = await Broker.start();
const full = await Broker.start();
const clients = await filled(full);
// Something that goes on, so that the charts have points.
const beat = setInterval(() => clients.at(-1).publish("sensors/1/temperature", "21.5"), 20);
await new Promise((resolve) => setTimeout(resolve, 30_000));
for (const [view, options] of Object.entries(VIEWS)) {
  const take = (page, name) => page.screenshot({ path: path.join(folder, `${name}-${view}.png`), fullPage: true });
  const door = await open(full, options);
  await door.goto(`${full.url}/login`);
  await take(door, "sign-in");
  await door.context().close();
  const page = await signedIn(full, options);
  for (const [name, place] of Object.entries(PAGES)) {
    await page.goto(`${full.url}${place}`);
    await page.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => undefined);
    await take(page, name);
  }
  await page.context().close();
  const first = await signedIn(fresh, options);
  for (const name of ["status", "clients", "topic-access-rules"]) {
    await first.goto(`${fresh.url}${PAGES[name].split("?")[0]}`);
    await take(first, `${name}-of-a-fresh-installation`);
  }
  await first.context().close();
}
clearInterval(beat);
for (const client of clients) await client.endAsync(true);
await closeBrowser();
await fresh.stop();
await full.stop();
console.log(`pictures are in ${folder}`);
