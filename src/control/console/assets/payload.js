// A payload as text, as JSON, or as bytes. Whatever it holds is text on this page.

import { all, foreign, one } from "./dom.js";

export const KINDS = ["text", "json", "hex"];

export function decoded(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Sixteen bytes a line: offset, bytes, letters. */
export function hex(bytes) {
  const lines = [];
  for (let from = 0; from < bytes.length; from += 16) {
    const part = [...bytes.slice(from, from + 16)];
    const codes = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${from.toString(16).padStart(6, "0")}  ${codes.padEnd(47)}  ${letters}`);
  }
  return lines.join("\n");
}

/** What to show for bytes. */
export function written(bytes, kind) {
  if (kind === "hex") return hex(bytes);
  const text = new TextDecoder().decode(bytes);
  if (kind === "text") return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return `It is not JSON.\n${text}`;
  }
}

/** Chooses one button of a group. */
export function press(group, kind) {
  for (const button of all("[data-as]", group)) button.setAttribute("aria-pressed", button.dataset.as === kind);
}

const tabs = one("[data-payload-tabs]");
tabs?.addEventListener("click", (event) => {
  const kind = event.target.closest("[data-as]")?.dataset.as;
  if (!kind) return;
  const place = one("[data-payload]");
  press(tabs, kind);
  place.replaceChildren(foreign(written(decoded(place.dataset.payload), kind), { lines: true }));
});
