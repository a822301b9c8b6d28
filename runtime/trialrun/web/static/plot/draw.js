// Renders a drawing on a canvas, or as the text of an SVG file.

import { RAMP, SERIES } from "./drawing.js";

const LIGHT = {
  text: "#182123",
  muted: "#556164",
  line: "#e6ebeb",
  strong: "#b9c3c5",
  surface: "#ffffff",
  accent: "#0b6e69",
  best: "#b06c00",
  error: "#b3261e",
  running: "#1559a8",
  paused: "#6a4a9c",
  terminated: "#2c7a45",
  pending: "#8a979a",
  series: ["#0b6e69", "#c2571a", "#3566c0", "#a23b72", "#6b7a00", "#7a4fb5", "#00799f", "#8a5a44"],
  ramp: ["#c9d3d6", "#0a4f63"],
};
const DARK = {
  text: "#e3e9ea",
  muted: "#9dabae",
  line: "#263033",
  strong: "#465357",
  surface: "#171e20",
  accent: "#55c7be",
  best: "#ffce6b",
  error: "#ff9a92",
  running: "#83bbff",
  paused: "#c3a9f3",
  terminated: "#86d49a",
  pending: "#7d8a8d",
  series: ["#55c7be", "#f3a26d", "#8fb4ff", "#ec92bd", "#c3cf5a", "#c3a9f3", "#6fd0f0", "#d3a58c"],
  ramp: ["#33424a", "#8cf0e3"],
};
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

export function palette(dark) {
  const base = dark ? DARK : LIGHT;
  const made = { ...base };
  base.series.forEach((color, index) => {
    made[`series${index}`] = color;
  });
  for (let step = 0; step < RAMP; step += 1) made[`ramp${step}`] = mixed(base.ramp[0], base.ramp[1], step / (RAMP - 1));
  return made;
}

export const seriesColor = (index) => `series${index % SERIES}`;
export const seriesDash = (index) => (index < SERIES ? null : index < 2 * SERIES ? [6, 3] : [2, 3]);

function mixed(from, to, share) {
  const part = (color, place) => parseInt(color.slice(1 + 2 * place, 3 + 2 * place), 16);
  const both = [0, 1, 2].map((place) => Math.round(part(from, place) + (part(to, place) - part(from, place)) * share));
  return `#${both.map((n) => n.toString(16).padStart(2, "0")).join("")}`;
}

export function drawCanvas(drawing, canvas, colors, density = 1) {
  canvas.width = Math.round(drawing.width * density);
  canvas.height = Math.round(drawing.height * density);
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.lineJoin = "round";
  for (const mark of drawing.marks) {
    pen.globalAlpha = mark.alpha ?? 1;
    const color = colors[mark.color] ?? mark.color;
    if (mark.kind === "path") stroke(pen, mark, color);
    else if (mark.kind === "dots") fillDots(pen, mark, color);
    else if (mark.kind === "rect") {
      pen.fillStyle = color;
      pen.fillRect(mark.x, mark.y, mark.width, mark.height);
    } else write(pen, mark, color, colors.surface);
  }
  pen.globalAlpha = 1;
}

function stroke(pen, { points, width, dash }, color) {
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.setLineDash(dash ?? []);
  pen.beginPath();
  let down = false;
  for (let i = 0; i < points.length; i += 2) {
    if (Number.isNaN(points[i]) || Number.isNaN(points[i + 1])) {
      down = false;
      continue;
    }
    if (down) pen.lineTo(points[i], points[i + 1]);
    else pen.moveTo(points[i], points[i + 1]);
    down = true;
  }
  pen.stroke();
  pen.setLineDash([]);
}

function fillDots(pen, { points, radius }, color) {
  pen.fillStyle = color;
  pen.beginPath();
  for (let i = 0; i < points.length; i += 2) {
    pen.moveTo(points[i] + radius, points[i + 1]);
    pen.arc(points[i], points[i + 1], radius, 0, 2 * Math.PI);
  }
  pen.fill();
}

function write(pen, { x, y, text, align, size, bold, halo }, color, ground) {
  pen.font = `${bold ? "600 " : ""}${size}px ${FONT}`;
  pen.textAlign = align;
  if (halo) {
    pen.strokeStyle = ground;
    pen.lineWidth = 4;
    pen.strokeText(text, x, y);
  }
  pen.fillStyle = color;
  pen.fillText(text, x, y);
}

/** Return the drawing as SVG; all text is escaped. */
export function toSvg(drawing, colors) {
  const size = `width="${drawing.width}" height="${drawing.height}" viewBox="0 0 ${drawing.width} ${drawing.height}"`;
  const body = drawing.marks.map((mark) => svgMark(mark, colors[mark.color] ?? mark.color, colors.surface)).join("\n");
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img"><title>${escaped(drawing.label)}</title>` +
    `<rect width="100%" height="100%" fill="${colors.surface}"/>\n${body}\n</svg>\n`
  );
}

function svgMark(mark, color, ground) {
  const alpha = mark.alpha === undefined || mark.alpha === 1 ? "" : ` opacity="${mark.alpha}"`;
  const n = (value) => Number(value.toFixed(2));
  if (mark.kind === "path") {
    let line = "";
    let down = false;
    for (let i = 0; i < mark.points.length; i += 2) {
      const [x, y] = [mark.points[i], mark.points[i + 1]];
      if (Number.isNaN(x) || Number.isNaN(y)) {
        down = false;
        continue;
      }
      line += `${down ? "L" : "M"}${n(x)} ${n(y)}`;
      down = true;
    }
    const dash = mark.dash ? ` stroke-dasharray="${mark.dash.join(" ")}"` : "";
    const pen = `stroke="${color}" stroke-width="${mark.width}" stroke-linejoin="round"${dash}`;
    return `<path d="${line}" fill="none" ${pen}${alpha}/>`;
  }
  if (mark.kind === "dots") {
    let circles = "";
    for (let i = 0; i < mark.points.length; i += 2)
      circles += `<circle cx="${n(mark.points[i])}" cy="${n(mark.points[i + 1])}" r="${mark.radius}"/>`;
    return `<g fill="${color}"${alpha}>${circles}</g>`;
  }
  if (mark.kind === "rect") {
    const size = `width="${n(mark.width)}" height="${n(mark.height)}"`;
    return `<rect x="${n(mark.x)}" y="${n(mark.y)}" ${size} fill="${color}"${alpha}/>`;
  }
  const anchor = { left: "start", center: "middle", right: "end" }[mark.align];
  const bold = mark.bold ? ' font-weight="600"' : "";
  const halo = mark.halo ? ` stroke="${ground}" stroke-width="4" paint-order="stroke"` : "";
  const place = `x="${n(mark.x)}" y="${n(mark.y)}" text-anchor="${anchor}"`;
  const font = `font-size="${mark.size}" font-family="${escaped(FONT)}"${bold}`;
  return `<text ${place} fill="${color}" ${font}${halo}>${escaped(mark.text)}</text>`;
}

function escaped(words) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML forbids them, and they are replaced here
  const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;
  return String(words)
    .replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
    .replace(forbidden, "�");
}
