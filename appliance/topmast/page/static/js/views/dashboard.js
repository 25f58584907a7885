// A dashboard: its panels on the grid, kept fresh, with the state in the address.

import { firing, rules } from "../alerts.js";
import { regionsOf } from "../annotations.js";
import { getJson } from "../api.js";
import { live, rangeOf, refreshPicker, timePicker, variablePickers, zoomTo } from "../controls.js";
import { announce, fill, h, perFrame } from "../dom.js";
import { grid } from "../grid.js";
import { item, popover } from "../menu.js";
import { icon } from "../icons.js";
import { overview } from "../overview.js";
import { onTheme } from "../palette.js";
import { builtIns, historySeconds, scrapeSeconds } from "../prometheus.js";
import { ticker } from "../ticker.js";
import { duration, startFor } from "../timerange.js";
import { keepTime, parameters } from "../url.js";
import { interpolate, variablesOf } from "../variables.js";

const HOME = "application-overview";

/** Show the dashboard that the path names, until `close` is called. */
export async function open(host, { name = HOME } = {}, shell) {
  const asked = [getJson(`/api/dashboard/${encodeURIComponent(name)}`), scrapeSeconds(), historySeconds()];
  const [dashboard, scrape, history] = await Promise.all(asked);
  const defaults = { from: startFor(dashboard.time?.from, history), to: dashboard.time?.to, refresh: dashboard.refresh || "" };
  let scope = null;
  let loading = new AbortController();
  let alerts = null;

  const counted = perFrame(() => report(dashboard, shown.panels, head, alerts));
  const hooks = {
    scope: () => scope,
    settled: counted,
    zoom: zoomTo,
    sync: (dashboard.graphTooltip ?? 0) > 0 ? `topmast-${dashboard.uid}` : null,
  };
  const only = parameters().get("viewPanel");
  const shown = grid(only ? enlarged(dashboard, only) : dashboard, hooks);
  const head = only ? null : overview(dashboard);
  const toolbar = h("div.toolbar");
  fill(host, toolbar, head?.element, shown.element);
  host.dataset.enlarged = Boolean(only);

  const prepare = () => {
    const variables = variablesOf(dashboard);
    const range = rangeOf(defaults);
    scope = { range, variables, scrape, regions: scope?.regions ?? [] };
    scope.substitute = (text) => interpolate(text, variables, builtIns(scope, scrape));
  };
  const refresh = async () => {
    loading.abort();
    loading = new AbortController();
    const { signal } = loading;
    prepare();
    const asked = scope;
    const annotated = regionsOf(dashboard, asked, signal).then((regions) => {
      if (signal.aborted) return;
      asked.regions = regions;
      shown.panels.forEach((each) => each.mark(asked));
    }, () => {});
    // What is in sight first.
    const ordered = shown.panels.map((each) => [distance(each.element), each]).sort(([a], [b]) => a - b).map(([, each]) => each);
    await Promise.all([
      annotated,
      ...ordered.map((each) => each.load(scope, signal)),
      rules(signal).then(
        (found) => {
          alerts = firing(found);
          shell.firing(alerts);
          counted();
        },
        () => {},
      ),
    ]);
  };
  const clock = ticker(refresh);
  const retool = () => {
    fill(
      toolbar,
      titleOf(dashboard, name, only),
      h("div.variables", {}, variablePickers(scope.variables, scope)),
      h("span.space"),
      timePicker(defaults),
      refreshPicker(defaults, refresh),
    );
    const chosen = parameters().get("refresh") ?? defaults.refresh;
    clock.every(live(defaults) ? duration(chosen) : 0);
  };
  prepare();
  retool();
  const offTheme = onTheme(() => shown.panels.forEach((each) => each.redraw()));
  refresh();
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();

  return {
    refresh,
    /** The address changed, but not the path: the same panels for another time or choice. */
    changed() {
      if (parameters().get("viewPanel") !== only) return false;
      prepare();
      retool();
      refresh();
      return true;
    },
    key(event) {
      if (event.key === "Escape" && only) history.back();
    },
    close() {
      loading.abort();
      clock.stop();
      offTheme();
      shown.panels.forEach((each) => each.destroy());
      delete window.topmastPanels;
    },
  };
}

function enlarged(dashboard, id) {
  const all = dashboard.panels.flatMap((model) => [model, ...(model.panels ?? [])]);
  const found = all.filter((model) => String(model.id) === id && model.type !== "row");
  return { ...dashboard, panels: found.map((model) => ({ ...model, gridPos: { x: 0, y: 0, w: 24, h: 16 } })) };
}

function titleOf(dashboard, name, only) {
  const back = new URLSearchParams(location.search);
  back.delete("viewPanel");
  return h(
    "div.title",
    {},
    h("h1", {}, popover([h("span", {}, dashboard.title || name), icon("chevron", 14)], dashboardChoices, { kind: "button.title-button", "aria-label": `Dashboard: ${dashboard.title || name}` })),
    only && h("a.button", { href: `${location.pathname}?${back}` }, icon("left", 14), "All panels"),
  );
}

function dashboardChoices() {
  const list = h("div.choices", {}, h("p.hint", {}, "…"));
  getJson("/api/dashboards").then(
    ({ dashboards }) =>
      fill(list, dashboards.map((each) =>
        h("a.item.two-lines", { href: keepTime(`/d/${encodeURIComponent(each.name)}`) }, h("span", {}, each.title, each.own && h("small.tag", {}, "yours")), h("small", {}, each.error ?? each.description ?? "")),
      )),
    (error) => fill(list, h("p.problem", {}, error.message)),
  );
  return list;
}

function distance(element) {
  const box = element.getBoundingClientRect();
  return box.bottom < 0 ? 1e6 - box.bottom : box.top;
}

// The title and window.topmastPanels tell a test, or a person with twenty tabs, how it stands.
function report(dashboard, panels, head, alerts) {
  const states = panels.map((each) => each.snapshot());
  window.topmastPanels = states;
  head?.update(panels, alerts);
  const withData = states.filter((each) => each.state === "ready").length;
  document.title = `${dashboard.title} · ${states.length} panels, ${withData} with data · Topmast`;
  const failed = states.filter((each) => each.state === "error").length;
  if (failed) announce(`${failed} of ${states.length} panels could not be drawn`);
}
