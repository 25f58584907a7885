// The shell: navigation, the view of the present path, keys.

import { firing, rules } from "./alerts.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { choose, onTheme, theme } from "./palette.js";
import { ticker } from "./ticker.js";
import { keepTime, onAddress } from "./url.js";

// Path → module of views/.
const VIEWS = [
  [/^\/$/, "dashboard"],
  [/^\/d\/(?<name>[^/]+)$/, "dashboard"],
  [/^\/alerts$/, "alerts"],
  [/^\/alerts\/(?<name>[^/]+)$/, "alert"],
  [/^\/inbox$/, "inbox"],
  [/^\/logs$/, "logs"],
  [/^\/query$/, "query"],
  [/^\/runbooks(?:\/(?<name>[^/]+))?$/, "runbooks"],
];
const NAVIGATION = [
  ["/", "Dashboards", "dashboard", /^\/(d\/|$)/],
  ["/alerts", "Alerts", "bell", /^\/alerts/],
  ["/logs", "Logs", "logs", /^\/logs/],
  ["/inbox", "Inbox", "inbox", /^\/inbox/],
];

const main = document.getElementById("main");
const badge = h("span.badge", { hidden: true });
let view = null;
let path = "";
let opening = 0;

const shell = {
  /** Show how many alerts fire beside the word Alerts. */
  firing(alerts) {
    badge.hidden = !alerts.length;
    badge.textContent = String(alerts.length);
    badge.dataset.severity = alerts.some((rule) => rule.severity === "critical") ? "critical" : "warning";
    badge.setAttribute("aria-label", `${alerts.length} firing`);
  },
};

function drawShell() {
  const themes = { dark: "moon", light: "sun" };
  fill(
    document.getElementById("shell"),
    h("a.brand", { href: "/", "aria-label": "Topmast, overview" }, h("img", { src: "/static/mark.svg", width: 26, height: 26, alt: "" }), h("span", {}, "Topmast")),
    h("nav", { "aria-label": "Views" }, NAVIGATION.map(([href, words, name, here]) => h("a", { href: href === "/logs" || href === "/" ? keepTime(href) : href, "aria-current": here.test(location.pathname) ? "page" : null }, icon(name, 18), h("span", {}, words), href === "/alerts" && badge))),
    h("span.space"),
    h("button.icon-button", { type: "button", "aria-label": `Theme: ${theme()}; switch`, title: "Dark or light (t)", onclick: () => choose(theme() === "dark" ? "light" : "dark") }, icon(themes[theme()], 18)),
  );
}

async function show() {
  drawShell();
  const found = VIEWS.map(([pattern, name]) => ({ name, match: pattern.exec(location.pathname) })).find(({ match }) => match);
  if (location.pathname === path && view?.changed?.()) return;
  path = location.pathname;
  const turn = (opening += 1);
  view?.close();
  view = null;
  main.dataset.view = found?.name ?? "none";
  if (!found) {
    fill(main, h("div.calm", {}, h("p", {}, "There is nothing at this address."), h("a", { href: "/" }, "The overview")));
    return;
  }
  try {
    const { open } = await import(`./views/${found.name}.js`);
    const host = h("div.view");
    fill(main, host);
    const given = Object.fromEntries(Object.entries(found.match.groups ?? {}).filter(([, value]) => value).map(([key, value]) => [key, decodeURIComponent(value)]));
    const opened = await open(host, given, shell);
    // Left again while it opened.
    if (turn !== opening) opened.close();
    else view = opened;
  } catch (error) {
    if (turn === opening) fill(main, h("div.panel-word", { role: "alert" }, icon("warning", 18), h("p", {}, error.message)));
  }
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const press = (label) => document.querySelector(`button[aria-label="${label}"]`)?.click();
  if (event.key === "/") {
    document.querySelector('[data-hotkey="/"]')?.focus();
    event.preventDefault();
  } else if (event.key === "r") view?.refresh?.();
  else if (event.key === "t") choose(theme() === "dark" ? "light" : "dark");
  else if (event.key === "z") press("Wider");
  else if (event.key === "ArrowLeft" && !event.target.closest?.("[tabindex='0']")) press("Earlier");
  else if (event.key === "ArrowRight" && !event.target.closest?.("[tabindex='0']")) press("Later");
  else view?.key?.(event);
});

onAddress(show);
onTheme(drawShell);

// The badge is kept on views that do not ask for alerts themselves.
ticker(async () => {
  if (["dashboard", "alerts"].includes(main.dataset.view)) return;
  const found = await rules().catch(() => []);
  shell.firing(firing(found));
}).every(15);

show();
