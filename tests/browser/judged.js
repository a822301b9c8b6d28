// Run on a page: words with too little contrast (WCAG AA), and controls without a name.
const light = (channels) => {
  const [r, g, b] = channels.map((n) => n / 255).map((s) => (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parsed = (text) => {
  const [r, g, b, alpha = 1] = text.match(/[\d.]+/g).map(Number);
  return { channels: [r, g, b], alpha };
};
const ground = (element) => {
  for (let above = element; above; above = above.parentElement) {
    const { channels, alpha } = parsed(getComputedStyle(above).backgroundColor);
    if (alpha === 1) return channels;
  }
  return [255, 255, 255];
};
const wrong = [];
for (const element of document.querySelectorAll("body *")) {
  const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!words || !element.checkVisibility() || element.closest("button:disabled, .sr, .skip, option, [aria-hidden=true]")) continue;
  const style = getComputedStyle(element);
  const [one, other] = [light(parsed(style.color).channels), light(ground(element))].sort((a, b) => b - a);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const ratio = (one + 0.05) / (other + 0.05);
  if (ratio < (large ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(2)}: ${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`);
}
for (const element of document.querySelectorAll("button, a[href], select, input, [role=grid], canvas, img")) {
  if (!element.checkVisibility() || element.getAttribute("alt") === "") continue;
  const name = element.getAttribute("aria-label") ?? element.getAttribute("alt") ?? element.closest("label")?.innerText ?? element.innerText;
  if (!(name ?? "").trim()) wrong.push(`no name: ${element.outerHTML.slice(0, 200)}`);
}
return wrong;
