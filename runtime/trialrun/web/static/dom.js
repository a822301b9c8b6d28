// Builds the page from elements and text only: what a plugin reports is never parsed as markup.

/** Return an element: `h("a", {href: "#", class: "x", onclick: f}, "text", child)`. Null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
}

/** Set text only if it changed: the browser then lays out less. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const MARKS = {
  PENDING: "○",
  RUNNING: "▶",
  PAUSED: "‖",
  TERMINATED: "✓",
  SUCCEEDED: "✓",
  ERROR: "✕",
  FAILED: "✕",
  STOPPED: "■",
};

/** Return a status as a shape and a word. */
export function badge(status) {
  const mark = h("span", { class: "mark", "aria-hidden": "true" });
  const element = h("span", { class: "status" }, mark, h("span", { class: "word" }));
  setBadge(element, status);
  return element;
}

export function setBadge(element, status) {
  const word = status || "REPORTED"; // it reported, and no table has named its state
  if (element.dataset.status === word) return;
  element.dataset.status = word;
  element.firstChild.textContent = MARKS[word] ?? "·";
  element.lastChild.textContent = word;
}

export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.map(([name, value]) => [
      h("dt", {}, name),
      h("dd", {}, value instanceof Node ? value : h("span", { class: "any" }, String(value))),
    ]),
  );
}

export function empty(title, text) {
  return h("div", { class: "empty" }, h("strong", {}, title), text);
}

export function card(title, ...children) {
  return h("section", { class: "card" }, title ? h("h2", {}, title) : null, ...children);
}

/** Return a function that calls `run` at most every `ms` milliseconds, and always once after its last call. */
export function atMost(ms, run) {
  let at = -Infinity;
  let timer = 0;
  const go = () => {
    timer = 0;
    at = performance.now();
    run();
  };
  const call = () => {
    if (timer) return;
    const wait = at + ms - performance.now();
    if (wait <= 0) go();
    else timer = setTimeout(go, wait);
  };
  call.stop = () => clearTimeout(timer);
  return call;
}

/** Return a labelled select; `options` are [value, text] pairs. */
export function choice(label, options, value, onchange) {
  const select = h(
    "select",
    {},
    options.map(([id, text]) => h("option", { value: id }, text)),
  );
  select.value = value;
  select.addEventListener("change", () => onchange(select.value));
  return h("label", { class: "field" }, h("span", {}, label), select);
}
