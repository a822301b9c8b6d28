// One job: header, progress and tabs.

import { ask, follow } from "../api.js";
import { badge, fill, h, say, setBadge } from "../dom.js";
import { count, duration, number, plural, time } from "../format.js";
import { Table } from "../model.js";
import { analysisTab } from "./analysis.js";
import { compareView } from "./compare.js";
import { curvesTab } from "./lines.js";
import { aboutTab, messagesTab, modelsTab } from "./lists.js";
import { requestsTab } from "./requests.js";
import { trialView } from "./trial.js";
import { TrialsTab } from "./trials.js";

const OVER = new Set(["SUCCEEDED", "FAILED", "STOPPED"]);
const SOON_MS = 100;

/** The view of one job; `rest` is what the address says after it: a tab, or a trial. */
export class JobView {
  constructor(context, recording, id, rest) {
    this.context = context;
    this.recording = recording;
    this.id = id;
    this.rest = rest;
    this.path = `${recording}/jobs/${id}`;
    this.base = `#/j/${recording}/${id}`;
    this.head = h("div", {});
    this.tabs = h("nav", { class: "tabs", "aria-label": "Parts of this job" });
    this.place = h("div", {});
    this.element = h("div", {}, this.head, this.tabs, this.place);
    this.store = makeStore(recording, id, this.path, this.base);
    this.part = null;
    this.kind = null;
    this.stop = () => {};
    this.ticking = 0;
    this.pending = 0;
    this.touched = new Set();
    this.closed = false;
    this.parts = headParts(this.head);
    context.crumbs([[`job ${id}`, this.base]]);
    this.begin();
  }

  same(recording, id) {
    return recording === this.recording && id === this.id;
  }

  go(rest) {
    if (this.store.job) this.show(rest);
    else this.rest = rest;
  }

  close() {
    this.closed = true;
    this.stop();
    clearInterval(this.ticking);
    clearTimeout(this.pending);
    this.part?.close?.();
  }

  changed(trials) {
    for (const trial of trials) this.touched.add(trial);
    // many changes become one: the page is drawn at most ten times a second
    if (!this.pending)
      this.pending = setTimeout(() => {
        this.pending = 0;
        this.judge();
        const all = [...this.touched];
        this.touched = new Set();
        this.showHead();
        this.part?.update?.(all);
      }, SOON_MS);
  }

  judge() {
    const { job, table } = this.store;
    this.store.best = job?.best_trial ?? (job?.metric ? (table.best(job.metric, job.mode)?.trial ?? null) : null);
  }

  showHead() {
    if (!this.store.job) return;
    this.parts.show(this.store);
    this.showTabs();
    this.context.title(this.store.job.name || `job ${this.id}`);
  }

  showTabs() {
    const made = tabNames(this.store);
    const current = this.kind === "trial" || this.kind === "compare" ? "trials" : (this.kind ?? made[0][0]);
    const wanted = JSON.stringify([made, current]);
    if (this.tabs.dataset.made === wanted) return;
    this.tabs.dataset.made = wanted;
    fill(
      this.tabs,
      made.map(([name, label, n], index) =>
        h(
          "a",
          { href: index ? `${this.base}/${name}` : this.base, "aria-current": name === current ? "page" : null },
          label,
          n === null ? null : h("span", { class: "n" }, count(n)),
        ),
      ),
    );
  }

  crumbs() {
    const more =
      this.kind === "trial"
        ? [[decodeURIComponent(this.rest[1] ?? ""), null]]
        : this.kind === "compare"
          ? [["compare", null]]
          : [];
    this.context.crumbs([[this.store.job?.name || `job ${this.id}`, this.base], ...more]);
  }

  show(nextRest) {
    this.rest = nextRest;
    this.kind = this.rest[0] || null;
    this.crumbs();
    this.part?.close?.();
    const whole = this.kind === "trial" || this.kind === "compare";
    this.head.hidden = whole;
    this.tabs.hidden = whole;
    this.part = makePart(this.store, this.kind, this.rest);
    fill(this.place, this.part.element);
    this.showTabs();
    this.part.update?.([]);
  }

  async begin() {
    try {
      const [job, first] = await Promise.all([ask(this.path), ask(`${this.path}/trials`, { limit: 200 })]);
      if (this.closed) return;
      this.store.job = job;
      this.store.received = Date.now();
      this.store.table.merge(first);
      this.judge();
      this.showHead();
      this.show(this.rest);
      this.stop = this.followStream();
      this.ticking = setInterval(() => {
        if (!document.hidden) this.parts.show(this.store);
      }, 1000);
    } catch (error) {
      fill(this.place, h("p", { class: "notice bad" }, error.message));
    }
  }

  followStream() {
    return follow(`${this.path}/stream`, {
      rows: (payload) => this.changed(this.store.table.merge(payload)),
      job: (next) => {
        const tune = this.store.job.is_tune || this.store.table.size > 0;
        this.store.job = next;
        this.store.received = Date.now();
        if (OVER.has(next.status)) this.context.state("over");
        this.changed([]);
        if (!tune && next.is_tune) this.show(this.rest);
        this.part?.news?.();
      },
      reset: () => {
        this.store.table.clear();
        this.changed([]);
      },
      state: (state) => this.context.state(state !== "asleep" && OVER.has(this.store.job.status) ? "over" : state),
    });
  }
}

function headParts(head) {
  const title = h("h1", { class: "any" });
  const status = badge("");
  const line = h("div", { class: "line" });
  const percent = h("span", { class: "value" });
  const eta = h("span", { class: "note right" });
  const meter = h("span", {});
  const gauge = h(
    "div",
    {
      class: "meter",
      role: "progressbar",
      "aria-label": "progress of the job",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    meter,
  );
  const phases = h("div", { class: "phases" });
  const [best, trials, elapsed] = [tile("Best"), tile("Trials"), tile("Elapsed")];
  const failure = h("p", { class: "notice bad any", hidden: true });
  const tiles = h(
    "div",
    { class: "tiles" },
    h(
      "div",
      { class: "tile" },
      h("div", { class: "name" }, "Progress"),
      h("div", { class: "bar" }, percent, eta),
      gauge,
      phases,
    ),
    best.element,
    trials.element,
    elapsed.element,
  );
  fill(
    head,
    h("div", { class: "head" }, h("div", {}, h("div", { class: "bar" }, title, status), line)),
    tiles,
    failure,
  );

  return {
    show({ job, table, best: bestId, received, link }) {
      say(title, job.name || `job ${job.id}`);
      setBadge(status, job.status);
      const over = OVER.has(job.status);
      showAbout(line, job);
      const overall = Math.min(Math.max(job.progress?.overall ?? (over ? 100 : 0), 0), 100);
      say(percent, `${Math.floor(overall)} %`);
      meter.style.width = `${overall}%`;
      gauge.setAttribute("aria-valuenow", Math.floor(overall));
      say(eta, remaining(job, over, received));
      showPhases(phases, job.progress?.categories ?? {});
      showBest(best, job, bestId, table, link);
      trials.element.hidden = !job.is_tune && !table.size;
      say(trials.value, count(table.size));
      say(trials.note, countsText(table.counts()));
      const end = over ? Date.parse(job.heard > job.updated ? job.heard : job.updated) : Date.now();
      say(elapsed.value, duration((end - Date.parse(job.created)) / 1000) || "–");
      const heard = (Date.now() - Date.parse(job.heard)) / 1000;
      say(elapsed.note, over ? "" : heard > 60 ? `nothing heard for ${duration(heard)}` : "");
      failure.hidden = !job.error;
      say(failure, job.error ? `${job.status === "STOPPED" ? "Stopped" : "Failed"}: ${job.error}` : "");
    },
  };
}

function remaining(job, over, received) {
  if (over) return "";
  const left = job.time_remaining;
  if (job.status === "PENDING") return "not started";
  if (typeof left !== "number") return "time left not known yet";
  // what passed since the estimate was made counts down
  const passed = Math.max(received - Date.parse(job.updated), 0) / 1000 + (Date.now() - received) / 1000;
  return `about ${duration(Math.max(Math.round(left - passed), 1))} left`;
}

function showPhases(element, categories) {
  const made = JSON.stringify(categories);
  if (element.dataset.made === made) return;
  element.dataset.made = made;
  fill(
    element,
    Object.entries(categories)
      .slice(0, 12)
      .map(([name, part]) => {
        const share =
          typeof part?.progress === "number" ? part.progress : part?.total ? (100 * part.current) / part.total : null;
        const words =
          part?.total > 1 ? `${part.current} of ${part.total}` : share === null ? "" : `${Math.floor(share)} %`;
        return h("span", {}, `${name.slice(0, 60)} `, h("b", {}, words));
      }),
  );
}

function countsText(counts) {
  const words = { RUNNING: "running", PAUSED: "paused", PENDING: "pending", TERMINATED: "done", ERROR: "failed" };
  return (
    [...Object.entries(words)]
      .filter(([status]) => counts.get(status))
      .map(([status, word]) => `${count(counts.get(status))}\u00a0${word}`)
      .join(" · ") || plural(0, "trial")
  );
}

function tile(name) {
  const value = h("div", { class: "value" });
  const note = h("div", { class: "note" });
  return { element: h("div", { class: "tile" }, h("div", { class: "name" }, name), value, note), value, note };
}

function showAbout(line, job) {
  const about = JSON.stringify([job.plugin, job.id, job.metric, job.created]);
  if (line.dataset.made !== about) {
    line.dataset.made = about;
    fill(
      line,
      h("span", {}, `job ${job.id}`),
      job.plugin ? h("span", { class: "any" }, job.plugin) : null,
      job.metric
        ? h("span", { class: "any" }, `${job.mode === "min" ? "minimises" : "maximises"} ${job.metric}`)
        : null,
      h("span", {}, "started ", time(job.created)),
    );
  }
}

function showBest(best, job, bestId, table, link) {
  const row = bestId === null ? null : table.rows.get(bestId);
  const found = row && job.metric ? row.metrics[job.metric] : undefined;
  best.element.hidden = !job.metric;
  say(best.value, typeof found === "number" ? number(found) : "–");
  if (best.note.dataset.made !== `${bestId}`) {
    best.note.dataset.made = `${bestId}`;
    fill(
      best.note,
      bestId === null
        ? "no result yet"
        : h("span", {}, `${job.metric} of `, h("a", { href: link(bestId), class: "mono any" }, bestId)),
    );
  }
}

function makeStore(recording, id, path, base) {
  const link = (trial) => `${base}/trial/${encodeURIComponent(trial)}`;
  return {
    recording,
    id,
    path,
    base,
    job: null,
    table: new Table(),
    best: null,
    received: 0,
    open: (trial) => {
      location.hash = link(trial);
    },
    link,
  };
}

function tabNames(store) {
  const { job } = store;
  return [
    job.is_tune || store.table.size ? ["trials", "Trials", store.table.size] : ["run", "Run", null],
    ...(store.table.size || job.is_tune
      ? [
          ["curves", "Curves", null],
          ["analysis", "Analysis", null],
        ]
      : []),
    ["messages", "Messages", job.counts.messages],
    ["models", "Models", job.counts.models],
    ["requests", "Requests", job.counts.requests],
    ["about", "Job", null],
  ];
}

function makePart(store, kind, rest) {
  const tune = store.job.is_tune || store.table.size > 0;
  const views = {
    trial: () => trialView(store, decodeURIComponent(rest[1] ?? "")),
    compare: () => compareView(store, rest.slice(1).map(decodeURIComponent)),
    run: () => trialView(store, null),
    curves: () => curvesTab(store),
    analysis: () => analysisTab(store),
    messages: () => messagesTab(store),
    models: () => modelsTab(store),
    requests: () => requestsTab(store),
    about: () => aboutTab(store),
    trials: () => new TrialsTab(store),
  };
  return (views[kind] ?? (tune ? views.trials : views.run))();
}
