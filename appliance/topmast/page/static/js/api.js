// Asking the server: a few requests at a time, the same question only once, and errors as one sentence.

const MAX_AT_ONCE = 6;
const RETRY_MILLISECONDS = 300;
// The real status comes in the header: an engine that is down must not fill the console with red lines.
const HEADERS = { accept: "application/json", "x-topmast-status": "header" };

let running = 0;
const queue = [];
const inFlight = new Map();

/** What went wrong, in words for the place where the answer would have been. */
export class AskError extends Error {
  constructor(message, { status = 0, position = null } = {}) {
    super(message);
    this.status = status;
    this.position = position;
  }
}

/** Return the JSON at PATH. Rejects with AskError, or AbortError when the signal fires. */
export function getJson(path, { signal } = {}) {
  return slot(() => ask(path, { signal }), signal);
}

/** POST a form and return the JSON; the same form that is already on its way is not sent twice. */
export function postForm(path, form, { signal } = {}) {
  const body = new URLSearchParams(form).toString();
  const key = `${path} ${body}`;
  const known = inFlight.get(key);
  if (known && !known.signal?.aborted) return known.answer;
  const answer = slot(() => ask(path, { signal, method: "POST", body: new URLSearchParams(body) }), signal);
  inFlight.set(key, { answer, signal });
  const forget = () => inFlight.get(key)?.answer === answer && inFlight.delete(key);
  answer.then(forget, forget);
  return answer;
}

async function ask(path, options) {
  let response;
  try {
    // A browser drops what is on its way when the machine's network changes (a laptop that wakes up, a VPN).
    response = await fetch(path, { ...options, headers: HEADERS }).catch(async (error) => {
      if (error.name === "AbortError") throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
      return fetch(path, { ...options, headers: HEADERS });
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new AskError("the page's own server does not answer; is Topmast running?");
  }
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  const status = Number(response.headers.get("x-topmast-status") ?? response.status);
  if (status >= 400 || body === null) {
    const told = body?.error ?? body?.message ?? `${path.split("?")[0]} answered ${status}`;
    throw new AskError(String(told).slice(0, 500), { status, position: body?.position ?? null });
  }
  return body;
}

function slot(action, signal) {
  return new Promise((resolve, reject) => {
    const start = () => {
      if (signal?.aborted) {
        reject(signal.reason ?? new DOMException("aborted", "AbortError"));
        next();
        return;
      }
      running += 1;
      action()
        .then(resolve, reject)
        .finally(() => {
          running -= 1;
          next();
        });
    };
    if (running < MAX_AT_ONCE) start();
    else queue.push(start);
  });
}

function next() {
  if (running < MAX_AT_ONCE && queue.length) queue.shift()();
}
