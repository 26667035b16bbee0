// Lines: small ones in the tiles, and percentiles over time on a scale of powers of ten.

import { micros, one, shape } from "./dom.js";

/** Points of a line in a box, the last value at its right end; as text.rs draws it at first. */
export function line(values, width, height) {
  const most = Math.max(0, ...values);
  const least = Math.min(...values);
  const near = least > most * 0.9 && most > 0;
  const margin = most - least + most * 0.02;
  const [floor, top] = near ? [least - margin, most + margin] : [0, most];
  const range = top > floor ? top - floor : 1;
  const step = width / (Math.max(values.length, 2) - 1);
  const point = (value, index) => {
    const x = width - (values.length - 1 - index) * step;
    return `${x.toFixed(1)},${(height - 1 - ((value - floor) / range) * (height - 2)).toFixed(1)}`;
  };
  return values.map(point).join(" ");
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [640, 200, 52, 22, 8];

/** Draws series of `{class, values}` (microseconds, null where nothing was measured) over `times` (seconds). */
export function percentiles(svg, times, series) {
  const known = series.flatMap((one) => one.values).filter((value) => value !== null);
  svg.replaceChildren();
  if (known.length === 0) return false;
  const low = Math.floor(Math.log10(Math.max(1, Math.min(...known))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...known) * 1.05)));
  const y = (value) => TOP + (1 - (Math.log10(Math.max(1, value)) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const [first, last] = [times[0], Math.max(times.at(-1), times[0] + 1)];
  const x = (time) => LEFT + ((time - first) / (last - first)) * (WIDTH - LEFT - 8);
  for (let power = low; power <= high; power += 1) {
    const at = y(10 ** power);
    svg.append(shape("line", { class: "axis", x1: LEFT, x2: WIDTH - 8, y1: at, y2: at }));
    svg.append(shape("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, micros(10 ** power)));
  }
  for (const [time, anchor] of [[first, "start"], [(first + last) / 2, "middle"], [last, "end"]]) {
    const clock = new Date(time * 1000).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
    svg.append(shape("text", { x: x(time), y: HEIGHT - 4, "text-anchor": anchor }, clock));
  }
  for (const { name, values } of series) {
    let path = "";
    let pen = "M";
    values.forEach((value, index) => {
      if (value === null) {
        pen = "M";
        return;
      }
      path += `${pen}${x(times[index]).toFixed(1)} ${y(value).toFixed(1)}`;
      // One by itself is a dot.
      if (pen === "M" && (values[index + 1] ?? null) === null) path += "h.01";
      pen = "L";
    });
    svg.append(shape("path", { class: `series ${name}`, d: path }));
  }
  return true;
}

/** Draws a small line. */
export function spark(svg, values) {
  one("polyline", svg).setAttribute("points", line(values, 120, 28));
}
