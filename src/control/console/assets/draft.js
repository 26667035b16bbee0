// Forms whose fields are fields of the draft: a change is sent as it is made, and the page that comes back says what is
// wrong, what differs from what is applied, and what is pending.

import { all, element, one, send, takeHeader, toast } from "./dom.js";

const PAUSE = 600;

/** Sends a form's changes as they are made. */
export function follow(form) {
  let timer;
  let under = false;
  let again = false;
  const state = element("p", { class: "hint saving", role: "status" });
  form.prepend(state);

  async function save() {
    clearTimeout(timer);
    if (under) {
      again = true;
      return;
    }
    under = true;
    state.textContent = "Saving to the draft …";
    try {
      const { found, ok } = await send(form);
      take(found);
      state.textContent = ok ? "Saved to the draft." : (one(".notice.bad p", found)?.textContent ?? "Not saved.");
      state.classList.toggle("problem", !ok);
    } catch {
      state.textContent = "";
      toast("The broker does not answer: nothing was saved.", "bad");
    }
    under = false;
    if (again) {
      again = false;
      save();
    }
  }

  /** What the page that came back says of each field. */
  function take(found) {
    for (const theirs of all("[data-setting]", found)) {
      const mine = one(`[data-setting="${CSS.escape(theirs.dataset.setting)}"]`, form);
      if (!mine) continue;
      mine.className = theirs.className;
      const [shown, said] = [one("[data-under]", mine), one("[data-under]", theirs)];
      shown.replaceChildren(...[...said.childNodes].map((node) => document.importNode(node, true)));
      const input = one("input:not([type=hidden]), select", mine);
      input.toggleAttribute("aria-invalid", one(".problem.bad", said) !== null);
      if (input.hasAttribute("aria-invalid")) input.setAttribute("aria-invalid", "true");
    }
    const [mine, theirs] = [one("[data-elsewhere]"), one("[data-elsewhere]", found)];
    if (mine && theirs) mine.replaceWith(document.importNode(theirs, true));
    takeHeader(found);
  }

  form.addEventListener("change", (event) => {
    if (event.target.name) save();
  });
  form.addEventListener("input", (event) => {
    if (event.target.matches('input[type="checkbox"], select')) return;
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
  });
}
