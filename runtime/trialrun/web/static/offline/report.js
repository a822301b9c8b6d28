// A report: the table and the plots of one job, from the data in this file.

import { study } from "./api.js";
import { badge, card, facts, fill, h } from "./dom.js";
import { absolute, duration, plural, refreshTimes, value } from "./format.js";
import { flagOf, Table, took } from "./model.js";
import { isDark } from "./plot/box.js";
import { analysisTab } from "./view/analysis.js";
import { curvesTab, linesBox, seriesId } from "./view/lines.js";
import { TrialsTab } from "./view/trials.js";

const MOST_SERIES = 24;
const MARK = "#trial=";
const { job } = study;
const table = new Table();
table.merge(study.trials);
for (const row of table.all()) {
  // a trial that was running when the report was made ran until then
  if (row.status === "RUNNING" && row.ended === null) row.ended = Date.parse(study.made);
}
const link = (trial) => MARK + encodeURIComponent(trial);
const best = job.best_trial ?? (job.metric ? (table.best(job.metric, job.mode)?.trial ?? null) : null);
const store = {
  job,
  table,
  best,
  path: "",
  base: "#",
  link,
  open: (trial) => {
    location.hash = link(trial);
  },
};

function head() {
  const row = best === null ? null : table.rows.get(best);
  const failed = table.counts().get("ERROR") ?? 0;
  const pairs = [
    ["Trials", table.size ? `${plural(table.size, "trial")}${failed ? `, ${failed} failed` : ""}` : null],
    ["Best trial", row ? h("a", { href: link(best), class: "mono any" }, best.slice(0, 200)) : null],
    [job.metric ?? "", row && job.metric ? value(row.metrics[job.metric]) : null],
    ["Plugin", job.plugin],
    ["Begun", absolute(job.created)],
    ["Last heard of", absolute(job.heard)],
    ["Took", duration(Math.max(Date.parse(job.heard) - Date.parse(job.created), 0) / 1000)],
    ["Report made", `${absolute(study.made)}, trialrun ${study.version}`],
  ].filter(([name, words]) => name && words);
  return h(
    "div",
    { class: "stack" },
    h("div", { class: "head" }, h("h1", { class: "any" }, job.name || `job ${job.id}`), badge(job.status)),
    job.error ? h("p", { class: "notice bad any" }, job.error) : null,
    card(null, facts(pairs)),
  );
}

function ownCurves() {
  const boxes = job.series
    .slice(0, MOST_SERIES)
    .filter((series) => new Map(study.curves[seriesId(series)] ?? []).has(null))
    .map((series) => {
      const box = linesBox(store, {
        trials: () => [null],
        height: 240,
        compact: true,
        options: () => ({ series: seriesId(series), metric: series.name }),
      });
      return [box, h("section", { class: "card" }, box.element)];
    });
  return {
    element: boxes.length
      ? h(
          "div",
          { class: "grid2" },
          boxes.map(([, element]) => element),
        )
      : null,
    update: () => {
      for (const [box] of boxes) box.load(true);
    },
  };
}

function failures() {
  if (!study.failures.length) return null;
  return card(
    "Failures",
    h(
      "div",
      { class: "wide" },
      h(
        "table",
        { class: "plain" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Trial", "Cause", "Error"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          study.failures.map(({ trial_id, cause, error, traceback }) =>
            h(
              "tr",
              {},
              h("td", {}, h("a", { href: link(trial_id), class: "mono any" }, trial_id)),
              h("td", { class: "any" }, cause),
              h(
                "td",
                { class: "any" },
                traceback ? h("details", {}, h("summary", {}, error), h("pre", {}, traceback)) : error,
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

const box = h("dialog", { "aria-label": "Trial" });
box.addEventListener("click", (event) => {
  if (event.target === box) box.close();
});
box.addEventListener("close", () => {
  if (location.hash.startsWith(MARK)) history.replaceState(null, "", "#");
});

function showTrial() {
  const id = location.hash.startsWith(MARK) ? decodeURIComponent(location.hash.slice(MARK.length)) : null;
  const row = id === null ? null : table.rows.get(id);
  if (!row) {
    box.close();
    return;
  }
  const cells = (part, kind) =>
    Object.keys(part).map((name) => [name, flagOf(row, `${kind}:${name}`) || value(part[name])]);
  const failure = study.failures.find((one) => one.trial_id === id);
  fill(
    box,
    h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "head" },
        h("h1", { class: "mono any" }, id.slice(0, 500)),
        badge(row.status),
        h("button", { type: "button", class: "right", onclick: () => box.close() }, "Close"),
      ),
      h(
        "p",
        { class: "muted" },
        [duration(took(row)), id === best ? "the best trial" : ""].filter(Boolean).join(" · "),
      ),
      failure ? h("pre", { class: "notice bad" }, failure.traceback || failure.error) : null,
      h(
        "div",
        { class: "grid2" },
        card("Hyperparameters", facts(cells(row.hyperparameters, "h"))),
        card("Metrics", facts(cells(row.metrics, "m"))),
      ),
    ),
  );
  if (!box.open) box.showModal();
}

const theme = h("button", { type: "button", class: "quiet right" });
function showTheme() {
  theme.textContent = isDark() ? "☀ Light" : "☾ Dark";
  document.dispatchEvent(new Event("theme"));
}
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

const tabs = table.size ? [new TrialsTab(store), curvesTab(store), analysisTab(store)] : [];
const own = ownCurves();
const note =
  study.kept < table.size
    ? h(
        "p",
        { class: "muted small" },
        `This file holds the curves of ${plural(study.kept, "trial")} of ${table.size}: the best ones and the newest.`,
      )
    : null;
fill(
  document.body,
  h("header", { class: "top" }, h("strong", {}, "trialrun report"), theme),
  h(
    "main",
    { id: "main", class: "report" },
    h(
      "div",
      { class: "stack" },
      head(),
      tabs.map((tab) => tab.element),
      note,
      own.element,
      failures(),
    ),
  ),
  box,
);
document.title = `${(job.name || `job ${job.id}`).slice(0, 100)} · trialrun`;
for (const tab of tabs) tab.update([]);
own.update();
refreshTimes();
showTheme();
window.addEventListener("hashchange", showTrial);
showTrial();
