// Parallel coordinates: one line per trial across its hyperparameters to the objective; brushes on the axes.

import { dots, drawing, path, RAMP, rect, text } from "./drawing.js";
import { extent, linear, logarithmic, looksLogarithmic, places, short } from "./scale.js";

const MOST_PLACES = 24;
const MOST_AXES = 14;
const SNAP = 4; // pixels

/**
 * `rows`: [{trial, cells: [...], chosen, value}] with a cell for each of `columns` [{id, label}], the objective last.
 * `brushes`: Map of column id to {low, high} or {values}. The drawing has `axes`, for the handler of the pointer.
 */
export function parallelPlot(rows, columns, { width, height, mode = "max", brushes = new Map(), bestTrial = null }) {
  const to = drawing(width, height, `${rows.length} trials across ${columns.map((column) => column.label).join(", ")}`);
  const kept = columns.length > MOST_AXES ? [...columns.slice(0, MOST_AXES - 1), columns.at(-1)] : columns;
  const box = { left: 44, right: width - 52, top: 40, bottom: height - 14 };
  to.axes = kept.map((column, index) => {
    const place = columns.indexOf(column);
    const x =
      kept.length === 1 ? (box.left + box.right) / 2 : box.left + (index / (kept.length - 1)) * (box.right - box.left);
    return {
      ...column,
      place,
      x,
      top: box.top,
      bottom: box.bottom,
      ...axis(
        rows.map((row) => row.cells[place]),
        box,
      ),
    };
  });
  lines(to, rows, mode, bestTrial);
  to.axes.forEach((each, index) => {
    drawAxis(to, each, brushes.get(each.id), (box.right - box.left) / Math.max(kept.length - 1, 1), index);
  });
  return to;
}

/** Return a scale for cells: a linear or logarithmic axis for numbers; one place each for others and few integers. */
function axis(cells, { top, bottom }) {
  const there = cells.filter((cell) => cell !== null && cell !== undefined);
  const numbers = there.length > 0 && there.every((cell) => typeof cell === "number");
  if (!numbers) {
    const values = [...new Set(there.map(word))].sort().slice(0, MOST_PLACES);
    const scale = places(values, bottom, top);
    return {
      kind: "places",
      scale,
      at: (cell) => (cell === null || cell === undefined ? NaN : (scale(word(cell)) ?? NaN)),
    };
  }
  const [low, high] = extent(there) ?? [0, 1];
  const scale = looksLogarithmic(there) ? logarithmic(low, high, bottom, top) : linear(low, high, bottom, top);
  if (low === high) scale.ticks = () => [low];
  return { kind: "numbers", scale, at: (cell) => (typeof cell === "number" ? scale(cell) : NaN) };
}

const word = (cell) => (typeof cell === "string" ? cell : JSON.stringify(cell));

function lines(to, rows, mode, bestTrial) {
  const found = extent(rows.map((row) => row.value));
  const buckets = Array.from({ length: RAMP }, () => []);
  const left = [];
  let best = null;
  for (const row of rows) {
    const points = [];
    for (const each of to.axes) points.push(each.x, each.at(row.cells[each.place]));
    points.push(NaN, NaN);
    if (row.trial === bestTrial && row.chosen) best = points;
    if (!row.chosen) {
      for (const n of points) left.push(n);
      continue;
    }
    let share =
      !found || !Number.isFinite(row.value)
        ? 0
        : found[1] > found[0]
          ? (row.value - found[0]) / (found[1] - found[0])
          : 1;
    if (mode === "min" && found) share = Number.isFinite(row.value) ? 1 - share : 0;
    const bucket = buckets[Math.min(Math.floor(share * RAMP), RAMP - 1)];
    for (const n of points) bucket.push(n);
    for (let i = 0; rows.length <= 2000 && i < points.length - 2; i += 2) {
      if (!Number.isNaN(points[i + 1]))
        to.hits.push({ x: points[i], y: points[i + 1], trial: row.trial, text: told(to, row) });
    }
  }
  const many = rows.length;
  const alpha = many > 3000 ? 0.12 : many > 500 ? 0.3 : many > 100 ? 0.5 : 0.8;
  if (left.length) path(to, left, "line", { width: 1, alpha: many > 500 ? 0.4 : 1 });
  buckets.forEach((points, step) => {
    if (points.length) path(to, points, `ramp${step}`, { width: many > 500 ? 1 : 1.4, alpha });
  });
  if (best) {
    path(to, best, "best", { width: 2.5 });
    dots(to, best.slice(0, -2).some(Number.isNaN) ? [] : best.slice(0, -2), "best", { radius: 3 });
  }
}

function told(to, row) {
  return () => [row.trial, ...to.axes.map((each) => `${each.label} ${shown(row.cells[each.place])}`)].join("\n");
}

const shown = (cell) =>
  cell === null || cell === undefined ? "–" : typeof cell === "number" ? short(cell) : word(cell).slice(0, 40);

function drawAxis(to, each, brush, room, index) {
  path(to, [each.x, each.top, each.x, each.bottom], "strong", { width: 1.5 });
  const most = Math.max(Math.floor(room / 6.4), 6);
  const label = each.label.length > most ? `${each.label.slice(0, most - 1)}…` : each.label;
  const last = index === to.axes.length - 1;
  text(to, index === 0 ? 6 : last ? to.width - 6 : each.x, 16, label, {
    align: index === 0 ? "left" : last ? "right" : "center",
    color: "text",
    size: 12,
    bold: last,
  });
  const side = last
    ? { align: "left", shift: 6 }
    : { align: index === 0 ? "right" : "left", shift: index === 0 ? -6 : 6 };
  const marks =
    each.kind === "places"
      ? each.scale.values.map((value) => [each.scale(value), value.slice(0, Math.min(most, 14))])
      : each.scale.ticks(4).map((tick) => [each.scale(tick), short(tick)]);
  for (const [y, words] of marks.slice(0, 12)) {
    path(to, [each.x - 3, y, each.x + 3, y], "strong", { width: 1 });
    text(to, each.x + side.shift, y + 4, words, { align: side.align, size: 11, color: "text", halo: true });
  }
  if (!brush) return;
  const [from, until] = brushSpan(each, brush);
  rect(to, each.x - 7, from, 14, until - from, "accent", 0.3);
  path(to, [each.x - 7, from, each.x + 7, from], "accent", { width: 2 });
  path(to, [each.x - 7, until, each.x + 7, until], "accent", { width: 2 });
}

function brushSpan(each, brush) {
  if (each.kind === "numbers")
    return [
      Math.max(each.scale(Math.min(brush.high, each.scale.domain[1])), each.top),
      Math.min(each.scale(Math.max(brush.low, each.scale.domain[0])), each.bottom),
    ];
  const half = (each.bottom - each.top) / each.scale.values.length / 2;
  const at = each.scale.values.filter((value) => brush.values.has(value)).map(each.scale);
  return at.length ? [Math.min(...at) - half, Math.max(...at) + half] : [each.bottom, each.bottom];
}

/** Return the brush of a drag from one height to another on an axis; null when it holds no value. */
export function brushed(each, from, until) {
  const [top, bottom] = [Math.min(from, until), Math.max(from, until)];
  if (each.kind === "numbers") {
    const [low, high] = each.scale.domain; // a drag to the end of an axis takes in what lies on it
    return {
      low: bottom > each.bottom - SNAP ? low : each.scale.invert(bottom),
      high: top < each.top + SNAP ? high : each.scale.invert(top),
    };
  }
  const half = (each.bottom - each.top) / each.scale.values.length / 2;
  const values = new Set(
    each.scale.values.filter((value) => each.scale(value) + half > top && each.scale(value) - half < bottom),
  );
  return values.size ? { values } : null;
}
