// The virtual table: however many rows there are, the page holds only those in sight.

import { badge, fill, h, say, setBadge } from "./dom.js";

const ROW = 30;
const SPARE = 8;

/**
 * `columns`: [{id, label, kind, width, number, render(row) -> {text, odd, title}}]; the first is pinned and has the
 * check box and the star. `handlers`: sort(id), open(trial), pick(trial, on), link(trial) -> href.
 */
export class Grid {
  constructor({ label, handlers }) {
    this.handlers = handlers;
    this.head = h("div", { class: "rowline ghead", role: "row", "aria-rowindex": 1 });
    this.body = h("div", { class: "body", role: "rowgroup" });
    this.nothing = h("div", { class: "empty", hidden: true });
    this.element = h(
      "div",
      { class: "gridbox", role: "grid", tabindex: 0, "aria-label": label, "aria-multiselectable": true },
      h("div", { role: "rowgroup", class: "headgroup" }, this.head),
      this.body,
      this.nothing,
    );
    this.columns = [];
    this.moving = false;
    this.rows = [];
    this.state = { sort: "number", descending: false, best: null, picked: new Set() };
    this.lines = [];
    this.active = -1;
    this.scheduled = 0;
    this.fresh = new Map();
    this.element.addEventListener("scroll", () => this.refresh(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.resizes = new ResizeObserver(() => this.refresh());
    this.resizes.observe(this.element);
  }

  close() {
    this.resizes.disconnect();
  }

  /** Draw with the next frame, once however often it is asked for. */
  refresh() {
    if (!this.scheduled) this.scheduled = requestAnimationFrame(() => this.draw());
  }

  setColumns(next) {
    const same =
      next.length === this.columns.length &&
      next.every((column, index) => column.id === this.columns[index].id && column.width === this.columns[index].width);
    this.columns = next;
    this.moving = this.columns.some((column) => column.moving); // their text changes without news
    if (same) return;
    const widths = this.columns.map((column) => column.width);
    this.element.style.setProperty("--cols", widths.map((width) => `${width}px`).join(" "));
    this.element.style.setProperty("--width", `${widths.reduce((sum, width) => sum + width, 0)}px`);
    this.element.setAttribute("aria-colcount", this.columns.length);
    fill(
      this.head,
      this.columns.map((column, index) => this.headCell(column, index)),
    );
    fill(this.body);
    this.lines = [];
  }

  headCell(column, index) {
    const title = `${column.kind ? `${column.kind} ` : ""}${column.label}`;
    const button = h(
      "button",
      { type: "button", title, onclick: () => this.handlers.sort(column.id) },
      h("span", { class: "label" }, column.label),
      h("span", { class: "arrow", "aria-hidden": "true" }),
    );
    return h("div", { class: cellClass(column, index), role: "columnheader" }, button);
  }

  addLine() {
    const cells = this.columns.map((column, index) => {
      const cell = h("div", { class: cellClass(column, index), role: "gridcell" });
      if (index === 0) {
        const box = h("input", { type: "checkbox", tabindex: -1 });
        box.addEventListener("change", () => this.handlers.pick(line.trial, box.checked));
        cell.append(box, h("span", { class: "star" }), h("a", { tabindex: -1 }));
      } else if (column.id === "status") cell.append(badge(""));
      return cell;
    });
    const row = h("div", { class: "rowline row", role: "row" }, cells);
    row.addEventListener("click", (event) => {
      if (!event.target.closest("a, input")) {
        this.active = line.index;
        this.draw();
      }
    });
    row.addEventListener("dblclick", () => this.handlers.open(line.trial));
    const line = { row, cells, trial: null, version: -1, index: -1 };
    this.body.append(row);
    return line;
  }

  show(line, index, now) {
    const row = this.rows[index];
    const same = line.trial === row.trial && line.version === row.version;
    if (line.index !== index) {
      line.row.style.transform = `translateY(${index * ROW}px)`;
      line.row.setAttribute("aria-rowindex", index + 2);
      line.index = index;
    }
    this.showMarks(line, row, index, now);
    line.trial = row.trial;
    if (same && !this.moving) return;
    line.version = row.version;
    this.showName(line.cells[0], row.trial);
    for (let place = 1; place < this.columns.length; place += 1) {
      if (same && !this.columns[place].moving) continue;
      const cell = line.cells[place];
      if (this.columns[place].id === "status") {
        setBadge(cell.firstChild, row.status);
        continue;
      }
      showCell(cell, this.columns[place].render(row));
    }
  }

  showMarks(line, row, index, now) {
    const picked = this.state.picked.has(row.trial);
    const best = row.trial === this.state.best;
    line.row.classList.toggle("best", best);
    line.row.classList.toggle("active", index === this.active);
    line.row.classList.toggle("fresh", (this.fresh.get(row.trial) ?? 0) > now);
    line.row.id = index === this.active ? "active-row" : "";
    line.row.setAttribute("aria-selected", picked);
    const [box, star] = line.cells[0].children;
    box.checked = picked;
    say(star, best ? "★" : "");
    if (best) {
      star.title = "best trial";
      star.setAttribute("aria-label", "best trial");
      star.setAttribute("role", "img");
    } else {
      star.removeAttribute("title");
      star.removeAttribute("aria-label");
      star.removeAttribute("role");
    }
  }

  showName(cell, trial) {
    const [box, , link] = cell.children;
    if (link.textContent !== trial) {
      link.textContent = trial.slice(0, 200);
      link.title = trial.slice(0, 1000);
      link.href = this.handlers.link(trial);
      box.setAttribute("aria-label", `compare ${trial.slice(0, 100)}`);
    }
  }

  draw() {
    this.scheduled = 0;
    const height = this.element.clientHeight;
    const first = Math.max(Math.floor((this.element.scrollTop - 34) / ROW) - SPARE, 0);
    const last = Math.min(first + Math.ceil(height / ROW) + 2 * SPARE, this.rows.length);
    const now = performance.now();
    while (this.lines.length < last - first) this.lines.push(this.addLine());
    // a row of the page keeps its place in the list modulo their number, so that scrolling by one row changes one
    const used = new Set();
    for (let index = first; index < last; index += 1) {
      const line = this.lines[index % this.lines.length];
      used.add(line);
      if (line.row.hidden) line.row.hidden = false;
      this.show(line, index, now);
    }
    for (const line of this.lines) if (!used.has(line)) line.row.hidden = true;
    if (this.active >= 0) this.element.setAttribute("aria-activedescendant", "active-row");
    else this.element.removeAttribute("aria-activedescendant");
  }

  move(index) {
    if (!this.rows.length) return;
    this.active = Math.min(Math.max(index, 0), this.rows.length - 1);
    const top = this.active * ROW;
    const room = this.element.clientHeight - 34 - ROW - 12;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
    this.refresh();
  }

  onKey(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor(this.element.clientHeight / ROW) - 2, 1);
    const moves = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.rows.length - 1,
    };
    if (event.key in moves) this.move(moves[event.key]);
    else if (event.key === "Enter" && this.rows[this.active]) this.handlers.open(this.rows[this.active].trial);
    else if (event.key === " " && this.rows[this.active])
      this.handlers.pick(this.rows[this.active].trial, !this.state.picked.has(this.rows[this.active].trial));
    else return;
    event.preventDefault();
  }

  /**
   * Show these rows of `total`, whose number sets the height, so that filtering moves nothing below. `why` is shown
   * when there are none. `touched` are trials whose row just changed.
   */
  update({ columns, rows, total = rows.length, state, why = ["No trials", ""], touched = [] }) {
    const there = this.rows[this.active]?.trial;
    this.setColumns(columns);
    this.rows = rows;
    this.state = state;
    if (there !== undefined && this.rows[this.active]?.trial !== there)
      this.active = this.rows.findIndex((row) => row.trial === there);
    const until = performance.now() + 1200;
    for (const [trial, end] of this.fresh) if (end < until - 1200) this.fresh.delete(trial);
    if (touched.length < 200) for (const trial of touched) this.fresh.set(trial, until);
    this.body.style.height = `${this.rows.length * ROW}px`;
    this.element.style.setProperty("--tall", `${total * ROW + 52}px`);
    this.element.setAttribute("aria-rowcount", this.rows.length + 1);
    this.nothing.hidden = this.rows.length > 0;
    if (!this.rows.length) fill(this.nothing, h("strong", {}, why[0]), why[1]);
    [...this.head.children].forEach((cell, index) => {
      const sorted = this.columns[index].id === this.state.sort;
      cell.setAttribute("aria-sort", sorted ? (this.state.descending ? "descending" : "ascending") : "none");
      cell.querySelector(".arrow").textContent = sorted ? (this.state.descending ? "▼" : "▲") : "";
    });
    this.refresh();
  }
}

function cellClass(column, index) {
  return `cell${index ? "" : " pin"}${column.number ? " number" : ""}`;
}

function showCell(cell, { text, odd, title }) {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  say(cell, shown);
  if (cell.classList.contains("odd") !== odd) cell.classList.toggle("odd", odd);
  const hover = title ?? (text.length > 14 ? text.slice(0, 1000) : "");
  if (cell.title !== hover) cell.title = hover;
}
