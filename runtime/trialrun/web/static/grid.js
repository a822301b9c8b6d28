// The virtual table: of any number of rows only those in sight are in the page.

import { badge, fill, h, say, setBadge } from "./dom.js";

const ROW = 30;
const SPARE = 8;

/**
 * `columns`: [{id, label, kind, width, number, render(row) -> text | {text, odd}}]; the first is pinned and has the check box
 * and the star. `handlers`: sort(id), open(trial), pick(trial, on), link(trial) -> href.
 */
export function grid({ label, handlers }) {
  const head = h("div", { class: "rowline ghead", role: "row", "aria-rowindex": 1 });
  const body = h("div", { class: "body", role: "rowgroup" });
  const nothing = h("div", { class: "empty", hidden: true });
  const element = h("div", { class: "gridbox", role: "grid", tabindex: 0, "aria-label": label, "aria-multiselectable": true },
    h("div", { role: "rowgroup", class: "headgroup" }, head), body, nothing);
  let columns = [];
  let moving = false;
  let rows = [];
  let state = { sort: "number", descending: false, best: null, picked: new Set() };
  let lines = [];
  let active = -1;
  let scheduled = 0;
  const fresh = new Map();

  function setColumns(next) {
    const same = next.length === columns.length && next.every((column, index) => column.id === columns[index].id && column.width === columns[index].width);
    columns = next;
    moving = columns.some((column) => column.moving); // their text changes without news
    if (same) return;
    const widths = columns.map((column) => column.width);
    element.style.setProperty("--cols", widths.map((width) => `${width}px`).join(" "));
    element.style.setProperty("--width", `${widths.reduce((sum, width) => sum + width, 0)}px`);
    element.setAttribute("aria-colcount", columns.length);
    fill(head, columns.map((column, index) => h("div", { class: `cell${index ? "" : " pin"}${column.number ? " number" : ""}`, role: "columnheader" },
      h("button", { type: "button", title: `${column.kind ? `${column.kind} ` : ""}${column.label}`, onclick: () => handlers.sort(column.id) },
        h("span", { class: "label" }, column.label), h("span", { class: "arrow", "aria-hidden": "true" })))));
    fill(body);
    lines = [];
  }

  function line() {
    const cells = columns.map((column, index) => {
      const cell = h("div", { class: `cell${index ? "" : " pin"}${column.number ? " number" : ""}`, role: "gridcell" });
      if (index === 0) {
        const box = h("input", { type: "checkbox", tabindex: -1 });
        box.addEventListener("change", () => handlers.pick(made.trial, box.checked));
        cell.append(box, h("span", { class: "star" }), h("a", { tabindex: -1 }));
      } else if (column.id === "status") cell.append(badge(""));
      return cell;
    });
    const row = h("div", { class: "rowline row", role: "row" }, cells);
    row.addEventListener("click", (event) => { if (!event.target.closest("a, input")) { active = made.index; draw(); } });
    row.addEventListener("dblclick", () => handlers.open(made.trial));
    const made = { row, cells, trial: null, version: -1, index: -1 };
    body.append(row);
    return made;
  }

  function show(made, index, now) {
    const row = rows[index];
    const again = made.trial === row.trial && made.version === row.version;
    if (made.index !== index) { made.row.style.transform = `translateY(${index * ROW}px)`; made.row.setAttribute("aria-rowindex", index + 2); made.index = index; }
    const picked = state.picked.has(row.trial);
    const best = row.trial === state.best;
    made.row.classList.toggle("best", best);
    made.row.classList.toggle("active", index === active);
    made.row.classList.toggle("fresh", (fresh.get(row.trial) ?? 0) > now);
    made.row.id = index === active ? "active-row" : "";
    made.row.setAttribute("aria-selected", picked);
    const [box, star, link] = made.cells[0].children;
    box.checked = picked;
    say(star, best ? "★" : "");
    if (best) { star.title = "best trial"; star.setAttribute("aria-label", "best trial"); star.setAttribute("role", "img"); } else { star.removeAttribute("title"); star.removeAttribute("aria-label"); star.removeAttribute("role"); }
    made.trial = row.trial;
    if (again && !moving) return;
    made.version = row.version;
    if (link.textContent !== row.trial) {
      link.textContent = row.trial.slice(0, 200);
      link.title = row.trial.slice(0, 1000);
      link.href = handlers.link(row.trial);
      box.setAttribute("aria-label", `compare ${row.trial.slice(0, 100)}`);
    }
    for (let place = 1; place < columns.length; place += 1) {
      if (again && !columns[place].moving) continue;
      const cell = made.cells[place];
      if (columns[place].id === "status") { setBadge(cell.firstChild, row.status); continue; }
      const { text, odd, title } = columns[place].render(row);
      const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
      say(cell, shown);
      if (cell.classList.contains("odd") !== odd) cell.classList.toggle("odd", odd);
      const hover = title ?? (text.length > 14 ? text.slice(0, 1000) : "");
      if (cell.title !== hover) cell.title = hover;
    }
  }

  function draw() {
    scheduled = 0;
    const height = element.clientHeight;
    const first = Math.max(Math.floor((element.scrollTop - 34) / ROW) - SPARE, 0);
    const last = Math.min(first + Math.ceil(height / ROW) + 2 * SPARE, rows.length);
    const now = performance.now();
    while (lines.length < last - first) lines.push(line());
    // a row of the page keeps its place in the list modulo their number, so that scrolling by one row changes one
    const used = new Set();
    for (let index = first; index < last; index += 1) {
      const made = lines[index % lines.length];
      used.add(made);
      if (made.row.hidden) made.row.hidden = false;
      show(made, index, now);
    }
    for (const made of lines) if (!used.has(made)) made.row.hidden = true;
    if (active >= 0) element.setAttribute("aria-activedescendant", "active-row"); else element.removeAttribute("aria-activedescendant");
  }

  const later = () => { if (!scheduled) scheduled = requestAnimationFrame(draw); };
  element.addEventListener("scroll", later, { passive: true });
  const sized = new ResizeObserver(later);
  sized.observe(element);

  function move(index) {
    if (!rows.length) return;
    active = Math.min(Math.max(index, 0), rows.length - 1);
    const top = active * ROW;
    const room = element.clientHeight - 34 - ROW - 12;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
    later();
  }

  element.addEventListener("keydown", (event) => {
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor(element.clientHeight / ROW) - 2, 1);
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: rows.length - 1 };
    if (event.key in moves) move(moves[event.key]);
    else if (event.key === "Enter" && rows[active]) handlers.open(rows[active].trial);
    else if (event.key === " " && rows[active]) handlers.pick(rows[active].trial, !state.picked.has(rows[active].trial));
    else return;
    event.preventDefault();
  });

  return {
    element,
    close: () => sized.disconnect(),
    refresh: later,
    /** Show these rows of `total`, whose number sets the height: filtering moves nothing below; `why` is said when there are none. `touched` are trials whose row just changed. */
    update({ columns: nextColumns, rows: nextRows, total = nextRows.length, state: nextState, why = ["No trials", ""], touched = [] }) {
      const there = rows[active]?.trial;
      setColumns(nextColumns);
      rows = nextRows;
      state = nextState;
      if (there !== undefined && rows[active]?.trial !== there) active = rows.findIndex((row) => row.trial === there);
      const until = performance.now() + 1200;
      for (const [trial, end] of fresh) if (end < until - 1200) fresh.delete(trial);
      if (touched.length < 200) for (const trial of touched) fresh.set(trial, until);
      body.style.height = `${rows.length * ROW}px`;
      element.style.setProperty("--tall", `${total * ROW + 52}px`);
      element.setAttribute("aria-rowcount", rows.length + 1);
      nothing.hidden = rows.length > 0;
      if (!rows.length) fill(nothing, h("strong", {}, why[0]), why[1]);
      [...head.children].forEach((cell, index) => {
        const sorted = columns[index].id === state.sort;
        cell.setAttribute("aria-sort", sorted ? (state.descending ? "descending" : "ascending") : "none");
        cell.querySelector(".arrow").textContent = sorted ? (state.descending ? "▼" : "▲") : "";
      });
      later();
    },
  };
}
