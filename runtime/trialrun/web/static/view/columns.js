// The columns of the trial table: their order, width and visibility.

import { fill, h } from "../dom.js";
import { absolute, ago, duration, value } from "../format.js";
import { cellOf, flagOf, took } from "../model.js";

const FACTS = [
  { id: "number", label: "#", number: true, width: 64 },
  { id: "duration", label: "took", number: true, width: 104, moving: true },
  { id: "iteration", label: "reports", number: true, width: 88 },
  { id: "started", label: "started", width: 112, moving: true },
  { id: "ended", label: "ended", width: 112, moving: true },
];
const HIDDEN = new Set(["number", "started", "ended"]);
const KEPT = "trialrun-columns";

export function columnsOf(table, hidden) {
  const made = [
    { id: "trial", label: "trial", width: 176 },
    { id: "status", label: "status", width: 150 },
    ...table.metrics.map((name) => ({ id: `m:${name}`, label: name, kind: "metric", number: true, width: wide(name) })),
    ...table.hyperparameters.map((name) => ({
      id: `h:${name}`,
      label: name,
      kind: "hyperparameter",
      number: isNumeric(table, name),
      width: wide(name),
    })),
    ...FACTS,
  ];
  return made.filter((column) => !hidden(column)).map((column) => ({ ...column, render: renderer(column) }));
}

/** Return true for a hidden column. By default the table's own metrics, all hyperparameters and the duration show. */
export function isHidden(table, chosen, column) {
  if (column.id === "trial" || column.id === "status") return false;
  if (chosen[column.id] !== undefined) return !chosen[column.id];
  return column.id.startsWith("m:")
    ? table.shown.length > 0 && !table.shown.includes(column.label)
    : HIDDEN.has(column.id);
}

export function remembered(name) {
  try {
    return JSON.parse(localStorage.getItem(`${KEPT}:${name}`)) ?? {};
  } catch {
    return {};
  }
}

export function remember(name, chosen) {
  localStorage.setItem(`${KEPT}:${name}`, JSON.stringify(chosen));
}

function wide(name) {
  return Math.min(Math.max(name.length * 7.4 + 44, 96), 190);
}

function isNumeric(table, name) {
  for (const row of table.rows.values()) {
    const cell = row.hyperparameters[name];
    if (cell !== undefined) return typeof cell === "number";
  }
  return false;
}

function renderer({ id }) {
  if (id === "duration") return (row) => ({ text: duration(took(row)), odd: false });
  if (id === "started" || id === "ended") {
    return (row) =>
      row[id]
        ? { text: ago(new Date(row[id]).toISOString()), odd: false, title: absolute(row[id]) }
        : { text: "", odd: false };
  }
  return (row) => {
    const flag = flagOf(row, id);
    return flag
      ? { text: { nan: "NaN", inf: "∞", "-inf": "−∞" }[flag] ?? flag, odd: true }
      : { text: value(cellOf(row, id)), odd: false };
  };
}

/** Return the column picker; it calls `onchange(chosen)` with the choices that differ from the defaults. */
export function columnPicker(table, chosen, onchange) {
  const box = h("div", {});
  const element = h("details", { class: "popover" }, h("summary", {}, "Columns"), box);
  const show = () => {
    const all = columnsOf(table, () => false).slice(2);
    const groups = [
      ["Metrics", "m:"],
      ["Hyperparameters", "h:"],
      ["Trial", ""],
    ];
    fill(
      box,
      groups.map(([title, start]) =>
        h(
          "fieldset",
          {},
          h("legend", {}, title),
          all
            .filter((column) => (start ? column.id.startsWith(start) : !/^[mh]:/.test(column.id)))
            .map((column) => {
              const tick = h("input", { type: "checkbox" });
              tick.checked = !isHidden(table, chosen, column);
              tick.addEventListener("change", () => {
                chosen[column.id] = tick.checked;
                onchange(chosen);
              });
              return h(
                "label",
                {},
                tick,
                h("span", { class: "any" }, column.label === "#" ? "number" : column.label.slice(0, 200)),
              );
            }),
        ),
      ),
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            for (const id of Object.keys(chosen)) delete chosen[id];
            onchange(chosen);
            show();
          },
        },
        "As at first",
      ),
    );
  };
  element.addEventListener("toggle", () => {
    if (element.open) show();
  });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      element.open = false;
      element.firstChild.focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (element.open && !element.contains(event.target)) element.open = false;
  });
  return element;
}
