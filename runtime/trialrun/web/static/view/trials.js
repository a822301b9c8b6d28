// The tab of trials: history and parallel coordinates above, filters and the table below.

import { fill, h, say } from "../dom.js";
import { count, number, plural } from "../format.js";
import { Grid } from "../grid.js";
import { cellOf, inRanges, OPERATORS, STATUSES, select } from "../model.js";
import { plotBox } from "../plot/box.js";
import { historyPlot } from "../plot/history.js";
import { brushed, parallelPlot } from "../plot/parallel.js";
import { columnPicker, columnsOf, isHidden, remember, remembered } from "./columns.js";

export const MOST_COMPARED = 5;
const LEAST_COMPARED = 2;

/** Return the choices made in the table; they outlive the tab while the job is open. */
function choices(store) {
  store.choices ??= {
    sort: "number",
    descending: false,
    statuses: new Set(),
    conditions: [],
    ranges: new Map(),
    search: "",
    picked: new Set(),
    columns: remembered(store.job.name),
  };
  return store.choices;
}

/** The tab of trials: plots above the table. */
export class TrialsTab {
  constructor(store) {
    this.store = store;
    this.chosen = choices(store);
    this.table = store.table;
    this.found = h("span", { class: "muted small", role: "status" });
    this.compare = this.compareButton();
    this.chips = h("div", { class: "bar", role: "group", "aria-label": "Filter by status" });
    this.filters = h("div", { class: "bar" });
    this.makePlots();
    this.makeSheet();
    this.makeControls();
    this.element = h(
      "div",
      { class: "stack" },
      this.plotCards(),
      h(
        "section",
        { "aria-label": "Trials" },
        h(
          "div",
          { class: "bar" },
          this.chips,
          this.search,
          this.adder.element,
          h("span", { class: "right" }),
          this.picker,
          this.compare,
        ),
        this.filters,
        h("div", { class: "bar" }, this.found),
        this.sheet.element,
      ),
    );

    brushing(this.parallel, this.chosen, () => {
      this.parallel.now();
      this.update([], false);
    });
    this.ticking = setInterval(() => {
      if (!document.hidden) this.sheet.refresh(); // durations and "ago" move on
    }, 1000);
  }

  close() {
    clearInterval(this.ticking);
    this.history.close();
    this.parallel.close();
    this.sheet.close();
  }

  compareButton() {
    return h("button", {
      type: "button",
      class: "primary",
      disabled: true,
      onclick: () => {
        location.hash = `${this.store.base}/compare/${[...this.chosen.picked].map(encodeURIComponent).join("/")}`;
      },
    });
  }

  makePlots() {
    this.history = plotBox({
      height: 250,
      onpick: this.store.open,
      build: (width, height) =>
        historyPlot(this.rowsForPlots(), {
          width,
          height,
          metric: this.metric() ?? "objective",
          mode: this.store.job.mode,
          bestTrial: this.store.best,
        }),
    });
    this.parallel = plotBox({
      height: 250,
      onpick: this.store.open,
      build: (width, height) =>
        parallelPlot(this.parallelRows(), this.parallelColumns(), {
          width,
          height,
          mode: this.store.job.mode,
          brushes: this.chosen.ranges,
          bestTrial: this.store.best,
        }),
    });
  }

  plotCards() {
    return h(
      "div",
      { class: "grid2" },
      h(
        "section",
        { class: "card" },
        h("div", { class: "plothead" }, h("h2", {}, "History and best so far")),
        this.history.element,
      ),
      h(
        "section",
        { class: "card" },
        h(
          "div",
          { class: "plothead" },
          h("h2", {}, "Parallel coordinates"),
          h("span", { class: "muted small" }, "drag along an axis to filter"),
        ),
        this.parallel.element,
      ),
    );
  }

  makeSheet() {
    this.sheet = new Grid({
      label: "Trials",
      handlers: {
        open: this.store.open,
        link: this.store.link,
        sort: (id) => this.sortBy(id),
        pick: (trial, on) => {
          if (on && this.chosen.picked.size < MOST_COMPARED) this.chosen.picked.add(trial);
          else this.chosen.picked.delete(trial);
          this.update([]);
        },
      },
    });
  }

  sortBy(id) {
    const { chosen, store } = this;
    if (chosen.sort === id) chosen.descending = !chosen.descending;
    else {
      chosen.sort = id;
      chosen.descending = id.startsWith("m:") && !(id === `m:${store.job.metric}` && store.job.mode === "min");
    }
    this.update([]);
  }

  makeControls() {
    this.search = h("input", {
      type: "search",
      placeholder: "Trial id",
      "aria-label": "Find trials by id",
      value: this.chosen.search,
    });
    this.search.addEventListener("input", () => {
      this.chosen.search = this.search.value;
      this.update([]);
    });
    this.picker = columnPicker(this.table, this.chosen.columns, (columns) => {
      remember(this.store.job.name, columns);
      this.update([]);
    });
    this.adder = valueFilter(this.table, (condition) => {
      this.chosen.conditions.push(condition);
      this.update([]);
    });
  }

  metric() {
    return this.store.job.metric ?? this.table.metrics[0];
  }

  rowsForPlots() {
    return this.table
      .all()
      .map((row) => ({ trial: row.trial, number: row.number, status: row.status, value: row.metrics[this.metric()] }));
  }

  parallelColumns() {
    const metric = this.metric();
    return [
      ...this.table.hyperparameters.map((name) => ({ id: `h:${name}`, label: name })),
      ...(metric ? [{ id: `m:${metric}`, label: metric }] : []),
    ];
  }

  parallelRows() {
    const columns = this.parallelColumns();
    return this.table.all().map((row) => ({
      trial: row.trial,
      cells: columns.map((column) => cellOf(row, column.id)),
      value: row.metrics[this.metric()],
      chosen: inRanges(row, this.chosen.ranges),
    }));
  }

  update(touched, plots = true) {
    const rows = select(this.table.all(), this.chosen);
    const columns = columnsOf(this.table, (column) => isHidden(this.table, this.chosen.columns, column));
    const why = this.table.size
      ? ["No trial fits these filters", "Remove one of them to see more."]
      : ["No trials yet", "Rows appear here when the first trial starts."];
    this.sheet.update({
      columns,
      rows,
      total: this.table.size,
      why,
      touched,
      state: {
        sort: this.chosen.sort,
        descending: this.chosen.descending,
        best: this.store.best,
        picked: this.chosen.picked,
      },
    });
    say(
      this.found,
      rows.length === this.table.size
        ? plural(this.table.size, "trial")
        : `${count(rows.length)} of ${plural(this.table.size, "trial")}`,
    );
    const n = this.chosen.picked.size;
    this.compare.disabled = n < LEAST_COMPARED;
    say(this.compare, n ? `Compare ${n}` : "Compare");
    this.compare.title = n < LEAST_COMPARED ? `Tick ${LEAST_COMPARED} to ${MOST_COMPARED} trials first` : "";
    this.showChips();
    this.showFilters();
    if (plots) {
      this.history.update();
      this.parallel.update();
      this.adder.update();
    }
  }

  showChips() {
    const counts = this.table.counts();
    const all = [...new Set([...STATUSES, ...counts.keys()])].filter(
      (status) => counts.get(status) || this.chosen.statuses.has(status),
    );
    const made = JSON.stringify([all.map((status) => [status, counts.get(status)]), [...this.chosen.statuses]]);
    if (this.chips.dataset.made === made) return;
    this.chips.dataset.made = made;
    const focused = this.chips.contains(document.activeElement) ? document.activeElement.dataset.status : null;
    fill(
      this.chips,
      all.map((status) =>
        h(
          "button",
          {
            type: "button",
            class: "chip",
            "data-status": status,
            "aria-pressed": this.chosen.statuses.has(status),
            onclick: () => {
              if (!this.chosen.statuses.delete(status)) this.chosen.statuses.add(status);
              this.update([]);
            },
          },
          status || "REPORTED",
          h("span", { class: "muted" }, count(counts.get(status) ?? 0)),
        ),
      ),
    );
    if (focused !== null) this.chips.querySelector(`[data-status="${CSS.escape(focused)}"]`)?.focus();
  }

  showFilters() {
    const made = [
      ...this.chosen.conditions.map((condition, index) => [
        `${condition.column.slice(2)} ${condition.operator} ${condition.value}`,
        () => this.chosen.conditions.splice(index, 1),
      ]),
      ...[...this.chosen.ranges].map(([column, range]) => [
        `${column.slice(2)} ${rangeText(range)}`,
        () => this.chosen.ranges.delete(column),
      ]),
    ];
    this.filters.hidden = !made.length;
    const words = JSON.stringify(made.map(([text]) => text));
    if (this.filters.dataset.made === words) return;
    this.filters.dataset.made = words;
    fill(
      this.filters,
      made.map(([text, remove]) =>
        h(
          "button",
          {
            type: "button",
            class: "chip",
            "aria-label": `remove the filter ${text.slice(0, 100)}`,
            onclick: () => {
              remove();
              this.update([]);
            },
          },
          h("span", { class: "any" }, text.slice(0, 80)),
          h("span", { "aria-hidden": "true" }, "✕"),
        ),
      ),
    );
  }
}

function rangeText({ values, low, high }) {
  return values ? `= ${[...values].join(", ")}` : `${number(low)} … ${number(high)}`;
}

/** Return a form that adds a filter: column, comparison and value. */
function valueFilter(table, add) {
  const column = h("select", { "aria-label": "Column to filter by" });
  const operator = h(
    "select",
    { "aria-label": "Comparison" },
    OPERATORS.map((sign) => h("option", { value: sign }, sign)),
  );
  operator.value = "≥";
  const value = h("input", { type: "text", size: 8, placeholder: "value", "aria-label": "Value to compare with" });
  const submit = () => {
    if (value.value.trim() && column.value) {
      add({ column: column.value, operator: operator.value, value: value.value.trim() });
      value.value = "";
    }
  };
  value.addEventListener("keydown", (event) => {
    if (event.key === "Enter") submit();
  });
  const element = h(
    "div",
    { class: "bar", role: "group", "aria-label": "Filter by value" },
    column,
    operator,
    value,
    h("button", { type: "button", onclick: submit }, "Filter"),
  );
  return {
    element,
    update: () => {
      const ids = [
        ...table.metrics.map((name) => [`m:${name}`, name]),
        ...table.hyperparameters.map((name) => [`h:${name}`, name]),
      ];
      if (column.children.length === ids.length) return;
      const before = column.value;
      fill(
        column,
        ids.map(([id, name]) => h("option", { value: id }, name.slice(0, 40))),
      );
      if (before) column.value = before;
    },
  };
}

/** A drag along an axis of the parallel coordinates sets a brush, a click on the axis removes it. */
function brushing(box, chosen, changed) {
  const { canvas } = box;
  let drag = null;
  const at = (event) => {
    const place = canvas.getBoundingClientRect();
    return [event.clientX - place.left, event.clientY - place.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event);
    const axis = box.drawing()?.axes?.find((each) => Math.abs(each.x - x) < 14);
    if (!axis) return;
    drag = { axis, from: y };
    canvas.dataset.busy = "true";
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (!drag) {
      if (box.drawing()?.axes?.some((each) => Math.abs(each.x - x) < 14)) canvas.style.cursor = "ns-resize";
      return;
    }
    if (Math.abs(y - drag.from) < 4) return;
    const brush = brushed(drag.axis, drag.from, y);
    if (brush) {
      chosen.ranges.set(drag.axis.id, brush);
      drag.moved = true;
      changed();
    }
  });
  canvas.addEventListener("pointerup", () => {
    if (!drag) return;
    if (!drag.moved && chosen.ranges.delete(drag.axis.id)) changed();
    drag = null;
    setTimeout(() => {
      delete canvas.dataset.busy;
    }, 0); // the click that ends a drag must not open a trial
  });
}
