// How the console bears a full broker: many clients and retained messages; how long pages take, and what an open Status
// page costs the shards. `node large.mjs [CLIENTS [RETAINED]]`; TIDEMQ_LOAD is the load generator.

import { spawn } from "node:child_process";
import fs from "node:fs";

import { Broker, closeBrowser, connected, signedIn } from "./lib.mjs";

const [clients, retained] = [Number(process.argv[2] ?? 15_000), Number(process.argv[3] ?? 100_000)];
const LOAD = process.env.TIDEMQ_LOAD ?? "target/debug/tidemq-load";
const WATCHED_MS = 30_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Seconds of CPU that threads of a process have used, by the beginning of their names. */
function cpu(pid, name) {
  const tasks = fs.readdirSync(`/proc/${pid}/task`).map((task) => fs.readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8"));
  const own = tasks.filter((stat) => stat.includes(`(${name}`)).map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" "));
  return own.reduce((sum, fields) => sum + Number(fields[11]) + Number(fields[12]), 0) / 100;
}

const broker = await Broker.start();
await broker.configure({ enabled: true, listener: [{ protocol: "tcp", address: `127.0.0.1:${broker.port}` }] });
const filler = await connected(`mqtt://127.0.0.1:${broker.port}`, { clientId: "filler" });
for (let number = 0; number < retained; number += 500) {
  const batch = Array.from({ length: Math.min(500, retained - number) }, (_, index) => number + index);
  await Promise.all(batch.map((one) => filler.publishAsync(`house/${one % 1000}/sensor/${one}`, "21.5", { retain: true, qos: 1 })));
}
const address = `127.0.0.1:${broker.port}`;
// Without pings: what they cost is not what the console costs.
const args = ["connect", "--broker", address, "--connections", String(clients), "--connect-rate", "2000", "--hold", "600s", "--keep-alive", "0", "--quiet"];
const load = spawn(LOAD, args, { stdio: "ignore" });
while ((await broker.api("GET", "status")).clients < clients) await pause(500);

const page = await signedIn(broker);
const tables = [];
for (const path of ["/status", "/clients", "/clients?q=99", "/clients?state=disconnected", "/retained", "/retained?below=house%2F", "/retained?q=sensor/99999", "/diagnostics", "/changes"]) {
  const begun = performance.now();
  const answer = await page.goto(`${broker.url}${path}`, { waitUntil: "load" });
  const took = performance.now() - begun;
  tables.push({ path, "ms to load": Math.round(took), KiB: Math.round((await answer.body()).length / 1024) });
}
console.table(tables);

await page.goto("about:blank");
const pid = broker.process.pid;
const share = async () => {
  const before = [cpu(pid, "shard-"), cpu(pid, "admin") + cpu(pid, "tidemq")];
  await pause(WATCHED_MS);
  const after = [cpu(pid, "shard-"), cpu(pid, "admin") + cpu(pid, "tidemq")];
  return after.map((seconds, index) => ((seconds - before[index]) / (WATCHED_MS / 1000)) * 100);
};
const idle = await share();
await page.goto(`${broker.url}/status`);
const open = await share();
const shards = (await broker.api("GET", "status")).shards.length;
const cost = (open[0] - idle[0]) / shards;
console.log(`shards: ${idle[0].toFixed(2)} % of a core without, ${open[0].toFixed(2)} % with an open Status page`);
console.log(`an open Status page costs a shard ${cost.toFixed(2)} % of its core; the other threads ${(open[1] - idle[1]).toFixed(2)} %`);
load.kill();
await filler.endAsync(true);
await closeBrowser();
await broker.stop();
process.exitCode = cost < 1 && tables.every((table) => table["ms to load"] < 5000) ? 0 : 1;
