// Learning curves: one metric of some trials over steps or time.

import { seriesColor, seriesDash } from "./draw.js";
import { axes, dots, drawing, path, text } from "./drawing.js";
import { extent, linear, logarithmic, short } from "./scale.js";

/** Smooth exponentially, corrected for the start: 0 changes nothing, 0.99 leaves an almost flat line. */
export function smoothed(values, strength) {
  if (!strength) return values;
  let mean = 0;
  let weight = 0;
  return values.map((value) => {
    mean = mean * strength + value * (1 - strength);
    weight = weight * strength + (1 - strength);
    return mean / weight;
  });
}

/** `lines`: [{trial, label, steps, times, values}]; times in seconds since 1970, shown from each line's first. */
export function curvesPlot(
  lines,
  { width, height, metric, against = "step", smoothing = 0, log = false, compact = false },
) {
  const drawn = lines.filter((line) => line.values.length);
  const to = drawing(width, height, `${metric}: ${drawn.length} lines over ${against === "time" ? "time" : "steps"}`);
  if (!drawn.length) return to;
  const box = { left: 56, right: width - 12, top: 24, bottom: height - (compact ? 26 : 36) };
  const xs = drawn.map((line) => (against === "time" ? line.times.map((time) => time - line.times[0]) : line.steps));
  const ys = drawn.map((line) => smoothed(line.values, smoothing));
  const [left, right] = extent(xs.flat());
  const [low, high] = extent((smoothing ? [...ys, ...drawn.map((line) => line.values)] : ys).flat());
  const room = (high - low) * 0.04;
  const x = linear(left, right, box.left + 2, box.right - 6);
  const y =
    log && low > 0 ? logarithmic(low, high, box.bottom, box.top) : linear(low - room, high + room, box.bottom, box.top);
  const whole = xs.every((line) => line.every(Number.isInteger));
  const xFormat = against === "time" ? seconds : (n) => (whole && !Number.isInteger(n) ? "" : short(n));
  axes(to, {
    x,
    y,
    ...box,
    xFormat,
    xTitle: compact ? "" : against === "time" ? "time since the first point" : "step",
    yTitle: metric,
  });
  if (log && low <= 0) text(to, box.right, box.top - 8, "no log axis: not all values are positive", { align: "right" });
  drawn.forEach((line, index) => {
    const color = seriesColor(line.color ?? index);
    const alpha = drawn.length > 20 ? 0.6 : 1;
    if (smoothing) path(to, flat(xs[index], line.values, x, y), color, { width: 1, alpha: 0.22 });
    path(to, flat(xs[index], ys[index], x, y), color, {
      width: drawn.length > 20 ? 1.2 : 1.8,
      alpha,
      dash: seriesDash(line.color ?? index),
    });
    if (line.values.length === 1) dots(to, flat(xs[index], ys[index], x, y), color, { radius: 3.5 });
    xs[index].forEach((at, place) => {
      const moment = against === "time" ? seconds(at) : `step ${short(at)}`;
      const words = [line.label ?? line.trial ?? metric, moment, short(line.values[place])].join("\n");
      to.hits.push({ x: x(at), y: y(ys[index][place]), trial: line.trial, text: words });
    });
  });
  return to;
}

function flat(xs, ys, x, y) {
  const points = [];
  xs.forEach((at, index) => {
    points.push(x(at), y(ys[index]));
  });
  return points;
}

function seconds(s) {
  if (s < 120) return `${short(s)} s`;
  return s < 7200 ? `${short(Math.round(s / 6) / 10)} min` : `${short(Math.round(s / 360) / 10)} h`;
}
