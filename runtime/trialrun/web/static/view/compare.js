// Two to five trials side by side: differences, metrics, curves and last images.

import { ask } from "../api.js";
import { badge, card, choice, empty, fill, h } from "../dom.js";
import { duration, value } from "../format.js";
import { flagOf, took } from "../model.js";
import { isDark } from "../plot/box.js";
import { palette, seriesColor } from "../plot/draw.js";
import { linesBox, seriesId, seriesLabel } from "./lines.js";
import { picture } from "./trial.js";

export function compareView(store, trials) {
  const sheet = h("div", {});
  const plots = h("div", {});
  const images = h("div", {});
  const element = h(
    "div",
    { class: "stack" },
    h("div", { class: "head" }, h("h1", {}, `Compare ${trials.length} trials`)),
    sheet,
    plots,
    images,
  );
  const series = store.job.series;
  const chosen = {
    series: series.length
      ? seriesId(series.find((one) => one.event === "trial_result" && one.name === store.job.metric) ?? series[0])
      : null,
    against: "step",
  };
  const name = () => series.find((one) => seriesId(one) === chosen.series)?.name ?? "";
  const box = linesBox(store, {
    trials: () => trials,
    height: 300,
    options: () => ({ series: chosen.series, metric: name(), against: chosen.against }),
    onpick: store.open,
  });
  let closed = false;
  let made = "";

  function update() {
    const rows = trials.map((trial) => store.table.rows.get(trial)).filter(Boolean);
    const now = JSON.stringify([rows.map((row) => [row.trial, row.version]), store.best]);
    if (now === made) return;
    made = now;
    if (rows.length < 2) {
      fill(
        sheet,
        h("div", { class: "card" }, empty("Nothing to compare", "Tick two to five trials in the table first.")),
      );
      return;
    }
    fill(sheet, card(null, h("div", { class: "wide" }, compareTable(store, rows))));
    box.load();
  }
  if (series.length) fill(plots, curvesSection(series, chosen, box));
  lastImages(store, trials).then(
    (figures) => {
      if (!closed && figures.length)
        fill(images, card("Last image of each group", h("div", { class: "shots" }, figures)));
    },
    () => {},
  );
  return {
    element,
    update,
    news: () => box.load(),
    close: () => {
      closed = true;
      box.close();
    },
  };
}

function compareTable(store, rows) {
  const names = (kind) => [...new Set(rows.flatMap((row) => Object.keys(row[kind])))];
  const { metric, mode } = store.job;
  const line = (label, cells, { differs = false, wins = () => false } = {}) =>
    h(
      "tr",
      { class: differs ? "differs" : null },
      h(
        "th",
        { scope: "row", class: "any" },
        label,
        differs ? h("span", { class: "muted", title: "differs", "aria-label": "differs" }, " ≠") : null,
      ),
      cells.map((cell, index) =>
        h(
          "td",
          { class: `any${wins(index) ? " win" : ""}` },
          cell instanceof Node ? cell : String(cell),
          wins(index) ? " ★" : "",
        ),
      ),
    );
  const group = (title) => h("tr", {}, h("th", { scope: "rowgroup", colspan: rows.length + 1 }, h("h3", {}, title)));
  const cellText = (row, id, cell) => flagOf(row, id) || value(cell) || "–";
  const section = (kind, start) =>
    names(kind).map((name) => {
      const cells = rows.map((row) => cellText(row, start + name, row[kind][name]));
      const numbers = rows.map((row) => row[kind][name]);
      const top =
        kind === "metrics" && name === metric
          ? (mode === "min" ? Math.min : Math.max)(...numbers.filter((n) => typeof n === "number"))
          : null;
      return line(name, cells, {
        differs: new Set(cells).size > 1 && kind === "hyperparameters",
        wins: (index) => top !== null && numbers[index] === top,
      });
    });
  return h(
    "table",
    { class: "plain" },
    compareHead(store, rows),
    h(
      "tbody",
      {},
      line(
        "status",
        rows.map((row) => badge(row.status)),
      ),
      line(
        "took",
        rows.map((row) => duration(took(row)) || "–"),
      ),
      group("Metrics"),
      section("metrics", "m:"),
      group("Hyperparameters"),
      section("hyperparameters", "h:"),
    ),
  );
}

async function lastImages(store, trials) {
  const pages = await Promise.all(trials.map((trial) => ask(`${store.path}/trial`, { trial })));
  return pages.flatMap((page, index) => {
    const last = new Map(page.images.map((image) => [`${value(image.category)}/${value(image.group)}`, image]));
    return [...last.values()].slice(0, 4).map((image) => {
      const figure = picture(store, image);
      figure.prepend(h("figcaption", { class: "mono any" }, trials[index]));
      return figure;
    });
  });
}

function curvesSection(series, chosen, box) {
  const change = (key) => (next) => {
    chosen[key] = next;
    box.load(true);
    box.redraw();
  };
  return h(
    "section",
    { class: "card" },
    h(
      "div",
      { class: "plothead" },
      h("h2", {}, "Curves"),
      choice(
        "Metric",
        series.map((one) => [seriesId(one), seriesLabel(one, series).slice(0, 60)]),
        chosen.series,
        change("series"),
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
    ),
    box.element,
  );
}

function compareHead(store, rows) {
  const colors = palette(isDark());
  return h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("th", {}, ""),
      rows.map((row, index) => {
        const key = h("i", { class: "key", "aria-hidden": true }, "━ ");
        key.style.color = colors[seriesColor(index)];
        return h(
          "th",
          { scope: "col" },
          key,
          h("a", { href: store.link(row.trial), class: "mono any" }, row.trial.slice(0, 80)),
          row.trial === store.best ? h("span", { class: "odd", title: "best trial" }, " ★") : null,
        );
      }),
    ),
  );
}
