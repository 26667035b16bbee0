// Topic Access Rules: other places by dragging or by keys, forms that unfold, and a test that answers while one types.

import { follow } from "./draft.js";
import { all, one, page, swap, takeHeader, target, toast } from "./dom.js";

const LIST = "[data-rules]";

/** Puts a rule to another place, in the draft and on the page. */
async function move(from, to, focus) {
  const rules = all("[data-rule]");
  if (to < 0 || to >= rules.length || to === from) return;
  const form = one("[data-move]", rules[from]);
  const body = new URLSearchParams({ etag: form.elements.etag.value, index: from, to });
  const { found, ok } = await page(target(form), { method: "POST", body });
  takeHeader(found);
  swap(LIST, found);
  swap("[data-kept-tests]", found);
  match();
  if (!ok) toast(one(".notice p", found)?.textContent ?? "It was not moved.", "bad");
  const place = all("[data-rule]")[ok ? to : from];
  one(focus, place)?.focus();
  test();
}

const index = (rule) => Number(rule.dataset.rule);

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-move]")) return;
  event.preventDefault();
  const rule = event.target.closest("[data-rule]");
  const last = Number(event.submitter.value) === 0 || Number(event.submitter.value) === all("[data-rule]").length - 1;
  const up = Number(event.submitter.value) < index(rule);
  const same = up ? "button[aria-label$=up]" : "button[aria-label$=down]";
  const other = up ? "button[aria-label$=down]" : "button[aria-label$=up]";
  move(index(rule), Number(event.submitter.value), last ? other : same);
});

// Alt and an arrow, wherever the focus is within a rule.
document.addEventListener("keydown", (event) => {
  const rule = event.target.closest("[data-rule]");
  if (!rule || !event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  move(index(rule), index(rule) + (event.key === "ArrowUp" ? -1 : 1), "[data-edit]");
});

// Dragging, by mouse, pen or finger.
document.addEventListener("pointerdown", (event) => {
  const grip = event.target.closest("[data-grip]");
  if (!grip || event.button !== 0) return;
  event.preventDefault();
  const rule = grip.closest("[data-rule]");
  const others = all("[data-rule]");
  let to = index(rule);
  rule.classList.add("dragged");
  grip.setPointerCapture(event.pointerId);
  const unmark = () => others.forEach((other) => other.classList.remove("drop-before", "drop-after"));
  const over = (moved) => {
    unmark();
    const target = others.find((other) => moved.clientY < other.getBoundingClientRect().bottom) ?? others.at(-1);
    const box = target.getBoundingClientRect();
    const behind = moved.clientY > box.top + box.height / 2;
    target.classList.add(behind ? "drop-after" : "drop-before");
    to = index(target) + (behind ? 1 : 0);
    if (to > index(rule)) to -= 1;
  };
  const end = (ended) => {
    grip.removeEventListener("pointermove", over);
    grip.removeEventListener("pointerup", end);
    grip.removeEventListener("pointercancel", end);
    unmark();
    rule.classList.remove("dragged");
    if (ended.type === "pointerup") move(index(rule), to, "[data-edit]");
  };
  grip.addEventListener("pointermove", over);
  grip.addEventListener("pointerup", end);
  grip.addEventListener("pointercancel", end);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-edit]");
  if (!button) return;
  const editor = document.getElementById(button.getAttribute("aria-controls"));
  const open = editor.toggleAttribute("data-folded") === false;
  button.setAttribute("aria-expanded", open);
  if (open) one("input[name=name]", editor).focus();
});

/** "All" needs nothing to match by. */
function match() {
  for (const select of all("[data-match]")) {
    const field = one(`[data-field="${select.dataset.match}"]`, select.form);
    const input = one("input", field);
    input.disabled = select.value === "all";
    field.hidden = input.disabled;
    input.required = !input.disabled;
  }
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-match]")) match();
});
match();

// The test answers while one types.
const form = one("[data-test]");
let asked = 0;
async function test() {
  if (!form.elements.topic.value) return;
  asked += 1;
  const mine = asked;
  const { found } = await page(`${target(form)}?${new URLSearchParams(new FormData(form))}`);
  if (mine === asked) {
    swap("[data-test-answer]", found);
    decided();
  }
}

/** Shows which rule of the draft decided. */
function decided() {
  const place = one("[data-decided]")?.dataset.decided;
  for (const rule of all("[data-rule]")) rule.classList.toggle("deciding", rule.dataset.rule === place);
}
decided();
let timer;
form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(test, 300);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  test();
});
document.addEventListener("swapped", (event) => {
  if (event.detail.matches(LIST)) decided();
});

for (const settings of all("[data-draft-form]")) follow(settings);
