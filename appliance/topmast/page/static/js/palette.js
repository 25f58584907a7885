// Colours: Grafana's names and our series, from the style sheet, so that dark and light each have their own.

const NAMED = ["green", "orange", "red", "blue", "yellow", "purple", "text"];
const SERIES = 12;
const cache = new Map();
const listeners = new Set();

/** Return the value of a custom property of the root. */
export function token(name) {
  if (!cache.has(name)) {
    cache.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }
  return cache.get(name);
}

/** Return a CSS colour for a colour of a dashboard: a name with or without shade, or a literal. */
export function color(name) {
  if (!name) return token("text");
  if (name === "transparent") return "transparent";
  const plain = String(name).replace(/^(super-light|semi-dark|light|dark)-/, "");
  if (NAMED.includes(plain)) return token(plain);
  return /^(#[0-9a-f]{3,8}|rgba?\([\d.,%\s/]+\))$/i.test(name) ? name : token("text");
}

/** Return the colour of the n-th series. */
export function seriesColor(index) {
  return token(`series-${(index % SERIES) + 1}`);
}

/** Return a colour with opacity. */
export function fade(value, opacity) {
  const hex = /^#([0-9a-f]{6})$/i.exec(value);
  if (!hex) return value;
  const number = Number.parseInt(hex[1], 16);
  return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${opacity})`;
}

/** Return dark or light, as it is shown. */
export function theme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

/** Choose dark, light, or null for the system's. */
export function choose(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  try {
    if (chosen) localStorage.setItem("topmast.theme", chosen);
    else localStorage.removeItem("topmast.theme");
  } catch {
    // Storage is switched off: the choice holds until the page is left.
  }
  changed();
}

/** Call back when the theme changes. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  cache.clear();
  for (const listener of [...listeners]) listener();
}

matchMedia("(prefers-color-scheme: light)").addEventListener("change", changed);

// Paper is white, and its sheet has no frame that tells a chart its new size: the page takes the sheet's width and
// light colours before it is printed, so that every chart is drawn for it.
let before;
addEventListener("beforeprint", () => {
  if (before === undefined) before = document.documentElement.dataset.theme ?? null;
  printing(true, "light");
});
addEventListener("afterprint", () => {
  printing(false, before);
  before = undefined;
});

function printing(on, shade) {
  const root = document.documentElement;
  root.toggleAttribute("data-printing", on);
  if (shade) root.dataset.theme = shade;
  else delete root.dataset.theme;
  changed();
}
