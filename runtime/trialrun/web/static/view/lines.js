// Learning curves of some trials, fetched again while the job runs.

import { ask } from "../api.js";
import { atMost, choice, empty, fill, h } from "../dom.js";
import { compare, select } from "../model.js";
import { isDark, plotBox } from "../plot/box.js";
import { curvesPlot } from "../plot/curves.js";
import { palette, seriesColor } from "../plot/draw.js";

const AT_ONCE = 20;
const POINTS = 600;
const AGAIN_MS = 2000;

export const seriesId = ({ event, name }) => `${event}:${name}`;
export const seriesLabel = (series, all) =>
  all.some((other) => other !== series && other.name === series.name)
    ? `${series.name} (${series.event === "metric" ? "logged" : "reported"})`
    : series.name;

/** Fetch the lines of one series for some trials; `trials` [null] is the job itself. */
export async function fetchLines(store, series, trials, points = POINTS) {
  const lines = [];
  for (let start = 0; start < trials.length; start += AT_ONCE) {
    const some = trials.slice(start, start + AT_ONCE).filter((trial) => trial !== null);
    lines.push(...(await ask(`${store.path}/curves`, { series, points, trial: some })).lines);
  }
  return lines;
}

/** Return a plot of one series that updates itself; `trials()` names the trials whose lines it draws. */
export function linesBox(store, { trials, height = 380, compact = false, options, onpick = null, ondrawn = null }) {
  let lines = [];
  let asked = "";
  let busy = false;
  let closed = false;
  const box = plotBox({
    height,
    onpick,
    build: (width, tall) => curvesPlot(lines, { width, height: tall, compact, ...options() }),
  });
  const wish = () => JSON.stringify([options().series, trials()]);
  async function fetchNow() {
    if (busy) {
      load();
      return;
    }
    const wanted = trials();
    const { series } = options();
    const key = wish();
    busy = true;
    try {
      const fetched = series ? await fetchLines(store, series, wanted) : [];
      if (closed) return;
      lines = fetched.map((line, index) => ({ ...line, label: line.trial ?? undefined, color: index }));
      asked = key;
      box.update();
      ondrawn?.(lines);
    } catch (error) {
      if (!closed) console.warn(error.message);
    } finally {
      busy = false;
    }
    if (!closed && wish() !== key) load(); // the choice changed during the request
  }
  const later = atMost(AGAIN_MS, fetchNow);
  function load(force = false) {
    if (!closed && (force || (wish() !== asked && !busy))) fetchNow();
    else later();
  }
  return {
    element: box.element,
    load,
    redraw: box.now,
    close: () => {
      closed = true;
      later.stop();
      box.close();
    },
  };
}

export function curvesTab(store) {
  store.curves ??= { series: null, trials: "best10", against: "step", smoothing: 0, log: false };
  const chosen = store.curves;
  const controls = h("div", { class: "plothead" });
  const legend = h("div", { class: "legend" });
  const holder = h("div", {});
  const element = h("section", { class: "card" }, controls, holder, legend);
  const name = () => store.job.series.find((series) => seriesId(series) === chosen.series)?.name ?? "";
  const box = linesBox(store, {
    trials: () => picked(store, chosen.trials).map((row) => row.trial),
    options: () => ({
      series: chosen.series,
      metric: name(),
      against: chosen.against,
      smoothing: chosen.smoothing,
      log: chosen.log,
    }),
    onpick: store.open,
    ondrawn: (lines) => showLegend(store, legend, lines),
  });
  let known = "";

  function showControls() {
    const { series, metric } = store.job;
    if (!chosen.series && series.length)
      chosen.series = seriesId(series.find((one) => one.event === "trial_result" && one.name === metric) ?? series[0]);
    const made = JSON.stringify(series);
    if (made === known) return;
    known = made;
    fill(controls, curveControls(series, chosen, box));
  }

  return {
    element,
    update: () => {
      if (!store.job.series.length) {
        fill(holder, empty("No curves yet", "They are drawn from the metrics that trials report."));
        return;
      }
      if (holder.firstChild !== box.element) fill(holder, box.element);
      showControls();
      box.load();
    },
    news: () => {
      if (store.job.series.length) {
        showControls();
        box.load();
      }
    },
    close: () => box.close(),
  };
}

function showLegend(store, legend, lines) {
  fill(
    legend,
    lines
      .filter((line) => line.values.length)
      .slice(0, 60)
      .map((line, index) => {
        const key = h("i", {});
        key.style.color = palette(isDark())[seriesColor(index)];
        return h("span", {}, key, h("a", { href: store.link(line.trial), class: "mono any" }, line.trial.slice(0, 80)));
      }),
  );
}

function curveControls(series, chosen, box) {
  const change = (key) => (value) => {
    chosen[key] = value;
    box.load(true);
    box.redraw();
  };
  const smoothing = h("input", {
    type: "range",
    min: 0,
    max: 0.98,
    step: 0.02,
    value: chosen.smoothing,
    "aria-label": "Smoothing",
  });
  smoothing.addEventListener("input", () => {
    chosen.smoothing = Number(smoothing.value);
    box.redraw();
  });
  const log = h("input", { type: "checkbox" });
  log.checked = chosen.log;
  log.addEventListener("change", () => {
    chosen.log = log.checked;
    box.redraw();
  });
  return [
    h("h2", {}, "Learning curves"),
    choice(
      "Metric",
      series.map((one) => [seriesId(one), seriesLabel(one, series).slice(0, 60)]),
      chosen.series,
      change("series"),
    ),
    choice(
      "Trials",
      [
        ["best10", "10 best"],
        ["best50", "50 best"],
        ["last10", "10 newest"],
        ["filtered", "first 50 of the filtered table"],
        ["picked", "ticked in the table"],
      ],
      chosen.trials,
      change("trials"),
    ),
    choice(
      "Against",
      [
        ["step", "step"],
        ["time", "time"],
      ],
      chosen.against,
      change("against"),
    ),
    h("label", { class: "field" }, "Smoothing", smoothing),
    h("label", { class: "field" }, log, "log scale"),
  ];
}

/** Return the rows that a choice of trials stands for, at most fifty. */
export function picked(store, choice_) {
  const rows = store.table.all();
  const { metric, mode } = store.job;
  if (choice_ === "picked") return rows.filter((row) => store.choices?.picked.has(row.trial));
  if (choice_ === "filtered") return select(rows, store.choices ?? {}).slice(0, 50);
  if (choice_ === "last10" || !metric)
    return rows.sort((a, b) => b.number - a.number).slice(0, choice_ === "best50" ? 50 : 10);
  const sign = mode === "min" ? 1 : -1;
  const judged = rows.filter((row) => typeof row.metrics[metric] === "number");
  return judged
    .sort((a, b) => sign * compare(a.metrics[metric], b.metrics[metric]) || a.number - b.number)
    .slice(0, choice_ === "best50" ? 50 : 10);
}
