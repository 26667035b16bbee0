// Broker Settings: what is changed goes into the draft at once, and what is wrong with it stands beside its field.

import { follow } from "./draft.js";
import { all, one } from "./dom.js";

const form = one("[data-draft-form]");
follow(form);

/** What becomes of a certificate, as the switches stand: before the draft has answered. */
function decide() {
  const on = (name) => one(`input[type="checkbox"][name="certificates.${name}"]`, form).checked;
  const accepted = {
    none: !on("require"),
    revoked: false,
    "trusted-listed": true,
    trusted: !on("trusted_authorized_only"),
    listed: on("any_authorized"),
    unknown: false,
  };
  for (const step of all("[data-step]")) {
    const badge = one("[data-verdict]", step);
    const yes = accepted[step.dataset.step];
    badge.textContent = yes ? "Accepted" : "Refused";
    badge.className = `badge ${yes ? "good" : "bad"}`;
  }
}
form.addEventListener("change", decide);
