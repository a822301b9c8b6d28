// The calls of the API as they were received, for authors of plugins and clients.

import { ask } from "../api.js";
import { choice, empty, facts, fill, h } from "../dom.js";
import { absolute, bytes, clock, count } from "../format.js";

const PAGE = 100;
const WHAT_IS_KEPT = "Calls of the platform's API are kept here as they came, without their tokens.";

export function requestsTab(store) {
  const asked = { route: "", status: "" };
  const list = h("div", { class: "wide" });
  const controls = h("div", { class: "plothead" });
  const older = h("button", { type: "button", hidden: true }, "Older");
  let calls = [];
  let facets = "";
  let open = null;
  let closed = false;
  let turn = 0;

  async function load(before = null) {
    turn += 1;
    const mine = turn;
    const found = await ask(`${store.recording}/requests`, { ...asked, before });
    if (closed || mine !== turn) return;
    calls = before === null ? found.requests : [...calls, ...found.requests];
    older.hidden = found.requests.length < PAGE;
    if (found.routes) showControls(found);
    fill(list, calls.length ? requestTable(calls.map(line)) : empty("No calls", WHAT_IS_KEPT));
  }

  function showControls({ routes, statuses }) {
    const made = JSON.stringify([routes.map(({ route }) => route), statuses.map(({ status }) => status)]);
    if (made === facets) return;
    facets = made;
    fill(controls, requestControls(asked, routes, statuses, again));
  }

  function line(call) {
    const { row, button } = requestRow(call);
    button.addEventListener("click", () => toggle(call, row, button));
    return row;
  }

  async function toggle(call, row, button) {
    const before = open;
    if (before) closeDetail(before);
    open = null;
    if (before?.row === row) return;
    open = openDetail(row, button);
    const { cell } = open;
    const found = await ask(`${store.recording}/requests/${call.id}`).catch((error) => ({ error }));
    if (!closed) fill(cell, found.error ? found.error.message : requestDetail(found));
  }

  const again = () =>
    load().catch((error) => {
      if (!closed) fill(list, h("p", { class: "notice bad" }, error.message));
    });
  older.addEventListener("click", () => load(calls.at(-1)?.id));
  const element = h("section", { class: "card" }, controls, list, older);
  let seen = store.job.counts.requests;
  again();
  return {
    element,
    news: () => {
      if (store.job.counts.requests !== seen && !open && calls.length <= PAGE) {
        seen = store.job.counts.requests;
        again();
      }
    },
    close: () => {
      closed = true;
    },
  };
}

function requestControls(asked, routes, statuses, again) {
  const classes = [...new Set(statuses.map(({ status }) => `${String(status)[0]}xx`))];
  return [
    h("h2", {}, "Requests"),
    choice(
      "Route",
      [["", "all"], ...routes.map(({ route, count: n }) => [route, `${route.slice(0, 60) || "/"} (${count(n)})`])],
      asked.route,
      (next) => {
        asked.route = next;
        again();
      },
    ),
    choice(
      "Status",
      [
        ["", "all"],
        ...classes.map((name) => [name, name]),
        ...statuses.map(({ status, count: n }) => [String(status), `${status} (${count(n)})`]),
      ],
      asked.status,
      (next) => {
        asked.status = next;
        again();
      },
    ),
    h("button", { type: "button", onclick: () => again() }, "Refresh"),
  ];
}

function requestTable(lines) {
  return h(
    "table",
    { class: "plain" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Time", "Method", "Path", "Status", "Size"].map((name, index) =>
          h("th", { scope: "col", class: index > 2 ? "number" : null }, name),
        ),
      ),
    ),
    h("tbody", {}, lines),
  );
}

function requestRow(call) {
  const query = call.params.length ? `?${call.params.map(([name, value]) => `${name}=${value}`).join("&")}` : "";
  const shown = (call.path + query).slice(0, 300);
  const button = h("button", { type: "button", class: "quiet mono any", "aria-expanded": false }, `/${shown}`);
  const row = h(
    "tr",
    {},
    h("td", { class: "muted", title: absolute(call.time) }, clock(call.time)),
    h("td", { class: "mono" }, call.method),
    h("td", {}, button),
    h(
      "td",
      { class: "number" },
      call.status >= 400 ? h("strong", { class: "odd" }, `✕ ${call.status}`) : String(call.status),
      call.replayed
        ? h(
            "span",
            { class: "muted", title: "sent again with the same Idempotency-Key: answered without a second effect" },
            " ↻",
          )
        : null,
    ),
    h("td", { class: "number muted" }, bytes(call.size)),
  );
  return { row, button };
}

function requestDetail(found) {
  const headers = Object.entries(found.headers);
  return h(
    "div",
    { class: "stack" },
    found.params.length ? facts(found.params) : null,
    headers.length ? h("div", {}, h("h3", {}, "Headers"), facts(headers)) : null,
    h(
      "div",
      {},
      h("h3", {}, "Body"),
      found.body
        ? h("pre", { class: "log", tabindex: 0 }, found.body)
        : h("p", { class: "muted" }, found.size ? "A form: its file is kept as an upload." : "None."),
      found.cut ? h("p", { class: "muted" }, "Cut here: it is longer.") : null,
    ),
  );
}

function openDetail(row, button) {
  const cell = h("td", { colspan: 5 }, "…");
  const detail = h("tr", {}, cell);
  row.after(detail);
  row.classList.add("open");
  button.setAttribute("aria-expanded", true);
  return { row, button, detail, cell };
}

function closeDetail({ row, button, detail }) {
  detail.remove();
  row.classList.remove("open");
  button.setAttribute("aria-expanded", false);
}
