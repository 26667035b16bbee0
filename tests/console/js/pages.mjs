// The pages, and a broker in which each has something to show: with names that would be markup if they were taken for it.

import { connected, freePort } from "./lib.mjs";

export const PAGES = {
  status: "/status",
  "broker-settings": "/configuration/broker-settings",
  "certificate-authorities": "/configuration/certificate-authorities",
  "broker-certificate": "/configuration/broker-certificate",
  "client-certificates": "/configuration/client-certificates",
  "topic-access-rules": "/configuration/topic-access-rules?client=device1&action=publish&topic=/device1/temperature",
  users: "/configuration/users",
  clients: "/clients",
  client: `/clients/one?id=${encodeURIComponent("<img src=x onerror=window.hacked=1>")}`,
  retained: `/retained?below=house%2F&topic=${encodeURIComponent("house/kitchen")}`,
  diagnostics: "/diagnostics",
  changes: "/changes",
  history: "/history",
};

/** Names that would be markup, move text about, or hide. */
export const HOSTILE = [
  "<img src=x onerror=window.hacked=1>",
  "\"><svg onload=window.hacked=1>",
  "'onmouseover='window.hacked=1",
  "txt.\u202eexe",
  "a\u200bb",
  "{{7*7}}&lt;&amp;",
];

/** Fills a broker; the clients that stay connected. */
export async function filled(broker) {
  const rule = [
    { name: "secrets", access: "deny", client_match: "all", topic_match: "specific", topic: "private/#" },
    { name: "temperatures", access: "write", client_match: "pattern", client: "device.*", topic_match: "pattern", topic: "/{%client%}/temperature" },
    { name: HOSTILE[0], access: "read", client_match: "specific", client: HOSTILE[3], topic_match: "specific", topic: "private/a" },
    { name: "everything else", access: "read-write", client_match: "all", topic_match: "all" },
  ];
  const tls = await freePort();
  const listener = [
    { protocol: "tcp", address: `127.0.0.1:${broker.port}` },
    { protocol: "tcp", address: `127.0.0.1:${tls}`, tls: true },
  ];
  await broker.configure({ enabled: true, listener, rule, rules: { apply: "always" } });
  for (const name of ["anna", HOSTILE[1]]) await broker.api("POST", "users", { name, password: "secret" });
  await broker.api("POST", "apply", { comment: "users" });
  for (const name of ["device1", "device2"]) {
    await broker.api("POST", "client-certificates/issue", { name, authorize: true }).catch(() => undefined);
  }
  await broker.api("PATCH", "config/draft", { certificates: { trusted_authorized_only: true }, limits: { receive_maximum: 100 } });

  const clients = [];
  for (const clientId of [...HOSTILE, "house"]) {
    clients.push(await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId, username: "anna", password: "secret" }));
  }
  await clients[0].subscribeAsync(["house/#", "<b>bold</b>/+", "$share/workers/jobs/#"]);
  const house = clients.at(-1);
  await house.subscribeAsync("sensors/#");
  const retained = ["house/kitchen", "house/bath/light", "house/bath/fan", "sensors/1/temperature", "<script>window.hacked=1</script>", ...HOSTILE];
  for (const topic of retained) await house.publishAsync(topic, '{"temperature": 21.5, "text": "<b>warm</b>"}', { retain: true, qos: 1 });
  for (let number = 0; number < 200; number += 1) await house.publishAsync("sensors/1/temperature", String(number), { qos: 1 });
  await house.publishAsync("private/diary", "no", { qos: 1 }).catch(() => undefined);
  await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId: HOSTILE[0], username: HOSTILE[1], password: "wrong" }).catch(() => undefined);
  return clients;
}
