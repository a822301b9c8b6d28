// A drawing: a plot as plain marks, for a canvas of the page or an SVG file.
//
// Marks: {kind: "path", points: [x, y, …], color, width, alpha, dash}   NaN lifts the pen
//        {kind: "dots", points: [x, y, …], radius, color, alpha}
//        {kind: "rect", x, y, width, height, color, alpha}
//        {kind: "text", x, y, text, align, color, size, bold, halo}   a halo keeps words readable above lines
// Colours are names of a palette ("text", "line", "accent", "series3", "ramp7"): one drawing serves both themes.

import { short } from "./scale.js";

export const SERIES = 8;
export const RAMP = 12;

export function drawing(width, height, label) {
  return { width, height, label, marks: [], hits: [] };
}

export function path(to, points, color, { width = 1.5, alpha = 1, dash = null } = {}) {
  to.marks.push({ kind: "path", points, color, width, alpha, dash });
}

export function dots(to, points, color, { radius = 3, alpha = 1 } = {}) {
  to.marks.push({ kind: "dots", points, color, radius, alpha });
}

export function rect(to, x, y, width, height, color, alpha = 1) {
  to.marks.push({ kind: "rect", x, y, width, height, color, alpha });
}

export function text(to, x, y, words, { align = "left", color = "muted", size = 11, bold = false, halo = false } = {}) {
  to.marks.push({ kind: "text", x, y, text: cut(String(words)), align, color, size, bold, halo });
}

/** Shorten long text, on one line. */
function cut(words, most = 60) {
  const line = words.replace(/\s+/g, " ");
  const kept = [...line.slice(0, most * 2)];
  return kept.length > most ? `${kept.slice(0, most - 1).join("")}…` : line;
}

/** Add horizontal lines with values at the left, and a bottom line with values below. */
export function axes(
  to,
  { x, y, left, right, top, bottom, xFormat = short, yFormat = short, xTitle = "", yTitle = "" },
) {
  for (const tick of y.ticks(Math.max(Math.floor((bottom - top) / 45), 2))) {
    path(to, [left, y(tick), right, y(tick)], "line", { width: 1 });
    text(to, left - 8, y(tick) + 4, yFormat(tick), { align: "right" });
  }
  path(to, [left, bottom, right, bottom], "strong", { width: 1 });
  let free = -Infinity;
  for (const tick of x.ticks(Math.max(Math.floor((right - left) / 80), 2))) {
    const words = xFormat(tick);
    const half = words.length * 3.2;
    const at = Math.min(x(tick), right - half + 8);
    if (!words || at - half < free) continue;
    free = at + half + 8;
    path(to, [x(tick), bottom, x(tick), bottom + 4], "strong", { width: 1 });
    text(to, at, bottom + 17, words, { align: "center" });
  }
  if (yTitle) text(to, left, top - 8, yTitle, { color: "text", size: 12 });
  if (xTitle) text(to, right, bottom + 32, xTitle, { align: "right" });
}

/** Return the hit nearest to a point, at most `within` pixels away, or null. */
export function nearest(to, x, y, within = 24) {
  let found = null;
  let closest = within * within;
  for (const hit of to.hits) {
    const inside =
      hit.width !== undefined && x >= hit.x && x <= hit.x + hit.width && y >= hit.y && y <= hit.y + hit.height;
    const distance = inside ? 0 : hit.width !== undefined ? Infinity : (hit.x - x) ** 2 + (hit.y - y) ** 2;
    if (distance < closest || (inside && found === null)) {
      found = hit;
      closest = distance;
    }
  }
  return found;
}
