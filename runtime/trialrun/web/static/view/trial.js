// One trial, or the run of a training job: parameters, metrics, images, output, messages and model.

import { address, ask } from "../api.js";
import { atMost, badge, card, choice, facts, fill, h } from "../dom.js";
import { absolute, bytes, clock, duration, value } from "../format.js";
import { flagOf, Table, took } from "../model.js";
import { linesBox, seriesId, seriesLabel } from "./lines.js";

const FIRST_PLOTS = 6;
const AGAIN_MS = 1500;

export function trialView(store, trial) {
  const head = h("div", {});
  const sides = h("div", { class: "grid2" });
  const plots = h("div", { class: "grid3" });
  const more = h("button", { type: "button", hidden: true });
  const curves = card("Metrics over steps", plots, more);
  const pictures = h("div", {});
  const words = h("div", {});
  const output = outputCard(store, trial);
  const element = h("div", { class: "stack" }, head, sides, curves, pictures, output.element, words);
  const boxes = new Map();
  let shown = FIRST_PLOTS;
  let made = "";
  let closed = false;
  more.addEventListener("click", () => {
    shown = Infinity;
    showCurves();
  });

  async function load() {
    try {
      const page = await ask(`${store.path}/trial`, { trial });
      if (closed) return;
      const table = new Table();
      table.merge(page);
      const now = fingerprint(page, store.best);
      if (now !== made) {
        made = now;
        showPage({ head, sides, pictures, words }, store, table.all()[0] ?? null, page);
      }
      showCurves();
      output.show(page.output);
    } catch (error) {
      if (!closed) fill(head, h("p", { class: "notice bad any" }, error.message));
    }
  }

  function showCurves() {
    const { series } = store.job;
    curves.hidden = !series.length;
    for (const one of series.slice(0, shown)) {
      const id = seriesId(one);
      if (!boxes.has(id)) {
        const box = metricBox(store, trial, one);
        boxes.set(id, box);
        plots.append(box.element);
      }
      boxes.get(id).load();
    }
    more.hidden = series.length <= shown;
    more.textContent = `Show ${series.length - FIRST_PLOTS} more metrics`;
  }

  const later = atMost(AGAIN_MS, load);
  later();
  return {
    element,
    update: (touched) => {
      if (touched.includes(trial)) later();
    },
    news: () => {
      if (trial === null || store.table.rows.get(trial)?.status === "RUNNING") later();
    },
    close: () => {
      closed = true;
      later.stop();
      for (const box of boxes.values()) box.close();
      output.close();
    },
  };
}

/** Text that changes when a part of the page does. */
function fingerprint(page, best) {
  return JSON.stringify([page.rows, page.images.length, page.messages.length, page.model, page.output, best]);
}

function showPage({ head, sides, pictures, words }, store, row, page) {
  fill(head, row ? trialHead(store, row) : null);
  fill(sides, row ? parameterCards(row) : null);
  if (row?.status === "ERROR") head.append(failureBox(page));
  fill(pictures, page.images.length ? card("Visualizations", imageBrowser(store, page.images)) : null);
  fill(words, modelCard(store, row, page), page.messages.length ? card("Messages", messageList(page.messages)) : null);
}

function parameterCards(row) {
  return [
    card("Hyperparameters", cells(row, "h:", row.hyperparameters)),
    card("Metrics, newest values", cells(row, "m:", row.metrics)),
  ];
}

function modelCard(store, row, page) {
  return card(
    row ? "Model and checkpoint" : "Model",
    page.model
      ? h(
          "p",
          {},
          h(
            "a",
            { href: address(`${store.recording}/models/${page.model.id}/file`), download: "" },
            `Download model ${page.model.id}`,
          ),
          " ",
          h("span", { class: "any muted" }, page.model.name),
        )
      : h("p", { class: "muted" }, "No model was registered for it yet."),
    page.folder ? h("p", { class: "muted small" }, "Folder ", h("code", { class: "any" }, page.folder)) : null,
  );
}

function metricBox(store, trial, one) {
  return linesBox(store, {
    trials: () => [trial],
    height: 190,
    compact: true,
    options: () => ({ series: seriesId(one), metric: seriesLabel(one, store.job.series), against: "step" }),
  });
}

function failureBox(page) {
  const told = page.failure;
  const said = told?.error || page.messages.find((message) => message.context === "danger")?.content || "It failed.";
  const words = {
    raised: "the plugin raised",
    exited: "its process ended itself",
    crashed: "its process crashed",
    killed: "its process was killed",
    out_of_memory: "out of memory",
    node_lost: "its node was lost",
  };
  const more = told
    ? [
        ["Traceback", told.traceback],
        ["End of stderr", told.stderr],
      ].filter(([, text]) => text)
    : [];
  return h(
    "div",
    { class: "notice bad any" },
    h("p", {}, said),
    told
      ? h(
          "p",
          { class: "small" },
          [words[told.cause] ?? told.cause, told.node ? `on ${told.node}` : ""].filter(Boolean).join(" "),
        )
      : null,
    more.map(([label, text]) => h("details", {}, h("summary", {}, label), h("pre", { class: "small" }, text))),
  );
}

function trialHead(store, row) {
  const order = store.table.all().sort((a, b) => a.number - b.number);
  const place = order.findIndex((other) => other.trial === row.trial);
  const step = (other, text) => (other ? h("a", { class: "button", href: store.link(other.trial) }, text) : null);
  return h(
    "div",
    { class: "head" },
    h(
      "div",
      {},
      h(
        "div",
        { class: "bar" },
        h("h1", { class: "mono any" }, row.trial),
        badge(row.status),
        row.trial === store.best ? h("span", { class: "odd" }, "★ best trial") : null,
      ),
      h(
        "div",
        { class: "line" },
        h("span", {}, `trial ${row.number} of ${order.length || row.number}`),
        row.started ? h("span", { title: absolute(row.started) }, `started ${clock(row.started)}`) : null,
        h("span", {}, `took ${duration(took(row)) || "–"}`),
        row.iteration ? h("span", {}, `${row.iteration} reports`) : null,
      ),
    ),
    h("div", { class: "bar right" }, step(order[place - 1], "← previous"), step(order[place + 1], "next →")),
  );
}

function cells(row, start, mapping) {
  const names = [
    ...new Set([
      ...Object.keys(mapping),
      ...(start === "m:" ? Object.keys(row.flags ?? {}).filter((name) => !(name in row.hyperparameters)) : []),
    ]),
  ];
  if (!names.length) return h("p", { class: "muted" }, "None yet.");
  return facts(
    names.map((name) => [
      h("span", { class: "any" }, name),
      flagOf(row, start + name) ||
        (typeof mapping[name] === "number" ? String(Number(mapping[name].toPrecision(9))) : value(mapping[name])),
    ]),
  );
}

/** Return a browser of images: one group side by side, or one index across all groups. */
function imageBrowser(store, images) {
  const groups = [...new Set(images.map((image) => value(image.group) || value(image.category)))];
  const shots = h("div", { class: "shots" });
  let group = groups[0];
  let place = 0;
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "Which image of the group" });
  const label = h("span", { class: "muted small" });
  const PAGE = 12;
  const show = () => {
    const here = images.filter((image) => (value(image.group) || value(image.category)) === group);
    slider.max = Math.max(here.length - PAGE, 0);
    slider.hidden = here.length <= PAGE;
    const some = here.slice(place, place + PAGE);
    label.textContent = here.length > PAGE ? `${place + 1}–${place + some.length} of ${here.length}` : "";
    fill(
      shots,
      some.map((image) => picture(store, image)),
    );
  };
  slider.value = 0;
  slider.addEventListener("input", () => {
    place = Number(slider.value);
    show();
  });
  show();
  return h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "bar" },
      choice(
        "Group",
        groups.map((name) => [name, name.slice(0, 60) || "(none)"]),
        group,
        (next) => {
          group = next;
          place = 0;
          slider.value = 0;
          show();
        },
      ),
      slider,
      label,
    ),
    shots,
  );
}

export function picture(store, image) {
  const named = [value(image.category), value(image.group), value(image.index)].filter(Boolean).join(" · ");
  const shot = h("img", {
    src: address(`${store.recording}/images/${image.id}`),
    alt: named.slice(0, 200),
    loading: "lazy",
  });
  const meta = Object.entries(image.meta ?? {})
    .map(([name, cell]) => `${name} ${value(cell).slice(0, 80)}`)
    .join(", ");
  shot.addEventListener("error", () => shot.replaceWith(h("p", { class: "empty" }, "This image cannot be shown.")));
  return h(
    "figure",
    {},
    shot,
    h(
      "figcaption",
      { class: "any" },
      named.slice(0, 300),
      meta ? h("div", { class: "muted" }, meta.slice(0, 400)) : null,
    ),
  );
}

export function messageList(messages) {
  return h(
    "ul",
    { class: "messages" },
    messages.map((message) =>
      h(
        "li",
        {},
        h("time", { class: "muted", title: absolute(message.time) }, clock(message.time)),
        h("span", { class: message.context }, message.context),
        h("span", { class: "any" }, message.content),
      ),
    ),
  );
}

/** Return a card with the ends of stdout and stderr, fetched when their sizes change. */
function outputCard(store, trial) {
  const text = h("pre", { class: "log", tabindex: 0, "aria-label": "output" });
  const note = h("span", { class: "muted small" });
  const buttons = ["stdout", "stderr"].map((stream) =>
    h(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-pressed": false,
        onclick: () => {
          stream_ = stream;
          load(true);
        },
      },
      stream,
      h("span", { class: "muted" }),
    ),
  );
  const element = card("Output", h("div", { class: "bar" }, buttons, note), text);
  element.hidden = true;
  let stream_ = null;
  let sizes = {};
  let fetched = "";
  let closed = false;
  async function load(forced = false) {
    const wanted = `${stream_}:${sizes[stream_]}`;
    if (!forced && wanted === fetched) return;
    fetched = wanted;
    for (const button of buttons) button.setAttribute("aria-pressed", button.firstChild.textContent === stream_);
    try {
      const tail = await ask(`${store.path}/output`, { trial, stream: stream_ });
      if (closed) return;
      const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
      text.textContent = tail.text || "(nothing was printed)";
      note.textContent = tail.cut ? `the last ${bytes(tail.text.length)} of ${bytes(tail.size)}` : "";
      if (atEnd) text.scrollTop = text.scrollHeight;
    } catch (error) {
      if (!closed) text.textContent = error.message;
    }
  }
  return {
    element,
    show: (next) => {
      sizes = next;
      element.hidden = sizes.stdout === null && sizes.stderr === null;
      if (element.hidden) return;
      buttons.forEach((button) => {
        const size = sizes[button.firstChild.textContent];
        button.lastChild.textContent = size ? bytes(size) : "empty";
      });
      stream_ ??= sizes.stderr && !sizes.stdout ? "stderr" : "stdout";
      load();
    },
    close: () => {
      closed = true;
    },
  };
}
