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
