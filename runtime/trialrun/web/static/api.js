// Calls of the recorder: JSON requests and the stream of changes.

const BASE = "/ui/api/";
const AGAIN_MS = 3000;

export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Return the answer to one call. A list in `params` is sent as a repeated name. */
export async function ask(path, params = {}, signal = undefined) {
  const answer = await fetch(address(path, params), { signal, headers: { Accept: "application/json" } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, body.detail ?? `The recorder answered ${answer.status}.`);
  return body;
}

export function address(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined) query.append(name, each);
    }
  }
  const asked = query.toString();
  return BASE + path + (asked ? `?${asked}` : "");
}

/**
 * Follow one job. The browser reconnects by itself and sends the id of the last event that it got. A hidden page closes
 * its connection: a browser has six for one address, and other windows need them.
 */
export function follow(path, { rows, job, reset, state }) {
  let source = null;
  let timer = 0;
  let last = "";
  const open = () => {
    source = new EventSource(address(path, { after: last || null }));
    source.addEventListener("open", () => state("live"));
    source.addEventListener("error", () => {
      state("lost");
      if (source?.readyState === EventSource.CLOSED) {
        close();
        timer = setTimeout(seen, AGAIN_MS);
      } // refused: try anew
    });
    source.addEventListener("reset", (event) => {
      last = event.lastEventId;
      reset();
    });
    source.addEventListener("rows", (event) => {
      last = event.lastEventId;
      rows(JSON.parse(event.data));
    });
    source.addEventListener("job", (event) => job(JSON.parse(event.data)));
  };
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const seen = () => {
    if (document.hidden) {
      close();
      state("asleep");
    } else if (!source) open();
  };
  document.addEventListener("visibilitychange", seen);
  if (!document.hidden) open();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    close();
  };
}
