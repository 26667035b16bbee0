// A broker of its own, a browser, and clients that others wrote, for tests of the console.
//
// TIDEMQ: the program; TIDEMQ_CONSOLE_JS: the folder that holds node_modules, as tests/run has filled it.

import assert from "node:assert/strict";
import { spawn, execFile } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const modules = createRequire(path.resolve(process.env.TIDEMQ_CONSOLE_JS ?? "target/console-js", "package.json"));
const { chromium } = modules("playwright-core");
const { AxeBuilder } = modules("@axe-core/playwright");
export const mqtt = modules("mqtt");

const PROGRAM = process.env.TIDEMQ ?? "target/debug/tidemq";
/** What the slowest machine may take. */
const HANG = 60_000;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A running tidemq with a data directory of its own. */
export class Broker {
  static async start(...more) {
    const broker = new Broker();
    broker.folder = fs.mkdtempSync(path.join(os.tmpdir(), "tidemq-console-"));
    broker.data = path.join(broker.folder, "data");
    broker.port = await freePort();
    const admin = `127.0.0.1:${await freePort()}`;
    broker.url = `http://${admin}`;
    await broker.run("--admin", admin, ...more);
    return broker;
  }

  async run(...more) {
    const process = spawn(PROGRAM, ["serve", "--data", this.data, ...more], { stdio: ["ignore", "pipe", "pipe"] });
    this.process = process;
    this.log = "";
    await new Promise((resolve, reject) => {
      const read = (piece) => {
        this.log += piece;
        if (/^ready/m.test(this.log)) resolve();
      };
      process.stdout.on("data", read);
      process.stderr.on("data", read);
      process.on("exit", (code) => reject(new Error(`tidemq ended with ${code}:\n${this.log}`)));
    });
    this.token = fs.readFileSync(path.join(this.data, "admin.token"), "utf8").trim();
  }

  /** The command line of the same installation. */
  async cli(...args) {
    const { stdout } = await promisify(execFile)(PROGRAM, [...args, "--data", this.data]);
    return stdout;
  }

  /** An answer of the API. */
  async api(method, route, body) {
    const headers = { Authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(`${this.url}/api/v1/${route}`, { method, headers, body: JSON.stringify(body) });
    assert.ok(answer.ok, `${method} ${route}: ${answer.status} ${answer.ok ? "" : await answer.text()}`);
    return answer.status === 204 ? null : answer.json().catch(() => null);
  }

  /** Changes the draft and applies it, behind the console's back. */
  async configure(patch) {
    await this.api("PATCH", "config/draft", patch);
    return this.api("POST", "apply", {});
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.removeAllListeners("exit");
    const gone = new Promise((resolve) => this.process.on("exit", resolve));
    this.process.kill("SIGTERM");
    await Promise.race([ended, gone]);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

let browser = null;

/** A window of one browser that all tests share. What its pages complain about is kept. */
export async function open(broker, options = {}) {
  browser ??= await chromium.launch({ executablePath: program(), args: FLAGS });
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(HANG);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (line) => {
    if (line.type() === "error") page.complaints.push(line.text());
  });
  page.on("dialog", (dialog) => {
    page.complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.base = broker.url;
  return page;
}

export async function closeBrowser() {
  await browser?.close();
  browser = null;
}

function program() {
  const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(fs.existsSync);
  assert.ok(found, "no Chromium is installed");
  return found;
}

export async function signIn(page, broker) {
  await page.goto(`${broker.url}/`);
  await page.getByLabel("Token").fill(broker.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/status");
}

/** A window that has signed in. */
export async function signedIn(broker, options) {
  const page = await open(broker, options);
  await signIn(page, broker);
  return page;
}

/** Presses Apply in the header and gives what the page says of it. */
export async function apply(page, { trial = false, comment = "" } = {}) {
  const menu = page.locator("[data-apply-menu]");
  await menu.locator("summary").click();
  if (comment) await menu.getByLabel("Comment").fill(comment);
  if (trial) await menu.getByLabel("Revert in 60 s unless I confirm").check();
  await menu.getByRole("button", { name: "Apply" }).click();
  return page.locator(".notice").first().innerText();
}

/** Presses a button that asks first, and says yes. */
export async function sure(page, button) {
  await button.click();
  await page.getByRole("dialog").locator("button.primary").click();
}

/** Saves what is downloaded by an action. */
export async function downloaded(page, action, file) {
  const [download] = await Promise.all([page.waitForEvent("download"), action()]);
  await download.saveAs(file);
  return file;
}

/** Waits until something is so; the last failure is told. */
export async function eventually(what, check) {
  const until = Date.now() + HANG;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw new Error(`${what}: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** No violation of level A or AA, of WCAG 2.0 to 2.2. */
export async function assertAccessible(page, name) {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("\n  ")}`);
  assert.deepEqual(told, [], name);
}

/** A client by MQTT.js, once it is connected; rejects when it is not let in. */
export function connected(url, options = {}) {
  return new Promise((resolve, reject) => {
    const client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: HANG, protocolVersion: 5, ...options });
    client.on("connect", () => resolve(client));
    client.on("error", reject);
    client.on("close", () => reject(new Error("the connection was closed")));
  });
}

/** A promise of something that a client tells. */
export function told(client, event) {
  return new Promise((resolve) => client.once(event, (...what) => resolve(what)));
}

/** mosquitto_pub or mosquitto_sub, to its end. */
export async function mosquitto(tool, ...args) {
  return promisify(execFile)(`mosquitto_${tool}`, args).then(
    (done) => ({ code: 0, ...done }),
    (error) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
  );
}
