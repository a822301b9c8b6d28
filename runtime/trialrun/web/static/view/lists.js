// The tabs that are lists: messages, models, and the request of the job.

import { address, ask } from "../api.js";
import { card, choice, empty, facts, fill, h } from "../dom.js";
import { absolute, bytes, time, value } from "../format.js";
import { messageList } from "./trial.js";

const CONTEXTS = ["info", "success", "warning", "danger"];

export function messagesTab(store) {
  const asked = { context: "", text: "" };
  const list = h("div", {});
  const older = h("button", { type: "button", hidden: true }, "Older");
  const search = h("input", { type: "search", placeholder: "Text", "aria-label": "Find messages by text" });
  let messages = [];
  let closed = false;
  let turn = 0;
  async function load(before = null) {
    turn += 1;
    const mine = turn;
    const found = (await ask(`${store.path}/messages`, { ...asked, before })).messages;
    if (closed || mine !== turn) return;
    messages = before === null ? found : [...messages, ...found];
    older.hidden = found.length < 200;
    fill(
      list,
      messages.length
        ? messageList(messages)
        : empty("No messages", "What plugins and the runtime say to people appears here, the newest first."),
    );
  }
  const again = () =>
    load().catch((error) => {
      if (!closed) fill(list, h("p", { class: "notice bad" }, error.message));
    });
  search.addEventListener("input", () => {
    asked.text = search.value;
    again();
  });
  older.addEventListener("click", () => load(messages.at(-1)?.id));
  const element = h(
    "section",
    { class: "card" },
    h(
      "div",
      { class: "plothead" },
      h("h2", {}, "Messages"),
      search,
      choice("Kind", [["", "all"], ...CONTEXTS.map((name) => [name, name])], "", (next) => {
        asked.context = next;
        again();
      }),
    ),
    list,
    older,
  );
  let seen = store.job.counts.messages;
  again();
  return {
    element,
    news: () => {
      if (store.job.counts.messages !== seen && messages.length <= 200) {
        seen = store.job.counts.messages;
        again();
      }
    },
    close: () => {
      closed = true;
    },
  };
}

export function modelsTab(store) {
  const list = h("div", { class: "wide" });
  const more = h("button", { type: "button", hidden: true }, "More");
  let models = [];
  let closed = false;
  async function load(offset = 0) {
    const found = (await ask(`${store.recording}/models`, { offset })).models;
    if (closed) return;
    models = offset ? [...models, ...found] : found;
    more.hidden = found.length < 200;
    fill(list, models.length ? table() : empty("No models yet", "Each trial that ends well registers its model here."));
  }
  const table = () =>
    h(
      "table",
      { class: "plain" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Model", "Trial", "Size", "Plugin", "Registered", ""].map((name, index) =>
            h("th", { scope: "col", class: index === 2 ? "number" : null }, name),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        models.map((model) => modelRow(store, model)),
      ),
    );
  const again = () =>
    load().catch((error) => {
      if (!closed) fill(list, h("p", { class: "notice bad" }, error.message));
    });
  more.addEventListener("click", () => load(models.length));
  let seen = store.job.counts.models;
  again();
  return {
    element: h("section", { class: "card" }, h("h2", {}, "Models"), list, more),
    news: () => {
      if (store.job.counts.models !== seen && models.length <= 200) {
        seen = store.job.counts.models;
        again();
      }
    },
    close: () => {
      closed = true;
    },
  };
}

export function aboutTab(store) {
  const { job } = store;
  const element = h("div", { class: "stack" });
  const show = () =>
    fill(
      element,
      card(
        "About",
        facts([
          ["Name", job.name],
          ["Id", job.id],
          ["Plugin", job.plugin ?? "–"],
          ["Created", absolute(job.created)],
          ["Last change", absolute(job.updated)],
          ["Recording", h("code", { class: "any" }, job.path)],
        ]),
      ),
      card("As it was asked for", h("pre", { class: "log", tabindex: 0 }, JSON.stringify(job.params, null, 2))),
      job.result ? card("Result", h("pre", { class: "log", tabindex: 0 }, JSON.stringify(job.result, null, 2))) : null,
    );
  show();
  return { element };
}

function modelRow(store, model) {
  return h(
    "tr",
    {},
    h(
      "th",
      { scope: "row", class: "any" },
      model.trial !== null && model.trial === store.best
        ? h("span", { class: "odd", title: "of the best trial" }, "★ ")
        : null,
      `${model.id} `,
      h("span", { class: "muted" }, model.name),
    ),
    h("td", {}, model.trial ? h("a", { href: store.link(model.trial), class: "mono any" }, model.trial) : "–"),
    h("td", { class: "number", title: model.md5 ? `md5 ${model.md5}` : "" }, bytes(model.size)),
    h("td", { class: "any" }, [model.plugin, model.version].filter(Boolean).map(value).join(" ")),
    h("td", {}, time(model.created)),
    h(
      "td",
      {},
      model.file
        ? h(
            "a",
            {
              class: "button",
              href: address(`${store.recording}/models/${model.id}/file`),
              download: "",
              "aria-label": `Download model ${model.id}`,
            },
            "Download",
          )
        : h("span", { class: "muted" }, "no file"),
    ),
  );
}
