// One expression over a time range: where the `query` link of a message leads.

import { chart } from "../chart.js";
import { rangeOf, refreshPicker, timePicker, zoomTo } from "../controls.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { legend } from "../legend.js";
import { onTheme, seriesColor } from "../palette.js";
import { scrapeSeconds, series } from "../prometheus.js";
import { ticker } from "../ticker.js";
import { duration, stepFor } from "../timerange.js";
import { format, tick } from "../units.js";
import { parameters, update } from "../url.js";

const MAX_LINES = 20;
const RANGE = { from: "now-1h", to: "now", refresh: "10s" };
// As Prometheus names it in its own addresses.
const EXPRESSION = "g0.expr";

/** Show the address's expression until the view is closed. */
export async function open(host) {
  document.title = "Query · Topmast";
  const toolbar = h("div.toolbar");
  const plotHost = h("div.plot", { role: "img", "aria-label": "The expression over time" });
  const legendHost = h("div.legend-host");
  const word = h("p.hint");
  const field = h("textarea.expression", { rows: 3, spellcheck: false, "aria-label": "Expression", maxlength: 10000 });
  const show = (event) => (event.preventDefault(), update({ [EXPRESSION]: field.value.trim() }, { push: true }));
  const keys = (event) => {
    if (event.key === "Enter" && !event.shiftKey) show(event);
  };
  field.addEventListener("keydown", keys);
  fill(
    host,
    toolbar,
    h("form.query", { onsubmit: show }, field, h("button.button.primary", { type: "submit" }, "Show")),
    h("section.panel.tall", {}, h("header.panel-head", {}, h("h3", {}, "Over time, and its last value"), h("span.space"), word), h("div.panel-body", {}, plotHost, legendHost)),
  );
  const plot = chart(plotHost);
  const scrape = await scrapeSeconds();
  let loading = new AbortController();

  const refresh = async () => {
    loading.abort();
    loading = new AbortController();
    const expression = parameters().get(EXPRESSION) ?? "";
    if (!expression) {
      fill(word, "write a PromQL expression");
      return;
    }
    const range = rangeOf(RANGE);
    const step = stepFor(range, Math.max(plotHost.clientWidth / 2, 100), scrape);
    try {
      const frames = await series(expression, { refId: "A", legendFormat: "" }, { range }, step, loading.signal);
      const lines = frames.slice(0, MAX_LINES).map((frame, index) => ({ name: frame.name, color: seriesColor(index), values: frame.values, custom: { lineWidth: 1.5 }, shown: true }));
      const text = (value) => format(value, "short");
      fill(word, frames.length ? `${Math.min(frames.length, MAX_LINES)} of ${frames.length} series` : "no data in this range: a comparison shows only what exceeds it");
      plot.update({ times: frames[0]?.times ?? [range.from, range.to], lines, text, tick: (value) => tick(value, "short"), range, step, onZoom: zoomTo });
      fill(legendHost, lines.length > 0 && legend(lines, ["lastNotNull", "max"], text, () => {}));
    } catch (error) {
      if (error.name !== "AbortError") fill(word, h("span.problem", { role: "alert" }, icon("warning", 16), error.message));
    }
  };

  const clock = ticker(refresh);
  const retool = () => {
    field.value = parameters().get(EXPRESSION) ?? "";
    fill(toolbar, h("div.title", {}, h("h1", {}, "Query")), h("span.space"), timePicker(RANGE), refreshPicker(RANGE, refresh));
    clock.every(duration(parameters().get("refresh") ?? RANGE.refresh));
  };
  retool();
  const offTheme = onTheme(refresh);
  await refresh();
  return {
    refresh,
    changed: () => (retool(), refresh(), true),
    close: () => (loading.abort(), clock.stop(), offTheme(), plot.destroy()),
  };
}
