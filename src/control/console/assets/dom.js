// Small functions that the other modules share. What comes from outside becomes text nodes, never markup: nothing in
// these files assigns innerHTML.

export const one = (selector, within = document) => within.querySelector(selector);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** The same for SVG. */
export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

// As text.rs has it: controls, directions, joiners, fillers, private characters.
const DECEIVES =
  /[\p{Cc}\p{Co}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** Text from outside, with what would deceive made visible. `lines`: line ends and tabs stay what they are. */
export function foreign(text, { lines = false } = {}) {
  const whole = document.createElement("bdi");
  let from = 0;
  for (const match of text.matchAll(DECEIVES)) {
    if (lines && "\n\t".includes(match[0])) continue;
    whole.append(text.slice(from, match.index));
    const mark = element("b", { class: "unseen" }, `\\u{${match[0].codePointAt(0).toString(16)}}`);
    whole.append(mark);
    from = match.index + match[0].length;
  }
  whole.append(text.slice(from));
  return whole;
}

export const count = (number) => Math.round(number).toLocaleString("en-US");

export function rate(perSecond) {
  if (perSecond < 0.05) return "0";
  return perSecond < 10 ? perSecond.toFixed(1) : count(perSecond);
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit + 1 < units.length) {
    number /= 1024;
    unit += 1;
  }
  return `${unit > 0 && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

export function micros(us) {
  const [value, unit] = us < 1e3 ? [us, "µs"] : us < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  return `${value < 10 && unit !== "µs" ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** A JSON answer of the API; throws what it says is wrong. */
export async function api(path, options = {}) {
  const answer = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail ?? `the broker answered ${answer.status}`);
  }
  return answer.json();
}

/** Says something that passes. */
export function toast(text, tone = "good") {
  const note = element("div", { class: `toast ${tone}` }, text);
  one("[data-toasts]").append(note);
  setTimeout(() => note.remove(), 6000);
}

/** Calls again and again while somebody looks at the page; never twice at once. */
export function whileSeen(milliseconds, action) {
  let timer;
  const turn = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    await action();
    clearTimeout(timer);
    timer = setTimeout(turn, milliseconds);
  };
  document.addEventListener("visibilitychange", turn);
  return turn();
}

/** A page of this console as a document that is not shown: its scripts do not run. */
export async function page(path, options = {}) {
  const answer = await fetch(path, { headers: { Accept: "text/html" }, ...options });
  if (new URL(answer.url).pathname === "/login") location.assign("/login");
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { found, ok: answer.ok, url: answer.url };
}

/** Takes a part of another page in place of the same part of this one. */
export function swap(selector, found) {
  const [mine, theirs] = [one(selector), one(selector, found)];
  if (!mine || !theirs) return null;
  const taken = document.importNode(theirs, true);
  mine.replaceWith(taken);
  document.dispatchEvent(new CustomEvent("swapped", { detail: taken }));
  return taken;
}

/** Where a form goes. Its properties may be hidden by fields of the same name. */
export const target = (form, button = null) => button?.getAttribute("formaction") ?? form.getAttribute("action");

/** Sends a form as it stands, as if `button` had been pressed, and gives the page that comes of it. */
export function send(form, button = null) {
  const body = new URLSearchParams(new FormData(form, button));
  return page(target(form, button), { method: "POST", body });
}

/** Takes header, countdown and what edits are made against from a page that came later. Open menus and the focus stay. */
export function takeHeader(found) {
  const here = one('[data-header] input[name="here"]')?.value ?? location.pathname;
  const open = one("[data-header] details[open]");
  const etag = one("[data-header]", found)?.dataset.etag;
  if (etag) for (const field of all('input[name="etag"]')) field.value = etag;
  if (!open) {
    const stops = () => all("a, button, input, summary", one("[data-header]"));
    const at = stops().indexOf(document.activeElement);
    if (swap("[data-header]", found) && at >= 0) stops()[at]?.focus({ preventScroll: true });
  }
  swap("[data-trial]", found);
  for (const field of all('[data-header] input[name="here"], [data-trial] input[name="here"]')) field.value = here;
}
