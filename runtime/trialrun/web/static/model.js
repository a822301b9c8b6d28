// The trial table in the page: the newest version of each row, with sorting, filtering and the best trial.

const ENDED = new Set(["TERMINATED", "ERROR"]);
export const STATUSES = ["RUNNING", "PAUSED", "PENDING", "TERMINATED", "ERROR"];

const bare = (names, cells) => {
  const made = Object.create(null); // a column may be called __proto__
  names.forEach((name, index) => {
    if (cells[index] !== null && cells[index] !== undefined) made[name] = cells[index];
  });
  return made;
};

export class Table {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = new Map();
    this.hyperparameters = [];
    this.metrics = [];
    this.shown = [];
  }

  get size() {
    return this.rows.size;
  }

  /** Add a page of rows or a delta, in any order: a newer row stays. Return the ids of the trials that changed. */
  merge({ columns, rows }) {
    this.hyperparameters = union(this.hyperparameters, columns.hyperparameters);
    this.shown = union(this.shown, columns.shown ?? []);
    this.metrics = union(union(this.shown, this.metrics), columns.metrics);
    const changed = [];
    for (const sent of rows) {
      const row = made(columns, sent);
      const known = this.rows.get(row.trial);
      if (known && known.version >= row.version) continue;
      this.rows.set(row.trial, row);
      changed.push(row.trial);
    }
    return changed;
  }

  all() {
    return [...this.rows.values()];
  }

  counts() {
    const counted = new Map();
    for (const row of this.rows.values()) counted.set(row.status ?? "", (counted.get(row.status ?? "") ?? 0) + 1);
    return counted;
  }

  /** Return the best trial so far by the rule of the runtime: no failed trial, and of equal ones the earlier. */
  best(metric, mode) {
    let best = null;
    for (const row of this.rows.values()) {
      const cell = row.metrics[metric];
      if (typeof cell !== "number" || row.status === "ERROR") continue;
      const better = best === null || (mode === "min" ? cell < best.metrics[metric] : cell > best.metrics[metric]);
      if (better || (cell === best.metrics[metric] && row.number < best.number)) best = row;
    }
    return best;
  }
}

function union(old, more) {
  const missing = more.filter((name) => !old.includes(name));
  return missing.length ? [...old, ...missing] : old;
}

function made(columns, sent) {
  const [trial, number, version, status, started, ended, updated, iteration, hyperparameters, metrics, flags] = sent;
  return {
    trial,
    number,
    version,
    status,
    iteration,
    started: started ? Date.parse(started) : null,
    ended: ended ? Date.parse(ended) : null,
    updated: Date.parse(updated),
    hyperparameters: bare(columns.hyperparameters, hyperparameters),
    metrics: bare(columns.metrics, metrics),
    flags: flags ? bare(Object.keys(flags), Object.values(flags)) : null,
  };
}

/** Return the seconds that a trial took, or has taken so far. */
export function took(row, now = Date.now()) {
  if (row.started === null) return null;
  const end =
    row.ended ??
    (ENDED.has(row.status) ? row.updated : row.status === "RUNNING" ? Math.max(now, row.started) : row.updated);
  return (end - row.started) / 1000;
}

/** Return the cell of a column id: `m:NAME` a metric, `h:NAME` a hyperparameter, else one of the trial's own facts. */
export function cellOf(row, column) {
  if (column.startsWith("m:")) return row.metrics[column.slice(2)] ?? null;
  if (column.startsWith("h:")) return row.hyperparameters[column.slice(2)] ?? null;
  if (column === "duration") return took(row);
  return row[column] ?? null;
}

/** Return `nan`, `inf` or `-inf` where a cell was no finite number, else "". */
export function flagOf(row, column) {
  return row.flags?.[column.slice(2)] ?? "";
}

const COMPARE = {
  "<": (a, b) => a < b,
  "≤": (a, b) => a <= b,
  ">": (a, b) => a > b,
  "≥": (a, b) => a >= b,
  "=": (a, b) => a === b,
  "≠": (a, b) => a !== b,
  contains: (a, b) => String(a).toLowerCase().includes(String(b).toLowerCase()),
};
export const OPERATORS = Object.keys(COMPARE);

/** Return true if a row fits a condition: compared as numbers when both are, else as text; an empty cell fits none. */
export function fits(row, { column, operator, value }) {
  const cell = cellOf(row, column);
  if (cell === null) return false;
  const asked = Number(value);
  if (typeof cell === "number" && String(value).trim() !== "" && !Number.isNaN(asked) && operator !== "contains") {
    return COMPARE[operator](cell, asked);
  }
  return COMPARE[operator](text(cell), String(value));
}

const text = (cell) => (typeof cell === "string" ? cell : JSON.stringify(cell));

/** Return the rows to show. Empty `statuses` means all; `ranges` are brushes by column, {low, high} or {values}. */
export function select(rows, { sort = "number", descending = false, statuses, conditions = [], ranges, search = "" }) {
  const wanted = search.trim().toLowerCase();
  const chosen = rows.filter(
    (row) =>
      (!statuses?.size || statuses.has(row.status ?? "")) &&
      (!wanted || row.trial.toLowerCase().includes(wanted)) &&
      conditions.every((condition) => fits(row, condition)) &&
      inRanges(row, ranges),
  );
  const keyed = chosen.map((row) => ({ row, cell: cellOf(row, sort) }));
  const filled = keyed.filter(({ cell }) => cell !== null);
  const sign = descending ? -1 : 1;
  filled.sort((a, b) => sign * compare(a.cell, b.cell) || a.row.number - b.row.number);
  const bare_ = keyed.filter(({ cell }) => cell === null).sort((a, b) => a.row.number - b.row.number);
  return [...filled, ...bare_].map(({ row }) => row);
}

export function inRanges(row, ranges) {
  if (!ranges) return true;
  for (const [column, range] of ranges) {
    const cell = cellOf(row, column);
    if (cell === null) return false;
    if (
      range.values
        ? !range.values.has(text(cell))
        : !(typeof cell === "number" && cell >= range.low && cell <= range.high)
    )
      return false;
  }
  return true;
}

/** Order two cells: numbers before text. */
export function compare(a, b) {
  const numbers = Number(typeof b === "number") - Number(typeof a === "number");
  if (numbers) return numbers;
  if (typeof a === "number") return a - b;
  return text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0;
}
