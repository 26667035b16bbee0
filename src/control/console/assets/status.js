// Status, live: the values every five seconds, the charts from the history every fifteen, only while somebody looks.

import { percentiles, spark } from "./chart.js";
import { all, api, bytes, count, element, micros, one, rate, shape, whileSeen } from "./dom.js";

const SPARK_POINTS = 60;
let before = null;

function show(key, text) {
  const place = one(`[data-value="${key}"]`);
  if (place && place.textContent !== text) place.textContent = text;
}

function counters(now) {
  show("running", now.running ? "Yes" : "No");
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  for (const tile of all("[data-tile]")) {
    const key = tile.dataset.tile;
    show(key, count(now[key]));
    tile.classList.toggle("some", now[key] > 0);
    if (!before || seconds <= 0) continue;
    const difference = now[key] - before[key];
    const place = one(`[data-rate="${key}"]`);
    if (tile.classList.contains("level")) {
      place.textContent = difference === 0 ? "" : `${difference > 0 ? "+" : "−"}${count(Math.abs(difference))}`;
    } else {
      place.textContent = `${rate(Math.max(0, difference / seconds))}/s`;
    }
  }
}

function bars(table, each) {
  const most = Math.max(1, ...each.map(([, clients]) => clients));
  const row = ([of, clients]) => {
    const svg = shape("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(shape("rect", { class: "track", width: 100, height: 8, rx: 2 }));
    svg.append(shape("rect", { class: "fill", width: (clients / most) * 100, height: 8, rx: 2 }));
    const cells = [element("th", { scope: "row" }, String(of)), element("td", { class: "number" }, count(clients))];
    return element("tr", {}, ...cells, element("td", { class: "bar" }, svg));
  };
  one(`[data-table="${table}"] tbody`).replaceChildren(...each.map(row));
}

function drops(now) {
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  const row = ([reason, number]) => {
    const difference = number - (before?.drops[reason] ?? number);
    const cells = [element("th", { scope: "row" }, reason.replaceAll("_", " ")), element("td", { class: "number" }, count(number))];
    return element("tr", {}, ...cells, element("td", { class: "number" }, rate(seconds > 0 ? difference / seconds : 0)));
  };
  one('[data-table="drops"]').replaceChildren(...Object.entries(now.drops).map(row));
}

function facts(now) {
  show("memory", bytes(now.resident_bytes));
  show("memory_per_connection", now.clients > 0 ? bytes(now.resident_bytes / now.clients) : "–");
  show("backlog_messages", count(now.backlog_messages));
  show("backlog_bytes", bytes(now.backlog_bytes));
  show("output_bytes", bytes(now.output_bytes));
  show("retained_bytes", bytes(now.retained_bytes));
  show("bytes_received", bytes(now.bytes_received));
  show("bytes_sent", bytes(now.bytes_sent));
}

async function values() {
  const live = one("[data-live]");
  try {
    const now = { ...(await api("/api/v1/status")), at: performance.now() };
    counters(now);
    bars("shards", now.shards.map((one) => [one.shard, one.clients]));
    bars("listeners", now.listeners.map((one) => [one.listener, one.clients]));
    drops(now);
    facts(now);
    before = now;
    live.classList.add("on");
    live.textContent = "live";
  } catch (error) {
    live.classList.remove("on");
    live.textContent = `not live: ${error.message}`;
  }
}

/** What a counter's points are a second; a counter that fell was begun anew. */
function rates(points, key) {
  return points.slice(1).map((point, index) => {
    const seconds = Math.max(1, point.unix_secs - points[index].unix_secs);
    return Math.max(0, point[key] - points[index][key]) / seconds;
  });
}

async function charts() {
  const points = await api("/api/v1/status/history").catch(() => []);
  const last = points.slice(-SPARK_POINTS - 1);
  for (const tile of all("[data-tile]")) {
    const key = tile.dataset.tile;
    const drawn = tile.classList.contains("level") ? last.slice(1).map((point) => point[key]) : rates(last, key);
    spark(one("[data-spark]", tile), drawn);
  }
  const series = ["p50", "p99", "p999"].map((name) => {
    const value = (point) => (point.latency.count > 0 ? point.latency[`${name}_us`] : null);
    return { name, values: points.map(value) };
  });
  const times = points.map((point) => point.unix_secs);
  const drawn = points.length > 1 && percentiles(one('[data-chart="latency"]'), times, series);
  one('[data-chart-empty="latency"]').hidden = drawn;
  for (const { name, values } of series) {
    const newest = values.findLast((value) => value !== null);
    show(`latency_${name}`, newest === undefined ? "–" : micros(newest));
  }
}

// A look at the shards wakes them: not more often than the broker itself looks.
whileSeen(5000, values);
whileSeen(15000, charts);
