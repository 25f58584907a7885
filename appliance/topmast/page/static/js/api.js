// Asking the server: a few requests at a time, the same question only once, and errors as one sentence.

const MAX_AT_ONCE = 6;
// The server takes no more in one request.
const MAX_TOGETHER = 64;
const RETRY_MILLISECONDS = 300;
const GONE = "the page's own server does not answer; is Topmast running?";
// The real status comes in the header: an engine that is down must not fill the console with red lines.
const HEADERS = { accept: "application/json", "x-topmast-status": "header" };

let running = 0;
const queue = [];
const inFlight = new Map();
const gathered = [];

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

/** Change something (`POST` or `DELETE`): the header is one that only a page of this origin can send. */
export function change(method, path, body = null) {
  const headers = { ...HEADERS, "x-topmast-action": "silence", ...(body ? { "content-type": "application/json" } : {}) };
  return slot(async () => done(await reached(path, { method, headers, body: body && JSON.stringify(body) }), path));
}

async function done(response, path) {
  const status = Number(response.headers.get("x-topmast-status") ?? response.status);
  // Alertmanager answers a DELETE with nothing.
  return status < 400 && response.headers.get("content-length") === "0" ? null : told(response, path);
}

/** POST a form and return the JSON; the same form that is already on its way is not sent twice. */
export function postForm(path, form, { signal } = {}) {
  const body = new URLSearchParams(form).toString();
  const key = `${path} ${body}`;
  const known = inFlight.get(key);
  if (known && !known.signal?.aborted) return known.answer;
  const answer = new Promise((resolve, reject) => gather({ path, form: body, signal, resolve, reject }));
  inFlight.set(key, { answer, signal });
  const forget = () => inFlight.get(key)?.answer === answer && inFlight.delete(key);
  answer.then(forget, forget);
  return answer;
}

// What is asked in the same moment travels together: one request for all panels of a dashboard, answered line by line.
function gather(question) {
  if (!gathered.length) setTimeout(send);
  gathered.push(question);
}

function send() {
  const bySignal = Map.groupBy(gathered.splice(0), (question) => question.signal);
  for (const [signal, questions] of bySignal) {
    for (let at = 0; at < questions.length; at += MAX_TOGETHER) {
      const part = questions.slice(at, at + MAX_TOGETHER);
      const left = new Set(part);
      slot(() => together(part, left, signal), signal).catch((error) => {
        for (const each of left) each.reject(error);
      });
    }
  }
}

// Settles each question as its line arrives; `left` are those that none has come for yet.
async function together(questions, left, signal) {
  const body = JSON.stringify(questions.map(({ path, form }) => ({ path, form })));
  const headers = { ...HEADERS, "content-type": "application/json" };
  const response = await reached("/api/batch", { signal, method: "POST", body, headers });
  if (response.headers.get("content-type") !== "application/x-ndjson") await told(response, "/api/batch");
  try {
    for await (const { id, status, body: found } of linesOf(response)) {
      const question = questions[id];
      left.delete(question);
      if (status < 400) question.resolve(found);
      else question.reject(new AskError(String(found.error ?? `${question.path} answered ${status}`).slice(0, 500), { status }));
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : new AskError(GONE);
  }
  if (left.size) throw new AskError(GONE);
}

async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function ask(path, options) {
  const early = await taken(path);
  return told(early ?? (await reached(path, { ...options, headers: HEADERS })), path);
}

// What early.js asked for already; once, for it is older with every moment.
function taken(path) {
  const found = window.topmastEarly?.get(path);
  window.topmastEarly?.delete(path);
  return found ?? null;
}

// A browser drops what is on its way when the machine's network changes (a laptop that wakes up, a VPN).
async function reached(path, options) {
  try {
    return await fetch(path, options).catch(async (error) => {
      if (error.name === "AbortError") throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
      return fetch(path, options);
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new AskError(GONE);
  }
}

// The answer's JSON, or what went wrong in words.
async function told(response, path) {
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  const status = Number(response.headers.get("x-topmast-status") ?? response.status);
  if (status >= 400 || body === null) {
    const words = body?.error ?? body?.message ?? `${path.split("?")[0]} answered ${status}`;
    throw new AskError(String(words).slice(0, 500), { status, position: body?.position ?? null });
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
