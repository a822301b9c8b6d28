// One job: its head, its progress, and the tabs below.

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
import { trialsTab } from "./trials.js";

const OVER = new Set(["SUCCEEDED", "FAILED", "STOPPED"]);
const SOON_MS = 100;

export function jobView(context, recording, id, rest) {
  const path = `${recording}/jobs/${id}`;
  const base = `#/j/${recording}/${id}`;
  const head = h("div", {});
  const tabs = h("nav", { class: "tabs", "aria-label": "Parts of this job" });
  const place = h("div", {});
  const element = h("div", {}, head, tabs, place);
  const store = { recording, id, path, base, job: null, table: new Table(), best: null, received: 0, open: (trial) => { location.hash = trialLink(trial); }, link: (trial) => trialLink(trial) };
  const trialLink = (trial) => `${base}/trial/${encodeURIComponent(trial)}`;
  let part = null;
  let kind = null;
  let stop = () => {};
  let ticking = 0;
  let pending = 0;
  let touched = new Set();
  let closed = false;
  const parts = headParts(head);

  function changed(trials) {
    trials.forEach((trial) => touched.add(trial));
    // many changes become one: the page is drawn at most ten times a second
    if (!pending) pending = setTimeout(() => {
      pending = 0;
      judge();
      const all = [...touched];
      touched = new Set();
      showHead();
      part?.update?.(all);
    }, SOON_MS);
  }

  function judge() {
    const { job, table } = store;
    store.best = job?.best_trial ?? (job?.metric ? table.best(job.metric, job.mode)?.trial ?? null : null);
  }

  function showHead() {
    if (!store.job) return;
    parts.show(store);
    showTabs();
    context.title(store.job.name || `job ${id}`);
  }

  function showTabs() {
    const { job } = store;
    const made = [
      job.is_tune || store.table.size ? ["trials", "Trials", store.table.size] : ["run", "Run", null],
      ...(store.table.size || job.is_tune ? [["curves", "Curves", null], ["analysis", "Analysis", null]] : []),
      ["messages", "Messages", job.counts.messages], ["models", "Models", job.counts.models],
      ["requests", "Requests", job.counts.requests], ["about", "Job", null],
    ];
    const current = kind === "trial" || kind === "compare" ? "trials" : kind ?? made[0][0];
    const wanted = JSON.stringify([made, current]);
    if (tabs.dataset.made === wanted) return;
    tabs.dataset.made = wanted;
    fill(tabs, made.map(([name, label, n], index) => h("a", { href: index ? `${base}/${name}` : base, "aria-current": name === current ? "page" : null },
      label, n === null ? null : h("span", { class: "n" }, count(n)))));
  }

  function crumbs() {
    const more = kind === "trial" ? [[decodeURIComponent(rest[1] ?? ""), null]] : kind === "compare" ? [["compare", null]] : [];
    context.crumbs([[store.job?.name || `job ${id}`, base], ...more]);
  }

  function show(nextRest) {
    rest = nextRest;
    kind = rest[0] || null;
    crumbs();
    part?.close?.();
    const whole = kind === "trial" || kind === "compare";
    head.hidden = whole;
    tabs.hidden = whole;
    const tune = store.job.is_tune || store.table.size > 0;
    const views = {
      trial: () => trialView(store, decodeURIComponent(rest[1] ?? "")),
      compare: () => compareView(store, rest.slice(1).map(decodeURIComponent)),
      run: () => trialView(store, null), curves: () => curvesTab(store), analysis: () => analysisTab(store), messages: () => messagesTab(store),
      models: () => modelsTab(store), requests: () => requestsTab(store), about: () => aboutTab(store), trials: () => trialsTab(store),
    };
    part = (views[kind] ?? (tune ? views.trials : views.run))();
    fill(place, part.element);
    showTabs();
    part.update?.([]);
  }

  async function begin() {
    try {
      const [job, first] = await Promise.all([ask(path), ask(`${path}/trials`, { limit: 200 })]);
      if (closed) return;
      store.job = job;
      store.received = Date.now();
      store.table.merge(first);
      judge();
      showHead();
      show(rest);
      stop = follow(`${path}/stream`, {
        rows: (payload) => changed(store.table.merge(payload)),
        job: (next) => {
          const tune = store.job.is_tune || store.table.size > 0;
          store.job = next;
          store.received = Date.now();
          if (OVER.has(next.status)) context.state("over");
          changed([]);
          if (!tune && next.is_tune) show(rest);
          part?.news?.();
        },
        reset: () => { store.table.clear(); changed([]); },
        state: (state) => context.state(state !== "asleep" && OVER.has(store.job.status) ? "over" : state),
      });
      ticking = setInterval(() => { if (!document.hidden) parts.show(store); }, 1000);
    } catch (error) {
      fill(place, h("p", { class: "notice bad" }, error.message));
    }
  }
  context.crumbs([[`job ${id}`, base]]);
  begin();
  return {
    element,
    same: (name, other) => name === recording && other === id,
    go: (nextRest) => { if (store.job) show(nextRest); else rest = nextRest; },
    close: () => { closed = true; stop(); clearInterval(ticking); clearTimeout(pending); part?.close?.(); },
  };
}

function headParts(head) {
  const title = h("h1", { class: "any" });
  const status = badge("");
  const line = h("div", { class: "line" });
  const percent = h("span", { class: "value" });
  const eta = h("span", { class: "note right" });
  const meter = h("span", {});
  const gauge = h("div", { class: "meter", role: "progressbar", "aria-label": "progress of the job", "aria-valuemin": 0, "aria-valuemax": 100 }, meter);
  const phases = h("div", { class: "phases" });
  const tile = (name) => {
    const value = h("div", { class: "value" });
    const note = h("div", { class: "note" });
    return { element: h("div", { class: "tile" }, h("div", { class: "name" }, name), value, note), value, note };
  };
  const [best, trials, elapsed] = [tile("Best"), tile("Trials"), tile("Elapsed")];
  const failure = h("p", { class: "notice bad any", hidden: true });
  const tiles = h("div", { class: "tiles" }, h("div", { class: "tile" }, h("div", { class: "name" }, "Progress"),
    h("div", { class: "bar" }, percent, eta), gauge, phases), best.element, trials.element, elapsed.element);
  fill(head, h("div", { class: "head" }, h("div", {}, h("div", { class: "bar" }, title, status), line)), tiles, failure);

  return {
    show({ job, table, best: bestId, received, link }) {
      say(title, job.name || `job ${job.id}`);
      setBadge(status, job.status);
      const over = OVER.has(job.status);
      const about = JSON.stringify([job.plugin, job.id, job.metric, job.created]);
      if (line.dataset.made !== about) {
        line.dataset.made = about;
        fill(line, h("span", {}, `job ${job.id}`), job.plugin ? h("span", { class: "any" }, job.plugin) : null,
          job.metric ? h("span", { class: "any" }, `${job.mode === "min" ? "minimises" : "maximises"} ${job.metric}`) : null,
          h("span", {}, "started ", time(job.created)));
      }
      const overall = Math.min(Math.max(job.progress?.overall ?? (over ? 100 : 0), 0), 100);
      say(percent, `${Math.floor(overall)} %`);
      meter.style.width = `${overall}%`;
      gauge.setAttribute("aria-valuenow", Math.floor(overall));
      say(eta, remaining(job, over, received));
      showPhases(phases, job.progress?.categories ?? {});
      const row = bestId === null ? null : table.rows.get(bestId);
      const found = row && job.metric ? row.metrics[job.metric] : undefined;
      best.element.hidden = !job.metric;
      say(best.value, typeof found === "number" ? number(found) : "–");
      if (best.note.dataset.made !== `${bestId}`) {
        best.note.dataset.made = `${bestId}`;
        fill(best.note, bestId === null ? "no result yet" : h("span", {}, `${job.metric} of `, h("a", { href: link(bestId), class: "mono any" }, bestId)));
      }
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
  fill(element, Object.entries(categories).slice(0, 12).map(([name, part]) => {
    const share = typeof part?.progress === "number" ? part.progress : part?.total ? (100 * part.current) / part.total : null;
    const words = part?.total > 1 ? `${part.current} of ${part.total}` : share === null ? "" : `${Math.floor(share)} %`;
    return h("span", {}, `${name.slice(0, 60)} `, h("b", {}, words));
  }));
}

function countsText(counts) {
  const words = { RUNNING: "running", PAUSED: "paused", PENDING: "pending", TERMINATED: "done", ERROR: "failed" };
  return [...Object.entries(words)].filter(([status]) => counts.get(status)).map(([status, word]) => `${count(counts.get(status))}\u00a0${word}`).join(" · ") || plural(0, "trial");
}
