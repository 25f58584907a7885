// Before the first paint: the theme that was chosen here, else the one of the system.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("topmast.theme");
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();

// What the first view needs, asked while the script is still on its way; api.js takes it from here.
(() => {
  const name = location.pathname === "/" ? "application-overview" : /^\/d\/([^/]+)$/.exec(location.pathname)?.[1];
  const headers = { accept: "application/json", "x-topmast-status": "header" };
  const ask = (path) => [path, fetch(path, { headers }).catch(() => null)];
  window.topmastEarly = new Map(name ? [ask(`/api/dashboard/${name}`), ask("/api/prometheus")] : []);
})();
