// The objective of each trial in the order of the trials, and the best so far.

import { axes, dots, drawing, path } from "./drawing.js";
import { extent, linear, logarithmic, looksLogarithmic, short } from "./scale.js";

/** `trials`: [{trial, number, status, value}], each value a number. Return them in order, with the `best` so far. */
export function bestSoFar(trials, mode) {
  let best = null;
  return [...trials]
    .sort((a, b) => a.number - b.number)
    .map((trial) => {
      const counts = trial.status !== "ERROR" && Number.isFinite(trial.value);
      if (counts && (best === null || (mode === "min" ? trial.value < best : trial.value > best))) best = trial.value;
      return { ...trial, best };
    });
}

export function historyPlot(trials, { width, height, metric, mode, bestTrial = null, log = null }) {
  const points = bestSoFar(
    trials.filter((trial) => Number.isFinite(trial.value)),
    mode,
  );
  const to = drawing(
    width,
    height,
    `${metric} of ${points.length} trials, in their order; best so far ${short(points.at(-1)?.best ?? NaN)}`,
  );
  if (!points.length) return to;
  const values = points.map((point) => point.value);
  const box = { left: 56, right: width - 12, top: 24, bottom: height - 36 };
  const [low, high] = extent(values);
  const room = (high - low) * 0.05;
  const useLog = log ?? looksLogarithmic(values);
  const y =
    useLog && low > 0
      ? logarithmic(low, high, box.bottom, box.top)
      : linear(low - room, high + room, box.bottom, box.top);
  const x = linear(Math.min(points[0].number, 1), points.at(-1).number, box.left + 6, box.right - 6);
  axes(to, { x, y, ...box, xTitle: "trial", yTitle: metric, xFormat: (n) => (Number.isInteger(n) ? String(n) : "") });
  const radius = points.length > 2000 ? 1.5 : points.length > 300 ? 2.2 : 3.2;
  const groups = { ERROR: [], other: [], best: [] };
  for (const point of points) {
    const at = [x(point.number), y(point.value)];
    groups[point.trial === bestTrial ? "best" : point.status === "ERROR" ? "ERROR" : "other"].push(...at);
    to.hits.push({
      x: at[0],
      y: at[1],
      trial: point.trial,
      text: [
        point.trial,
        `${metric} ${short(point.value)}`,
        `best so far ${point.best === null ? "–" : short(point.best)}`,
      ].join("\n"),
    });
  }
  dots(to, groups.other, "series2", { radius, alpha: points.length > 2000 ? 0.45 : 0.75 });
  dots(to, groups.ERROR, "error", { radius });
  path(to, stairs(points, x, y), "accent", { width: 2 });
  dots(to, groups.best, "best", { radius: 5 });
  return to;
}

/** Return the best so far as a stair line, with a corner only where it changes. */
function stairs(points, x, y) {
  const line = [];
  let level = null;
  for (const point of points) {
    if (point.best === null || point.best === level) continue;
    if (level !== null) line.push(x(point.number), y(level));
    line.push(x(point.number), y(point.best));
    level = point.best;
  }
  if (level !== null) line.push(x(points.at(-1).number), y(level));
  return line;
}
