// The list of jobs of one recording or of many.

import { ask } from "../api.js";
import { badge, empty, fill, h } from "../dom.js";
import { count, duration, number, plural, time } from "../format.js";

const AGAIN_MS = 3000;

export function jobsView(context) {
  const list = h("div", {});
  const element = h("div", { class: "stack" }, h("div", { class: "head" }, h("h1", {}, "Jobs")), list);
  let shown = "";
  let timer = 0;

  async function load() {
    try {
      const { recordings, root } = await ask("jobs");
      const rows = recordings.flatMap((recording) =>
        recording.jobs.map((job) => ({ ...job, recording: recording.recording, folder: recording.folder })),
      );
      const now = JSON.stringify(rows);
      context.state(rows.some((row) => row.status === "RUNNING") ? "live" : "");
      if (now !== shown) {
        shown = now;
        fill(list, rows.length ? table(rows) : nothing(root));
      }
    } catch (error) {
      context.state("lost");
      if (!shown) fill(list, h("p", { class: "notice bad" }, error.message));
    }
    if (!closed) timer = setTimeout(load, document.hidden ? 4 * AGAIN_MS : AGAIN_MS);
  }
  let closed = false;
  context.crumbs([]);
  load();
  return {
    element,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

function nothing(root) {
  return h(
    "div",
    { class: "card" },
    empty("No job was recorded yet", h("span", {}, "It appears here when it starts. Looking in ", h("code", {}, root))),
  );
}

function table(rows) {
  const head = ["Job", "Status", "Progress", "Trials", "Best", "Started", "Took"];
  return h(
    "div",
    { class: "card wide" },
    h(
      "table",
      { class: "plain" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((name, index) => h("th", { scope: "col", class: index > 1 && index < 5 ? "number" : null }, name)),
        ),
      ),
      h("tbody", {}, rows.map(line)),
    ),
  );
}

function line(job) {
  const trials = Object.values(job.trials).reduce((sum, n) => sum + n, 0);
  const failed = job.trials.ERROR ?? 0;
  const over = !["RUNNING", "PENDING"].includes(job.status);
  const seconds =
    (Date.parse(over ? (job.heard > job.updated ? job.heard : job.updated) : new Date().toISOString()) -
      Date.parse(job.created)) /
    1000;
  return h(
    "tr",
    {},
    h(
      "th",
      { scope: "row" },
      h("a", { href: `#/j/${job.recording}/${job.id}`, class: "any" }, job.name || `job ${job.id}`),
      h("div", { class: "muted small any" }, `${job.folder} · job ${job.id}`),
    ),
    h("td", {}, badge(job.status)),
    h(
      "td",
      { class: "number" },
      job.progress?.overall === null || job.progress?.overall === undefined
        ? ""
        : `${Math.floor(job.progress.overall)} %`,
    ),
    h(
      "td",
      { class: "number", title: failed ? plural(failed, "failed trial") : "" },
      trials ? count(trials) : job.is_tune ? "" : "–",
      failed ? h("span", { class: "muted" }, ` (${count(failed)} ✕)`) : null,
    ),
    h(
      "td",
      { class: "number" },
      typeof job.best === "number"
        ? h("span", {}, h("span", { class: "muted" }, `${job.metric} `), number(job.best))
        : "",
    ),
    h("td", {}, time(job.created)),
    h("td", {}, duration(seconds)),
  );
}
