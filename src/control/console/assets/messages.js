// Diagnostics: messages as they pass, bounded here as they are in the broker.

import { element, foreign, one, toast } from "./dom.js";
import { follow } from "./draft.js";
import { decoded, press, written } from "./payload.js";

const MOST = 1000;
const form = one("[data-trace]");
const toggle = one("[data-trace-switch]");
const body = one("[data-trace-body]");
const lines = one("[data-trace-lines]");
const tools = one("[data-trace-tools]");
const live = one("[data-live]");
const kept = [];
let source = null;
let paused = false;
let passed = 0;
let lost = 0;
let kind = "text";

/** The payload's bytes: text is sent as text, and the rest in base64. */
function bytes(message) {
  if (message.payload_base64 !== undefined) return decoded(message.payload_base64);
  return new TextEncoder().encode(message.payload ?? "");
}

function payload(message) {
  if (message.payload_bytes === undefined) return "";
  return written(bytes(message), kind) + (message.cut ? ` … (${message.payload_bytes} bytes)` : "");
}

function row(message) {
  const time = new Date(message.time).toLocaleTimeString(undefined, { hour12: false, fractionalSecondDigits: 3 });
  const cell = (text, name = "") => element("td", { class: name }, foreign(text ?? ""));
  const incoming = message.direction === "in";
  const badge = element("span", { class: incoming ? "badge accent" : "badge" }, incoming ? "from client" : "to client");
  const details = message.qos === undefined ? "" : ` QoS ${message.qos}${message.retain ? ", retained" : ""}`;
  const what = cell(message.packet.toUpperCase() + details);
  const cells = [cell(time), cell(message.client_id), element("td", {}, badge), what, cell(message.topic)];
  return element("tr", {}, ...cells, cell(payload(message), "cell-payload"));
}

function tell() {
  const more = lost > 0 ? `, ${lost} left out` : "";
  one("[data-trace-count]").textContent = `${passed} passed${more}${passed > MOST ? `, the last ${MOST} are shown` : ""}`;
}

// Many at once are drawn together.
let waiting = [];
let drawing = false;
function draw() {
  drawing = false;
  const atEnd = lines.scrollTop + lines.clientHeight > lines.scrollHeight - 40;
  body.append(...waiting.map(row));
  waiting = [];
  while (body.childElementCount > MOST) body.firstElementChild.remove();
  if (atEnd) lines.scrollTop = lines.scrollHeight;
  tell();
}

function take(message) {
  passed += 1;
  kept.push(message);
  if (kept.length > MOST) kept.shift();
  if (paused) return;
  waiting.push(message);
  if (waiting.length > MOST) waiting.shift();
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function stop() {
  source?.close();
  source = null;
  live.classList.remove("on");
  live.textContent = "not watching";
}

function start() {
  stop();
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) asked.set(name, value);
  source = new EventSource(`/api/v1/trace?${asked}`);
  // From here on nothing is missed.
  source.addEventListener("armed", () => {
    live.classList.add("on");
    live.textContent = "watching";
  });
  source.addEventListener("packet", (event) => take(JSON.parse(event.data)));
  source.addEventListener("lost", (event) => {
    lost += Number(event.data);
    tell();
  });
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    toast("The broker does not let this page watch: see whether the topic filter is one, and who else watches.", "bad");
    toggle.checked = false;
    stop();
  });
  tools.hidden = false;
  lines.hidden = false;
  tell();
}

toggle.addEventListener("change", () => (toggle.checked ? start() : stop()));
form.addEventListener("change", (event) => {
  if (event.target !== toggle && toggle.checked) start();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  toggle.checked = true;
  start();
});

function redraw() {
  body.replaceChildren(...kept.map(row));
  lines.scrollTop = lines.scrollHeight;
}

one("[data-trace-pause]").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", paused);
  if (!paused) redraw();
});
one("[data-trace-clear]").addEventListener("click", () => {
  kept.length = 0;
  waiting = [];
  passed = 0;
  lost = 0;
  redraw();
  tell();
});
one("[data-trace-download]").addEventListener("click", () => {
  const text = kept.map((message) => JSON.stringify(message)).join("\n");
  const url = URL.createObjectURL(new Blob([text, "\n"], { type: "application/x-ndjson" }));
  element("a", { href: url, download: "messages.ndjson" }).click();
  URL.revokeObjectURL(url);
});
tools.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-as]")?.dataset.as;
  if (!chosen) return;
  kind = chosen;
  press(tools, kind);
  redraw();
});
follow(one("[data-draft-form]"));

// A link of another page names a client: it is watched at once.
if (form.elements.client_id.value) {
  toggle.checked = true;
  start();
}
