// What an operator does with the real binary, in a browser, while real clients connect: the scenarios of the console.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, test } from "node:test";

import { Broker, apply, closeBrowser, connected, downloaded, eventually, freePort, mosquitto, open, signedIn, sure, told } from "./lib.mjs";

after(closeBrowser);

/** A test with a broker and a window of its own; nothing may be complained about in it. */
function scenario(name, { args = [], prepare } = {}, play) {
  test(name, { timeout: 300_000 }, async (context) => {
    const broker = await Broker.start(...args);
    context.after(() => broker.stop());
    await prepare?.(broker);
    const page = await signedIn(broker);
    await play(page, broker);
    // A form that is not taken is answered by 422, which a browser mentions.
    assert.deepEqual(page.complaints.filter((line) => !line.includes("422")), []);
    await page.context().close();
  });
}

const value = async (page, key) => Number((await page.locator(`[data-value="${key}"]`).innerText()).replaceAll(",", ""));

/** "Require client certificates" */
const REQUIRE = 'input[type="checkbox"][name="certificates.require"]';

/** A plain listener at a port that is free, and nothing else. */
const plain = (broker) => ({ listener: [{ protocol: "tcp", address: `127.0.0.1:${broker.port}` }] });

scenario(
  "first start, enable, Apply, a client connects and the counters move",
  { prepare: (broker) => broker.api("PATCH", "config/draft", plain(broker)) },
  async (page, broker) => {
    await page.getByRole("heading", { name: "The broker is disabled: nobody can connect" }).waitFor();
    assert.match(await page.locator("[data-running]").innerText(), /Not running/);
    await page.getByRole("button", { name: "Enable it in the draft" }).click();
    await page.getByText("The broker is enabled in the draft").waitFor();
    const said = await apply(page, { comment: "the first one" });
    assert.match(said, /Generation 2 is in force/);
    assert.match(await page.locator("[data-running]").innerText(), /Running/);

    await page.goto(`${broker.url}/status`);
    const client = await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId: "first" });
    await client.subscribeAsync("house/#");
    const message = told(client, "message");
    const sent = await mosquitto("pub", "-p", String(broker.port), "-t", "house/kitchen", "-m", "21.5", "-r");
    assert.equal(sent.code, 0, sent.stderr);
    const [topic, payload] = await message;
    assert.deepEqual([topic, String(payload)], ["house/kitchen", "21.5"]);
    await eventually("the counters move while the page is open", async () => {
      assert.equal(await value(page, "clients"), 1);
      assert.equal(await value(page, "subscriptions"), 1);
      assert.equal(await value(page, "messages_received"), 1);
      assert.equal(await value(page, "messages_retained"), 1);
      assert.equal(await value(page, "connection_requests_accepted"), 2);
    });

    await page.goto(`${broker.url}/clients`);
    await page.getByRole("link", { name: "first" }).click();
    await page.getByText("house/#").waitFor();
    const gone = told(client, "disconnect");
    await sure(page, page.getByRole("button", { name: "Kick" }));
    await page.getByText("The client first was put out.").waitFor();
    assert.equal((await gone)[0].reasonCode, 0x98);

    await page.goto(`${broker.url}/retained`);
    await page.getByRole("link", { name: "house", exact: true }).click();
    await page.getByRole("link", { name: "Message at kitchen" }).click();
    assert.equal(await page.locator("[data-payload]").innerText(), "21.5");
    await page.getByRole("button", { name: "Hex" }).click();
    assert.match(await page.locator("[data-payload]").innerText(), /^000000 {2}32 31 2e 35/);
    await sure(page, page.getByRole("button", { name: "Delete" }));
    await page.getByText("The retained message of house/kitchen was deleted.").waitFor();
    const left = await mosquitto("sub", "-p", String(broker.port), "-t", "house/#", "-W", "1", "-v");
    assert.equal(left.stdout, "");
  },
);

scenario("a setting that cannot be is told beside its field, and nothing is lost", {}, async (page, broker) => {
  await page.goto(`${broker.url}/configuration/broker-settings`);
  await page.locator(REQUIRE).check();
  // It is said beside a field of the server that has no encryption.
  await page.locator('[data-setting^="listener[0]."] .problem').first().waitFor();
  assert.match(await page.locator(".saving").innerText(), /Not saved/);
  assert.match(await page.locator("[data-pending-text]").innerText(), /No pending changes/);
  await page.getByLabel("Use encryption (TLS)").first().check();
  await page.getByText("Saved to the draft.").waitFor();
  await eventually("the header counts what is pending", async () => {
    assert.match(await page.locator("[data-pending-text]").innerText(), /2 pending changes/);
  });
  await page.locator("summary").filter({ hasText: "Limits" }).click();
  const packet = page.locator('input[name="limits.packet_bytes"]');
  await packet.fill("12 bananas");
  await page.locator('[data-setting="limits.packet_bytes"] .problem').waitFor();
  assert.equal(await packet.getAttribute("aria-invalid"), "true");
  await packet.fill("64 KiB");
  await eventually("it is taken", async () => {
    assert.match(await page.locator("[data-pending-text]").innerText(), /3 pending changes/);
  });
  await page.goto(`${broker.url}/changes`);
  const row = page.getByRole("row", { name: /limits.packet_bytes/ });
  await row.getByText("new connections").waitFor();
  await sure(page, page.locator("main").getByRole("button", { name: "Discard" }));
  await page.getByRole("heading", { name: "The draft is what is applied" }).waitFor();
});

/** TLS on one port, plain on another that needs no certificate. */
async function encrypted(broker) {
  broker.tls = await freePort();
  const listener = [
    { protocol: "tcp", address: `127.0.0.1:${broker.port}`, require_client_certificate: false },
    { protocol: "tcp", address: `127.0.0.1:${broker.tls}` },
  ];
  await broker.configure({ enabled: true, listener, broker_certificate: { names: ["localhost", "127.0.0.1"] } });
}

/** Issues a client certificate in the console: its file. */
async function issue(page, broker, name) {
  await page.goto(`${broker.url}/configuration/certificate-authorities`);
  const own = page.locator("section", { has: page.getByText("issues", { exact: true }) });
  await own.getByLabel("Common Name").fill(name);
  const file = path.join(broker.folder, `${name}.pem`);
  await downloaded(page, () => own.getByRole("button", { name: "Issue and download" }).click(), file);
  return file;
}

/** What MQTT.js needs to connect with it. */
async function identity(page, broker, file) {
  const ca = await broker.cli("ca", "export", "operator");
  const pem = fs.readFileSync(file, "utf8");
  return { ca, cert: pem, key: pem, rejectUnauthorized: true };
}

scenario(
  "an authority, a client certificate, TLS, certificates required, revoked: put out and told why",
  { prepare: encrypted },
  async (page, broker) => {
    await page.goto(`${broker.url}/configuration/certificate-authorities`);
    const create = page.locator("section", { has: page.getByRole("heading", { name: "Create" }) });
    await create.getByLabel("Name").fill("operator");
    await create.getByLabel("It issues").check();
    await create.getByRole("button", { name: "Create with a private key" }).click();
    await page.getByText("The authority operator is in the draft.").waitFor();
    const file = await issue(page, broker, "device1");

    await page.goto(`${broker.url}/configuration/broker-settings`);
    const second = page.locator("fieldset", { has: page.getByText("TCP Server 2") });
    await second.getByLabel("Use encryption (TLS)").check();
    await page.getByText("Saved to the draft.").waitFor();
    await page.locator(REQUIRE).check();
    await page.getByText("Saved to the draft.").waitFor();
    await eventually("it is saved", async () => {
      const { config } = await broker.api("GET", "config/draft");
      assert.equal(config.certificates.require, true);
    });
    await page.goto(`${broker.url}/configuration/topic-access-rules`);
    await page.getByRole("button", { name: "Let all clients read and write" }).click();
    await page.getByText("The rule is in the draft.").waitFor();
    assert.match(await apply(page), /is in force/);

    const options = { ...(await identity(page, broker, file)), clientId: "one" };
    const url = `mqtts://127.0.0.1:${broker.tls}`;
    const client = await connected(url, options);
    const gone = told(client, "disconnect");

    await page.goto(`${broker.url}/configuration/client-certificates`);
    const row = page.getByRole("row", { name: /device1/ });
    await row.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("device1 is Revoked in the draft").waitFor();
    const said = await apply(page);
    assert.match(said, /1 client was disconnected/);
    assert.equal((await gone)[0].reasonCode, 0x98);
    await assert.rejects(connected(url, { ...options, clientId: "again" }));

    await page.goto(`${broker.url}/diagnostics`);
    const rejected = page.getByRole("region", { name: "Rejections" });
    await rejected.getByText("revoked").first().waitFor();
    await rejected.getByText("CN=device1").first().waitFor();
  },
);

scenario(
  "a certificate is taken from the rejected ones and authorized",
  { prepare: encrypted },
  async (page, broker) => {
    const { config } = await broker.api("GET", "config/draft");
    const listener = config.listener.map((one, index) => (index === 1 ? { ...one, tls: true } : one));
    await broker.configure({
      listener,
      certificates: { require: true, trusted_authorized_only: true },
      rule: [{ name: "all", access: "read-write", client_match: "all", topic_match: "all" }],
    });
    const file = path.join(broker.folder, "stranger.pem");
    await broker.cli("ca", "issue", "--name", "stranger", "--pem", file);
    const ca = await broker.cli("ca", "export", "built-in");
    const pem = fs.readFileSync(file, "utf8");
    const url = `mqtts://127.0.0.1:${broker.tls}`;
    const options = { ca, cert: pem, key: pem, clientId: "stranger", checkServerIdentity: () => undefined, rejectUnauthorized: false };
    await assert.rejects(connected(url, options));
    const attempt = async () => {
      await page.goto(`${broker.url}/configuration/client-certificates`);
      await page.getByLabel("Certificate to try").fill(pem);
      await page.getByRole("button", { name: "Try", exact: true }).click();
      return page.locator(".verdict").innerText();
    };
    assert.match(await attempt(), /REFUSED[^]*stranger[^]*trusted but not listed as Authorized/);
    await page.goto(`${broker.url}/diagnostics`);
    await page.getByRole("button", { name: "Authorize this certificate" }).first().click();
    await page.getByText("is listed as Authorized in the draft").waitFor();
    assert.match(await attempt(), /ACCEPTED/);
    await apply(page);
    const client = await connected(url, options);
    await client.endAsync();
  },
);

scenario(
  "the source's rule is made, tested, applied; a publish that it does not allow is refused with its reason",
  { prepare: (broker) => broker.configure({ ...plain(broker), enabled: true, rules: { apply: "always" } }) },
  async (page, broker) => {
    await broker.api("POST", "users", { name: "device1", password: "one" });
    await page.goto(`${broker.url}/configuration/topic-access-rules`);
    const form = page.locator("#new-rule");
    await form.getByLabel("Name", { exact: true }).fill("temperatures");
    await form.getByLabel("Topic Access").selectOption({ label: "Write" });
    await form.getByLabel("Client Match").selectOption({ label: "Pattern" });
    await form.locator('input[name="client"]').fill("device.*");
    await form.getByLabel("Topic Match").selectOption({ label: "Pattern" });
    await form.locator('input[name="topic"]').fill("/{%client%}/temperature");
    await form.getByRole("button", { name: "Add to the draft" }).click();
    await page.getByText("The rule is in the draft.").waitFor();

    await page.locator('[data-test] input[name="client"]').fill("device1");
    await page.locator('[data-test] input[name="topic"]').fill("/device1/temperature");
    const draft = page.locator(".verdict").first();
    await draft.getByText("ALLOWED").waitFor();
    assert.match(await draft.innerText(), /rule 1 “temperatures” \(Write\): \/\{%client%\}\/temperature = \/device1\/temperature/);
    assert.match(await page.locator(".verdict").nth(1).innerText(), /REFUSED/);
    await apply(page);

    const client = await connected(`mqtt://127.0.0.1:${broker.port}`, { username: "device1", password: "one", clientId: "d" });
    await client.publishAsync("/device1/temperature", "20", { qos: 1 });
    await assert.rejects(client.publishAsync("/device2/temperature", "20", { qos: 1 }), /Not authorized|0x87|135/i);
    await client.endAsync();

    await page.goto(`${broker.url}/diagnostics`);
    const row = page.getByRole("row", { name: /\/device2\/temperature/ });
    await row.getByText("publish", { exact: true }).waitFor();
    await row.getByRole("link", { name: "Test the rules" }).click();
    await page.locator(".verdict").first().getByText("REFUSED").waitFor();
    await page.getByText("no rule matches").first().waitFor();
    await page.locator("#rule-1").getByText("decided 1 time", { exact: true }).waitFor();
    await page.getByText("no rule matched 1 time.").waitFor();
  },
);

scenario(
  "rules are put into another order by keys, by buttons and by dragging",
  {
    prepare: (broker) => {
      const rule = ["one", "two", "three"].map((name) => ({ name, access: "deny", client_match: "all", topic_match: "all" }));
      return broker.api("PATCH", "config/draft", { rule });
    },
  },
  async (page, broker) => {
    await page.goto(`${broker.url}/configuration/topic-access-rules`);
    const order = async () => (await page.locator("[data-rule] strong").allInnerTexts()).join(" ");
    assert.equal(await order(), "one two three");
    await page.getByRole("button", { name: "Move rule 1 down" }).click();
    await eventually("by a button", async () => assert.equal(await order(), "two one three"));
    await eventually("the focus stays with the rule", async () => {
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Move rule 2 down");
    });
    await page.keyboard.press("Alt+ArrowDown");
    await eventually("by keys", async () => assert.equal(await order(), "two three one"));
    const grips = page.locator("[data-grip]");
    const [from, to] = [await grips.nth(2).boundingBox(), await grips.nth(0).boundingBox()];
    await page.mouse.move(from.x + 5, from.y + 5);
    await page.mouse.down();
    await page.mouse.move(to.x + 5, to.y - 12, { steps: 8 });
    await page.mouse.up();
    await eventually("by dragging", async () => assert.equal(await order(), "one two three"));
    const { config } = await broker.api("GET", "config/draft");
    assert.deepEqual(config.rule.map((rule) => rule.name), ["one", "two", "three"]);
  },
);

scenario(
  "messages are watched, also of a client that is not connected yet",
  { prepare: (broker) => broker.configure({ ...plain(broker), enabled: true }) },
  async (page, broker) => {
    await page.goto(`${broker.url}/diagnostics`);
    await page.locator('[data-trace] input[name="client_id"]').fill("later");
    await page.getByLabel("Watch MQTT messages").check();
    await page.getByText("watching", { exact: true }).waitFor();
    const client = await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId: "later" });
    await client.publishAsync("a/b", '{"temperature": 21}', { qos: 1 });
    await (await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId: "other" })).publishAsync("not/watched", "x", { qos: 1 });
    const lines = page.getByRole("log");
    await lines.getByText("a/b").waitFor();
    await lines.getByText("CONNECT", { exact: true }).waitFor();
    await page.locator("[data-trace-tools]").getByRole("button", { name: "JSON" }).click();
    await lines.getByText('"temperature": 21').waitFor();
    assert.equal(await lines.getByText("not/watched").count(), 0);
    await page.getByRole("button", { name: "Pause" }).click();
    await client.publishAsync("while/paused", "x", { qos: 1 });
    const file = await downloaded(page, () => page.getByRole("button", { name: "Download" }).click(), path.join(broker.folder, "m"));
    await eventually("what passed is in the file", async () => {
      const kept = fs.readFileSync(file, "utf8").trim().split("\n").map(JSON.parse);
      assert.ok(kept.some((message) => message.topic === "a/b" && message.direction === "in"));
    });
    assert.equal(await lines.getByText("while/paused").count(), 0);
    await page.getByRole("button", { name: "Pause" }).click();
    await lines.getByText("while/paused").waitFor();
    await client.endAsync();
  },
);

scenario(
  "an Apply on trial is taken back, a confirmed one stays, history rolls back",
  { prepare: (broker) => broker.configure({ ...plain(broker), enabled: true }) },
  async (page, broker) => {
    const limit = async () => (await broker.api("GET", "config/applied")).config.limits.receive_maximum;
    const change = async (text) => {
      await page.goto(`${broker.url}/configuration/broker-settings`);
      await page.locator("summary").filter({ hasText: "Limits" }).click();
      await page.locator('input[name="limits.receive_maximum"]').fill(text);
      await page.getByText("Saved to the draft.").waitFor();
    };
    await change("7");
    await apply(page, { trial: true, comment: "seven" });
    await page.getByText(/is taken back in \d+ s unless you confirm it/).waitFor();
    assert.equal(await limit(), 7);
    await page.locator("[data-trial]").getByRole("button", { name: "Confirm" }).click();
    await page.getByText(/is confirmed/).waitFor();
    assert.equal(await page.locator("[data-trial]").isVisible(), false);
    await change("9");
    await apply(page);
    assert.equal(await limit(), 9);
    await page.goto(`${broker.url}/history`);
    const row = page.getByRole("row", { name: /seven/ });
    await row.getByRole("link", { name: "Look, roll back" }).click();
    await page.getByRole("row", { name: /limits.receive_maximum/ }).first().waitFor();
    await sure(page, page.getByRole("button", { name: "Roll back to it" }));
    await page.getByText(/is in force/).first().waitFor();
    assert.equal(await limit(), 7);
  },
);

test("nobody gets in without the token; five wrong tries are enough for a minute", { timeout: 120_000 }, async (context) => {
  const broker = await Broker.start();
  context.after(() => broker.stop());
  const page = await open(broker);
  await page.goto(`${broker.url}/configuration/users`);
  assert.match(page.url(), /\/login/);
  for (let wrong = 0; wrong < 5; wrong += 1) {
    await page.getByLabel("Token").fill("guessed");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
  }
  await page.getByLabel("Token").fill("guessed again");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("too many wrong tries").waitFor();
  // Whoever has the token need not wait for those who guess.
  await page.getByLabel("Token").fill(broker.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/configuration/users");
  const foreign = await fetch(`${broker.url}/apply`, {
    method: "POST",
    headers: { Authorization: `Bearer ${broker.token}`, Origin: "http://example.org" },
  });
  assert.equal(foreign.status, 403);
  await page.context().close();
});

