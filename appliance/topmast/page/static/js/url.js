// The address is the state: time range, refresh, variables, the enlarged panel. A copied link shows the same.

const listeners = new Set();

/** Return the query parameters as they stand. */
export function parameters() {
  return new URLSearchParams(location.search);
}

/** Change query parameters (null removes one, a list repeats it); `push` makes it a step that Back undoes. */
export function update(changes, { push = false } = {}) {
  const now = parameters();
  for (const [name, value] of Object.entries(changes)) {
    now.delete(name);
    for (const each of [value].flat()) if (each !== null && each !== undefined && each !== "") now.append(name, each);
  }
  const search = now.toString();
  const address = location.pathname + (search ? `?${search}` : "");
  if (address === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
  tell();
}

/** Go to another address of the page. */
export function go(address) {
  history.pushState(null, "", address);
  tell();
}

/** Return PATH with the present time range kept, so that a change of view keeps the window one looks at. */
export function keepTime(path) {
  const kept = new URLSearchParams();
  for (const name of ["from", "to", "refresh"]) {
    const value = parameters().get(name);
    if (value) kept.set(name, value);
  }
  const search = kept.toString();
  return search ? `${path}${path.includes("?") ? "&" : "?"}${search}` : path;
}

/** Call back whenever the address changes. */
export function onAddress(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of [...listeners]) listener();
}

addEventListener("popstate", tell);

// Links of the page itself change the view without loading the document again.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || link.target === "_blank") return;
  const target = new URL(link.href);
  if (target.origin !== location.origin || target.pathname.startsWith("/api/")) return;
  if (target.hash && target.pathname === location.pathname) return;
  event.preventDefault();
  go(target.pathname + target.search + target.hash);
});
