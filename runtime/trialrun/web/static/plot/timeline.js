// The timeline: one bar per trial, in as few lanes as trials ran at the same time.

import { dots, drawing, path, rect, text } from "./drawing.js";
import { extent, linear, short, ticks } from "./scale.js";

const COLORS = { RUNNING: "running", PAUSED: "paused", TERMINATED: "terminated", ERROR: "error" };

/** `trials`: [{trial, status, started, ended}] in ms, `ended` null while a trial runs. Return each with its lane. */
export function lanes(trials, now) {
  const free = [];
  return [...trials]
    .filter((trial) => trial.started !== null)
    .sort((a, b) => a.started - b.started)
    .map((trial) => {
      let lane = free.findIndex((until) => until <= trial.started);
      if (lane < 0) lane = free.push(0) - 1;
      const end = Math.max(trial.ended ?? now, trial.started);
      free[lane] = end;
      return { ...trial, end, lane };
    });
}

export function timelinePlot(trials, { width, height, now, bestTrial = null }) {
  const placed = lanes(trials, now);
  const to = drawing(width, height, `When ${placed.length} trials ran`);
  if (!placed.length) return to;
  const box = { left: 12, right: width - 12, top: 8, bottom: height - 28 };
  const [start, end] = [placed[0].started, extent(placed.map((trial) => trial.end))[1]];
  const x = linear(0, Math.max((end - start) / 1000, 0.001), box.left, box.right);
  const count = Math.max(...placed.map((trial) => trial.lane)) + 1;
  const tall = Math.min((box.bottom - box.top) / count, 48);
  const span = x.domain[1];
  const [unit, word] = span < 180 ? [1, "s"] : span < 10800 ? [60, "min"] : [3600, "h"];
  for (const tick of ticks(0, span / unit, Math.max(Math.floor(width / 110), 2))) {
    path(to, [x(tick * unit), box.top, x(tick * unit), box.bottom], "line", { width: 1 });
    text(to, Math.min(x(tick * unit), box.right - 16), box.bottom + 16, `${short(tick)} ${word}`, {
      align: tick ? "center" : "left",
    });
  }
  for (const trial of placed) {
    const from = x((trial.started - start) / 1000);
    const wide = Math.max(x((trial.end - start) / 1000) - from - 1, 1.5);
    const y = box.top + trial.lane * tall;
    rect(
      to,
      from,
      y + 1,
      wide,
      Math.max(tall - 2, 1),
      COLORS[trial.status] ?? "pending",
      trial.status === "TERMINATED" ? 0.6 : 0.85,
    );
    if (trial.trial === bestTrial && wide > 8)
      dots(to, [from + 6, y + tall / 2], "best", { radius: Math.min(tall / 4, 4) });
    const seconds = (trial.end - trial.started) / 1000;
    to.hits.push({
      x: from,
      y,
      width: wide,
      height: tall,
      trial: trial.trial,
      text: `${trial.trial}\n${trial.status ?? ""}\n${short(Math.round(seconds * 10) / 10)} s`,
    });
  }
  return to;
}
