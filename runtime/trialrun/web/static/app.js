// The page: chooses the view by the address; draws the header and the theme.

import { fill, h, say } from "./dom.js";
import { refreshTimes } from "./format.js";
import { isDark } from "./plot/box.js";
import { JobView } from "./view/job.js";
import { jobsView } from "./view/jobs.js";

const main = document.getElementById("main");
const crumbs = document.getElementById("crumbs");
const live = document.getElementById("live");
const theme = document.getElementById("theme");
const STATES = { live: "live", lost: "connection lost", asleep: "paused while hidden", over: "finished", "": "" };

const context = {
  crumbs(trail) {
    fill(
      crumbs,
      h("a", { class: "brand", href: "#/" }, h("img", { src: "/ui/icon.svg", alt: "" }), "trialrun"),
      trail.map(([text, href]) => [
        h("span", { class: "sep", "aria-hidden": "true" }, "/"),
        href
          ? h("a", { href, class: "any" }, text.slice(0, 120))
          : h("span", { class: "any", "aria-current": "page" }, text.slice(0, 120)),
      ]),
    );
  },
  state(state) {
    live.dataset.state = state;
    if (!live.firstChild && STATES[state]) live.append(h("span", { class: "word" }));
    if (live.firstChild) say(live.firstChild, STATES[state] ?? "");
    if (!STATES[state]) fill(live);
    live.title =
      state === "lost"
        ? "The recorder does not answer: the run may be over. `trialrun ui` opens its recording again."
        : "";
  },
  title(text) {
    document.title = `${text.slice(0, 100)} · trialrun`;
  },
};

let view = null;
function route() {
  const words = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  if (words[0] === "j" && words.length >= 3) {
    const rest = words.slice(3);
    if (view?.same?.(words[1], words[2])) {
      view.go(rest);
      window.scrollTo(0, 0);
      return;
    }
    open(() => new JobView(context, words[1], words[2], rest));
  } else open(() => jobsView(context));
}

function open(make) {
  view?.close();
  context.state("");
  document.title = "trialrun";
  view = make();
  fill(main, view.element);
}

function showTheme() {
  const dark = isDark();
  theme.textContent = dark ? "☀ Light" : "☾ Dark";
  theme.setAttribute("aria-label", dark ? "Switch to the light theme" : "Switch to the dark theme");
  document.dispatchEvent(new Event("theme"));
}
theme.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("trialrun-theme", next);
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
setInterval(() => {
  if (!document.hidden) refreshTimes();
}, 5000);
window.addEventListener("hashchange", route);
showTheme();
route();
