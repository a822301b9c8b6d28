// Scales: from data to pixels, with ticks at round values. Pure: no page, no network.

/** Return round values between `low` and `high`, about `wanted` of them. */
export function ticks(low, high, wanted = 5) {
  if (!(high > low)) return [low];
  for (let more = Math.max(wanted, 1); ; more *= 1.6) {
    const made = rounded(low, high, more);
    if (made.length > 1) return made;
  }
}

function rounded(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999) ?? 10 * power;
  const made = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1)
    made.push(Number((n * step).toPrecision(12)));
  return made;
}

/** Return a linear scale; an empty domain is widened, so that its value lies in the middle. */
export function linear(low, high, from, to) {
  if (!(high > low)) {
    const room = Math.abs(low) * 0.05 || 0.5;
    low -= room;
    high += room;
  }
  const scale = (value) => from + ((value - low) / (high - low)) * (to - from);
  scale.invert = (pixel) => low + ((pixel - from) / (to - from)) * (high - low);
  scale.ticks = (wanted) => ticks(low, high, wanted);
  scale.domain = [low, high];
  return scale;
}

/** Return a logarithmic scale for positive values. */
export function logarithmic(low, high, from, to) {
  if (!(high > low)) {
    low /= 2;
    high *= 2;
  }
  const inner = linear(Math.log10(low), Math.log10(high), from, to);
  const scale = (value) => inner(Math.log10(value));
  scale.invert = (pixel) => 10 ** inner.invert(pixel);
  scale.ticks = (wanted) => {
    const decades = [];
    for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power += 1)
      decades.push(10 ** power);
    return decades.length > 1
      ? decades.filter((_, index) => index % Math.ceil(decades.length / Math.max(wanted, 2)) === 0)
      : ticks(low, high, wanted);
  };
  scale.domain = [low, high];
  return scale;
}

/** Return a scale with one place for each value. */
export function places(values, from, to) {
  const at = new Map(values.map((value, index) => [value, from + ((index + 0.5) / values.length) * (to - from)]));
  const scale = (value) => at.get(value);
  scale.values = values;
  return scale;
}

/** Return the lowest and highest finite number, or null when there is none. */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** Return true if positive values span so many decades that a linear axis would squash most of them. */
export function looksLogarithmic(values) {
  const found = extent(values);
  if (!found || found[0] <= 0 || found[1] / found[0] < 12) return false;
  const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] < found[0] + (found[1] - found[0]) * 0.25;
}

export function short(n) {
  if (Number.isInteger(n) && Math.abs(n) < 1e5) return String(n);
  const size = Math.abs(n);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return n.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return String(Number(n.toPrecision(4)));
}
