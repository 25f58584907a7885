// Log search: a query, lines over time, the values to narrow it by, and the lines themselves, newest first.

import { getJson } from "../api.js";
import { chart } from "../chart.js";
import { rangeOf, live, timePicker, zoomTo } from "../controls.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { isError, lines } from "../loglines.js";
import { color, onTheme } from "../palette.js";
import { ticker } from "../ticker.js";
import { format } from "../units.js";
import { parameters, update } from "../url.js";

const DEFAULTS = { from: "now-1h", to: "now" };
const TAIL_SECONDS = 2;
const PAGE = 200;

/** Show the search until it is closed. */
export async function open(host) {
  const toolbar = h("div.toolbar");
  const box = h("input", { type: "search", name: "q", value: parameters().get("q") ?? "", placeholder: "level:error checkout", "aria-label": "Search the logs", spellcheck: "false", autocapitalize: "off", dataset: { hotkey: "/" } });
  const problem = h("p.problem", { role: "alert", hidden: true });
  const count = h("p.hint.count", { "aria-live": "polite" });
  const plotHost = h("div.plot", { role: "img", "aria-label": "Lines over time" });
  const facets = h("aside.facets", { "aria-label": "Narrow by" });
  const list = h("div.log-list");
  const tail = h("button.button", { type: "button", "aria-pressed": "false" }, icon("play", 14), "Live tail");
  fill(
    host,
    toolbar,
    h("form.search", { role: "search", onsubmit: (event) => (event.preventDefault(), update({ q: box.value.trim() || null }, { push: true })) }, h("span.search-box", {}, icon("search"), box), h("button.button.primary", { type: "submit" }, "Search"), tail),
    problem,
    h("div.log-page", {}, facets, h("div", {}, h("div.histogram", {}, plotHost), count, list)),
  );
  const plot = chart(plotHost);
  let loading = new AbortController();
  let newest = "";

  const narrow = (field, value) => {
    const term = `${field}:${/^[\w.-]+$/.test(value) ? value : JSON.stringify(String(value))}`;
    const now = parameters().get("q") ?? "";
    if (now.includes(term)) return;
    update({ q: `${now} ${term}`.trim() }, { push: true });
  };

  const refresh = async () => {
    loading.abort();
    loading = new AbortController();
    const { signal } = loading;
    const range = rangeOf(DEFAULTS);
    const query = parameters().get("q") ?? "";
    const search = new URLSearchParams({ q: query, since: range.from });
    if (!live(DEFAULTS)) search.set("until", range.to);
    try {
      const { documents } = await getJson(`/api/logs?${search}&limit=${PAGE}`, { signal });
      problem.hidden = true;
      const key = JSON.stringify([query, documents.length, documents[0]?.event?.id ?? documents[0]]);
      if (key === newest) return;
      newest = key;
      fill(list, documents.length ? lines(documents, { query, narrow }) : h("div.calm", {}, icon("search", 28), h("p", {}, "No line matches in this range.")));
      document.title = `Logs${query ? `: ${query}` : ""} · ${documents.length} lines · Topmast`;
      // What is counted over all matches may take longer than the newest lines.
      const [over, about] = await Promise.all([getJson(`/api/logs/histogram?${search}`, { signal }), getJson(`/api/logs/facets?${search}`, { signal })]);
      drawHistogram(over, range);
      fill(count, counted(documents.length, about.matches));
      fill(facets, about.facets.map((facet) => facetOf(facet, narrow)));
    } catch (error) {
      if (error.name === "AbortError") return;
      newest = "";
      fill(problem, error.position === null ? error.message : pointed(query, error));
      problem.hidden = false;
      fill(list);
      fill(count);
    }
  };

  const drawHistogram = ({ step, buckets }, range) => {
    const first = Math.floor(range.from / step);
    const length = Math.floor(range.to / step) - first + 1;
    const rows = { errors: new Array(length).fill(0), rest: new Array(length).fill(0) };
    for (const { time, count: all, levels } of buckets) {
      const at = Math.floor(time / step) - first;
      if (at < 0 || at >= length) continue;
      rows.errors[at] = Object.entries(levels).reduce((sum, [level, number]) => (isError(level) ? sum + number : sum), 0);
      rows.rest[at] = all - rows.errors[at];
    }
    const bars = { drawStyle: "bars", fillOpacity: 100 };
    plot.update({
      times: Array.from({ length }, (_, index) => (first + index + 0.5) * step),
      lines: [
        { name: "errors", color: color("red"), values: rows.errors, custom: bars, shown: true },
        { name: "other lines", color: color("blue"), values: rows.rest, custom: bars, shown: true },
      ],
      text: (value) => format(value, "short"),
      range, step, stacked: true, onZoom: zoomTo,
    });
    const errors = rows.errors.reduce((a, b) => a + b, 0);
    plotHost.setAttribute("aria-label", `Lines over time: ${errors} of ${errors + rows.rest.reduce((a, b) => a + b, 0)} are errors`);
  };

  const clock = ticker(refresh);
  const tailing = (on) => {
    tail.setAttribute("aria-pressed", String(on));
    fill(tail, icon(on ? "pause" : "play", 14), on ? "Tailing" : "Live tail");
    clock.every(on ? TAIL_SECONDS : 0);
  };
  tail.addEventListener("click", () => {
    const on = tail.getAttribute("aria-pressed") !== "true";
    if (on && !live(DEFAULTS)) update({ from: "now-15m", to: null });
    tailing(on);
    if (on) refresh();
  });
  const retool = () => fill(toolbar, h("div.title", {}, h("h1", {}, "Logs")), h("span.space"), timePicker(DEFAULTS));
  retool();
  const offTheme = onTheme(refresh);
  await refresh();
  return {
    refresh,
    changed() {
      box.value = parameters().get("q") ?? "";
      if (!live(DEFAULTS)) tailing(false);
      retool();
      refresh();
      return true;
    },
    close: () => (loading.abort(), clock.stop(), offTheme(), plot.destroy()),
  };
}

function counted(shown, matches) {
  if (!matches) return "";
  return shown < matches ? `the newest ${shown} of ${format(matches, "none")} lines` : `${matches} lines`;
}

function facetOf({ field, values }, narrow) {
  return h(
    "section",
    {},
    h("h2", {}, field),
    h("ul", {}, values.map(([value, count]) => h("li", {}, h("button", { type: "button", onclick: () => narrow(field, value), title: `only ${field} ${value}` }, h("span", {}, value), h("small", {}, String(count)))))),
  );
}

// The query once more, with a mark under the place where it went wrong.
function pointed(query, error) {
  const at = Math.max(0, Math.min(error.position, query.length));
  return [h("span", {}, error.message), h("pre", { "aria-hidden": "true" }, `${query}\n${" ".repeat(at)}^`)];
}
