// The importance of hyperparameters, and the timeline of trials.

import { ask } from "../api.js";
import { atMost, empty, fill, h } from "../dom.js";
import { plotBox } from "../plot/box.js";
import { timelinePlot } from "../plot/timeline.js";

const AGAIN_MS = 5000;

export function analysisTab(store) {
  const bars = h("div", {});
  const timeline = plotBox({
    height: 190,
    onpick: store.open,
    build: (width, height) =>
      timelinePlot(
        store.table.all().map((row) => ({
          trial: row.trial,
          status: row.status,
          started: row.started,
          ended: row.ended ?? (row.status === "RUNNING" && !over() ? null : row.updated),
        })),
        { width, height, now: Date.now(), bestTrial: store.best },
      ),
  });
  const over = () => ["SUCCEEDED", "FAILED", "STOPPED"].includes(store.job.status);
  const element = h(
    "div",
    { class: "grid2" },
    h("section", { class: "card" }, h("h2", {}, "Importance of hyperparameters, an estimate"), bars),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "Timeline"),
      timeline.element,
      h(
        "p",
        { class: "muted small" },
        "One bar for each trial; trials that ran at the same time are side by side. ",
        "The colour of a bar is its state: running, paused, done, failed; the tip names it.",
      ),
    ),
  );
  let closed = false;

  const load = atMost(AGAIN_MS, async () => {
    try {
      const found = await ask(`${store.path}/importance`);
      if (!closed) showImportance(bars, found);
    } catch (error) {
      if (!closed) fill(bars, h("p", { class: "notice bad" }, error.message));
    }
  });

  return {
    element,
    update: () => {
      load();
      timeline.update();
    },
    news: () => {
      load();
      timeline.update();
    },
    close: () => {
      closed = true;
      load.stop();
      timeline.close();
    },
  };
}

function showImportance(bars, { shares, method, trials, least, metric }) {
  if (!metric) {
    fill(bars, empty("No objective", "This job names no metric to judge trials by."));
    return;
  }
  if (!shares.length) {
    fill(bars, empty("Too few trials", `At least ${least} finished trials are needed; ${trials} have finished.`));
    return;
  }
  const highest = Math.max(...shares.map(([, share]) => share), 0.01);
  fill(
    bars,
    h(
      "dl",
      { class: "bars" },
      shares.slice(0, 40).map(([name, share]) => {
        const bar = h("span", {});
        bar.style.width = `${(100 * share) / highest}%`;
        return [
          h("dt", { class: "any", title: name }, name),
          h("dd", { class: "track", "aria-hidden": "true" }, bar),
          h("dd", { class: "muted" }, `${Math.round(share * 100)} %`),
        ];
      }),
    ),
    h("p", { class: "muted small any" }, `${method} From ${trials} finished trials, objective ${metric}.`),
  );
}
