// A plot on the page: its canvas, drawn when its data, size or theme changes, with a tip under the pointer.

import { h } from "../dom.js";
import { drawCanvas, palette } from "./draw.js";
import { nearest } from "./drawing.js";

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * `build(width, height)` returns the drawing. `update()` draws soon: at once when drawing is cheap, more rarely the
 * longer it takes, and not while the plot is out of sight. `onpick(trial)` is called for a click on a trial.
 */
export function plotBox({ build, height = 260, onpick = null }) {
  const canvas = h("canvas", { role: "img" });
  const tip = h("div", { class: "tip", hidden: true });
  const element = h("div", { class: "plot" }, canvas, tip);
  element.style.height = `${height}px`;
  canvas.style.height = `${height}px`;
  let drawn = null;
  let due = 0;
  let cost = 0;
  let visible = false;
  let stale = true;

  const draw = () => {
    due = 0;
    if (!visible || !element.isConnected) {
      stale = true;
      return;
    }
    const width = Math.max(Math.floor(element.clientWidth), 120);
    const began = performance.now();
    drawn = build(width, height);
    drawCanvas(drawn, canvas, palette(isDark()), Math.min(devicePixelRatio || 1, 2));
    if (canvas.getAttribute("aria-label") !== drawn.label) canvas.setAttribute("aria-label", drawn.label);
    cost = performance.now() - began;
    stale = false;
  };
  const update = () => {
    if (!due) due = setTimeout(() => requestAnimationFrame(draw), Math.min(cost * 8, 1500));
  };
  const now = () => {
    clearTimeout(due);
    due = 0;
    draw();
  };
  const sized = new ResizeObserver(update);
  sized.observe(element);
  const shown = new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    if (visible && stale) now();
  });
  shown.observe(element);
  document.addEventListener("theme", now);

  const hitAt = (event) => {
    const box = canvas.getBoundingClientRect();
    return drawn ? nearest(drawn, event.clientX - box.left, event.clientY - box.top) : null;
  };
  followPointer({ element, canvas, tip, hitAt, onpick });
  return {
    element,
    canvas,
    update,
    now,
    drawing: () => drawn,
    close: () => {
      sized.disconnect();
      shown.disconnect();
      clearTimeout(due);
      document.removeEventListener("theme", now);
    },
  };
}

/** Show the tip beside the pointer, and call `onpick` for a click on a trial. */
function followPointer({ element, canvas, tip, hitAt, onpick }) {
  canvas.addEventListener("pointermove", (event) => {
    const hit = hitAt(event);
    tip.hidden = !hit;
    canvas.style.cursor = hit?.trial && onpick ? "pointer" : "";
    if (!hit) return;
    tip.textContent = typeof hit.text === "function" ? hit.text() : hit.text;
    const right = hit.x > element.clientWidth / 2;
    tip.style.left = right ? "" : `${Math.max(hit.x, 0) + 12}px`;
    tip.style.right = right ? `${element.clientWidth - hit.x + 12}px` : "";
    tip.style.top = `${Math.min(Math.max(hit.y - 10, 0), element.clientHeight - 40)}px`;
  });
  canvas.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  if (onpick)
    canvas.addEventListener("click", (event) => {
      const hit = hitAt(event);
      if (hit?.trial && !canvas.dataset.busy) onpick(hit.trial);
    });
}
