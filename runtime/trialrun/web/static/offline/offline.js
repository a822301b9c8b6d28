// Replaces api.js in a report: answers from the data in the file itself.

export const study = JSON.parse(document.getElementById("study").textContent);

export class Refusal extends Error {}

/** Return the answer to a call of the report's views; `params` as for the recorder. */
export async function ask(path, params = {}) {
  if (path.endsWith("/importance")) return study.importance;
  if (path.endsWith("/curves")) return curves(params);
  throw new Refusal(`${path}: a report does not hold it.`);
}

function curves({ series, trial = [] }) {
  const kept = new Map(study.curves[series] ?? []);
  const asked = trial.length ? trial : [null];
  return { series, lines: asked.filter((each) => kept.has(each)).map((each) => ({ trial: each, ...kept.get(each) })) };
}

export function address() {
  return "#";
}

export function follow() {
  return () => {};
}
