// The tab of trials: history and parallel coordinates above, filters and the table below.

import { fill, h, say } from "../dom.js";
import { count, number, plural } from "../format.js";
import { grid } from "../grid.js";
import { OPERATORS, STATUSES, cellOf, inRanges, select } from "../model.js";
import { plotBox } from "../plot/box.js";
import { historyPlot } from "../plot/history.js";
import { brushed, parallelPlot } from "../plot/parallel.js";
import { columnPicker, columnsOf, isHidden, remember, remembered } from "./columns.js";

export const MOST_COMPARED = 5;
const LEAST_COMPARED = 2;

/** What is chosen in the table outlives the tab, for as long as the job is open. */
function choices(store) {
  store.choices ??= { sort: "number", descending: false, statuses: new Set(), conditions: [], ranges: new Map(), search: "", picked: new Set(), columns: remembered(store.job.name) };
  return store.choices;
}

export function trialsTab(store) {
  const chosen = choices(store);
  const { table } = store;
  const found = h("span", { class: "muted small", role: "status" });
  const compare = h("button", { type: "button", class: "primary", disabled: true, onclick: () => { location.hash = `${store.base}/compare/${[...chosen.picked].map(encodeURIComponent).join("/")}`; } });
  const chips = h("div", { class: "bar", role: "group", "aria-label": "Filter by status" });
  const filters = h("div", { class: "bar" });
  const history = plotBox({ height: 250, onpick: store.open, build: (width, height) => historyPlot(rowsForPlots(), { width, height, metric: metric() ?? "objective", mode: store.job.mode, bestTrial: store.best }) });
  const parallel = plotBox({ height: 250, onpick: store.open, build: (width, height) => parallelPlot(parallelRows(), parallelColumns(), { width, height, mode: store.job.mode, brushes: chosen.ranges, bestTrial: store.best }) });
  const cards = h("div", { class: "grid2" },
    h("section", { class: "card" }, h("div", { class: "plothead" }, h("h2", {}, "History and best so far")), history.element),
    h("section", { class: "card" }, h("div", { class: "plothead" }, h("h2", {}, "Parallel coordinates"), h("span", { class: "muted small" }, "drag along an axis to filter")), parallel.element));
  const sheet = grid({ label: "Trials", handlers: {
    open: store.open,
    link: store.link,
    sort: (id) => {
      if (chosen.sort === id) chosen.descending = !chosen.descending;
      else { chosen.sort = id; chosen.descending = id.startsWith("m:") && !(id === `m:${store.job.metric}` && store.job.mode === "min"); }
      update([]);
    },
    pick: (trial, on) => {
      if (on && chosen.picked.size < MOST_COMPARED) chosen.picked.add(trial); else chosen.picked.delete(trial);
      update([]);
    },
  } });

  const search = h("input", { type: "search", placeholder: "Trial id", "aria-label": "Find trials by id", value: chosen.search });
  search.addEventListener("input", () => { chosen.search = search.value; update([]); });
  const picker = columnPicker(table, chosen.columns, (columns) => { remember(store.job.name, columns); update([]); });
  const adder = valueFilter(table, (condition) => { chosen.conditions.push(condition); update([]); });
  const element = h("div", { class: "stack" }, cards,
    h("section", { "aria-label": "Trials" }, h("div", { class: "bar" }, chips, search, adder.element, h("span", { class: "right" }), picker, compare), filters, h("div", { class: "bar" }, found), sheet.element));

  const metric = () => store.job.metric ?? table.metrics[0];
  const rowsForPlots = () => table.all().map((row) => ({ trial: row.trial, number: row.number, status: row.status, value: row.metrics[metric()] }));
  const parallelColumns = () => [...table.hyperparameters.map((name) => ({ id: `h:${name}`, label: name })), ...(metric() ? [{ id: `m:${metric()}`, label: metric() }] : [])];
  const parallelRows = () => {
    const columns = parallelColumns();
    return table.all().map((row) => ({ trial: row.trial, cells: columns.map((column) => cellOf(row, column.id)), value: row.metrics[metric()], chosen: inRanges(row, chosen.ranges) }));
  };
  brushing(parallel, chosen, () => { parallel.now(); update([], false); });

  function update(touched, plots = true) {
    const rows = select(table.all(), chosen);
    const columns = columnsOf(table, (column) => isHidden(table, chosen.columns, column));
    const why = table.size ? ["No trial fits these filters", "Remove one of them to see more."] : ["No trials yet", "Rows appear here when the first trial starts."];
    sheet.update({ columns, rows, total: table.size, why, touched, state: { sort: chosen.sort, descending: chosen.descending, best: store.best, picked: chosen.picked } });
    say(found, rows.length === table.size ? plural(table.size, "trial") : `${count(rows.length)} of ${plural(table.size, "trial")}`);
    const n = chosen.picked.size;
    compare.disabled = n < LEAST_COMPARED;
    say(compare, n ? `Compare ${n}` : "Compare");
    compare.title = n < LEAST_COMPARED ? `Tick ${LEAST_COMPARED} to ${MOST_COMPARED} trials first` : "";
    showChips();
    showFilters();
    if (plots) { history.update(); parallel.update(); adder.update(); }
  }

  function showChips() {
    const counts = table.counts();
    const all = [...new Set([...STATUSES, ...counts.keys()])].filter((status) => counts.get(status) || chosen.statuses.has(status));
    const made = JSON.stringify([all.map((status) => [status, counts.get(status)]), [...chosen.statuses]]);
    if (chips.dataset.made === made) return;
    chips.dataset.made = made;
    const focused = chips.contains(document.activeElement) ? document.activeElement.dataset.status : null;
    fill(chips, all.map((status) => h("button", { type: "button", class: "chip", "data-status": status, "aria-pressed": chosen.statuses.has(status), onclick: () => {
      if (!chosen.statuses.delete(status)) chosen.statuses.add(status);
      update([]);
    } }, status || "REPORTED", h("span", { class: "muted" }, count(counts.get(status) ?? 0)))));
    if (focused !== null) chips.querySelector(`[data-status="${CSS.escape(focused)}"]`)?.focus();
  }

  function showFilters() {
    const made = [
      ...chosen.conditions.map((condition, index) => [`${condition.column.slice(2)} ${condition.operator} ${condition.value}`, () => chosen.conditions.splice(index, 1)]),
      ...[...chosen.ranges].map(([column, range]) => [`${column.slice(2)} ${range.values ? `= ${[...range.values].join(", ")}` : `${number(range.low)} … ${number(range.high)}`}`, () => chosen.ranges.delete(column)]),
    ];
    filters.hidden = !made.length;
    const words = JSON.stringify(made.map(([text]) => text));
    if (filters.dataset.made === words) return;
    filters.dataset.made = words;
    fill(filters, made.map(([text, remove]) => h("button", { type: "button", class: "chip", "aria-label": `remove the filter ${text.slice(0, 100)}`, onclick: () => { remove(); update([]); } },
      h("span", { class: "any" }, text.slice(0, 80)), h("span", { "aria-hidden": "true" }, "✕"))));
  }

  const ticking = setInterval(() => { if (!document.hidden) sheet.refresh(); }, 1000); // durations and "ago" move on
  return { element, update, close: () => { clearInterval(ticking); history.close(); parallel.close(); sheet.close(); } };
}

/** Column, comparison and value, as one small form. */
function valueFilter(table, add) {
  const column = h("select", { "aria-label": "Column to filter by" });
  const operator = h("select", { "aria-label": "Comparison" }, OPERATORS.map((sign) => h("option", { value: sign }, sign)));
  operator.value = "≥";
  const value = h("input", { type: "text", size: 8, placeholder: "value", "aria-label": "Value to compare with" });
  const submit = () => { if (value.value.trim() && column.value) { add({ column: column.value, operator: operator.value, value: value.value.trim() }); value.value = ""; } };
  value.addEventListener("keydown", (event) => { if (event.key === "Enter") submit(); });
  const element = h("div", { class: "bar", role: "group", "aria-label": "Filter by value" }, column, operator, value, h("button", { type: "button", onclick: submit }, "Filter"));
  return {
    element,
    update: () => {
      const ids = [...table.metrics.map((name) => [`m:${name}`, name]), ...table.hyperparameters.map((name) => [`h:${name}`, name])];
      if (column.children.length === ids.length) return;
      const before = column.value;
      fill(column, ids.map(([id, name]) => h("option", { value: id }, name.slice(0, 40))));
      if (before) column.value = before;
    },
  };
}

/** Drag along an axis of the parallel coordinates to set a brush, click on the axis to take it away. */
function brushing(box, chosen, changed) {
  const { canvas } = box;
  let drag = null;
  const at = (event) => { const place = canvas.getBoundingClientRect(); return [event.clientX - place.left, event.clientY - place.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event);
    const axis = box.scene()?.axes?.find((each) => Math.abs(each.x - x) < 14);
    if (!axis) return;
    drag = { axis, from: y };
    canvas.dataset.busy = "true";
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (!drag) { if (box.scene()?.axes?.some((each) => Math.abs(each.x - x) < 14)) canvas.style.cursor = "ns-resize"; return; }
    if (Math.abs(y - drag.from) < 4) return;
    const brush = brushed(drag.axis, drag.from, y);
    if (brush) { chosen.ranges.set(drag.axis.id, brush); drag.moved = true; changed(); }
  });
  canvas.addEventListener("pointerup", () => {
    if (!drag) return;
    if (!drag.moved && chosen.ranges.delete(drag.axis.id)) changed();
    drag = null;
    setTimeout(() => { delete canvas.dataset.busy; }, 0); // the click that ends the drag opens no trial
  });
}
