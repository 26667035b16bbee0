// What every page does: menus, questions before what cannot be taken back, progress, times, the countdown, the header.

import { all, element, one, page, takeHeader, toast, whileSeen } from "./dom.js";

// Menus close as people expect it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of all("details.menu[open]")) {
    menu.open = false;
    one("summary", menu).focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

/** Asks; true if the answer is yes. */
function ask(question, yes) {
  const text = element("p", { id: "question" }, question);
  const go = element("button", { value: "yes", class: "primary" }, yes);
  const row = element("div", { class: "row end" }, element("button", { value: "no", class: "quiet" }, "Cancel"), go);
  const form = element("form", { method: "dialog" }, text, row);
  const dialog = element("dialog", { "aria-labelledby": "question" }, form);
  document.body.append(dialog);
  dialog.showModal();
  go.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-confirm]");
  if (!button || button.dataset.confirmed) return;
  event.preventDefault();
  if (!(await ask(button.dataset.confirm, button.textContent.trim() || button.getAttribute("aria-label")))) {
    button.focus();
    return;
  }
  button.dataset.confirmed = "yes";
  button.form.requestSubmit(button);
  delete button.dataset.confirmed;
});

// Progress: whatever was sent is under way. A download leaves the page where it is.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !button || event.target.method !== "post") return;
  setTimeout(() => {
    button.setAttribute("aria-busy", "true");
    if (!("download" in event.target.dataset)) button.disabled = true;
  });
  const rest = "download" in event.target.dataset ? 1500 : 30000;
  setTimeout(() => {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }, rest);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// Light and dark without a new page.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-theme-form]")) return;
  event.preventDefault();
  const theme = event.submitter.value;
  document.documentElement.dataset.theme = theme;
  for (const button of all("[data-theme-form] button")) button.setAttribute("aria-pressed", button.value === theme);
  // It is to be kept even if the reader goes on to another page at once.
  fetch("/theme", { method: "POST", body: new URLSearchParams({ theme, here: "/status" }), keepalive: true });
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied.");
  } catch {
    toast("The browser does not let this page copy.", "bad");
  }
});

document.addEventListener("change", async (event) => {
  const input = event.target;
  if (input.matches("[data-submit]")) input.form.requestSubmit();
  if (!input.matches("[data-into]")) return;
  const texts = [];
  for (const file of input.files) {
    const read = new Uint8Array(await file.arrayBuffer());
    const text = new TextDecoder().decode(read);
    if (text.includes("-----BEGIN")) texts.push(text.trim());
    else texts.push(btoa(String.fromCharCode(...read)).replace(/.{64}/g, "$&\n"));
  }
  document.getElementById(input.dataset.into).value = texts.join("\n");
});

/** Times in the reader's own zone; how it was written stays as the title. */
function localise(within) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of all("time[datetime]", within)) {
    const at = new Date(time.dateTime);
    if (time.title || Number.isNaN(at.getTime())) continue;
    time.title = time.textContent;
    time.textContent = format.format(at);
  }
}
localise(document);

// What an action came to is shown once: the address does not keep it.
const url = new URL(location.href);
if (url.searchParams.has("said")) {
  url.searchParams.delete("said");
  history.replaceState(null, "", url);
}

document.addEventListener("swapped", (event) => localise(event.detail));

// The countdown of a trial.
let over = 0;
function begin() {
  const seconds = one("[data-trial]")?.dataset.seconds;
  over = seconds ? Date.now() + Number(seconds) * 1000 : 0;
}
function tick() {
  const text = one("[data-trial-text]");
  if (!over || !text?.textContent) return;
  const left = Math.max(0, Math.round((over - Date.now()) / 1000));
  text.textContent = text.textContent.replace(/\d+ s unless/, `${left} s unless`);
  if (left === 0) {
    over = 0;
    setTimeout(refresh, 1500);
  }
}
begin();
setInterval(tick, 1000);
document.addEventListener("swapped", (event) => {
  if (event.detail.matches("[data-trial]")) begin();
});

/** Header and countdown as they are now: somebody else may have changed something. */
async function refresh() {
  try {
    takeHeader((await page("/header")).found);
  } catch {
    // The broker is away; the next turn asks again.
  }
}
const first = setTimeout(() => whileSeen(5000, refresh), 5000);
addEventListener("pagehide", () => clearTimeout(first));

// On a narrow screen the navigation is a strip: the page's own entry is to be seen.
const strip = one(".side");
const current = one(".side [aria-current]");
if (current && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = current.offsetLeft - 40;
