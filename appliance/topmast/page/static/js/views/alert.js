// One alert: whether it fires, its expression with the threshold drawn in, when it fired, and what to do.

import { firing, limitOf, measured, rules } from "../alerts.js";
import { getJson } from "../api.js";
import { runs } from "../annotations.js";
import { chart } from "../chart.js";
import { rangeOf, refreshPicker, timePicker, zoomTo } from "../controls.js";
import { fill, h } from "../dom.js";
import { reduce } from "../fields.js";
import { icon } from "../icons.js";
import { legend } from "../legend.js";
import { onTheme, seriesColor } from "../palette.js";
import { historySeconds, scrapeSeconds, series } from "../prometheus.js";
import { tree } from "../prose.js";
import { silenceButton, silenceList, silences } from "../silences.js";
import { ticker } from "../ticker.js";
import { ago, duration, stamp, startFor, stepFor } from "../timerange.js";
import { format, tick } from "../units.js";
import { parameters } from "../url.js";
import { where } from "./alerts.js";

// The newest first; the chart shows them all.
const MAX_PAST = 10;
const RANGE = { from: "now-6h", to: "now", refresh: "10s" };

/** Show the alert's page until it is closed. */
export async function open(host, { name }, shell) {
  document.title = `${name} · Topmast`;
  const toolbar = h("div.toolbar");
  const state = h("div.alert-state");
  const muted = h("div.alert-silences");
  const plotHost = h("div.plot", { role: "img", "aria-label": `What ${name} measures, over time` });
  const legendHost = h("div.legend-host");
  const word = h("p.hint");
  const past = h("ol.alert-history", { "aria-label": "When it fired" });
  const book = h("article.prose.runbook", { "aria-label": "Runbook" });
  fill(
    host,
    toolbar,
    h("div.alert-page", {}, h("div.alert-main", {}, state, muted, h("section.panel.tall", {}, h("header.panel-head", {}, h("h3", {}, "Measured, and when it fired"), h("span.space"), word), h("div.panel-body", {}, plotHost, legendHost)), past), book),
  );
  const plot = chart(plotHost);
  const [scrape, recorded] = await Promise.all([scrapeSeconds(), historySeconds()]);
  const defaults = { ...RANGE, from: startFor(RANGE.from, recorded) };
  let loading = new AbortController();
  let known = [];

  const refresh = async () => {
    loading.abort();
    loading = new AbortController();
    const { signal } = loading;
    try {
      const found = await rules(signal);
      shell.firing(firing(found));
      const rule = found.find((each) => each.name === name);
      if (!rule) {
        fill(state, h("div.panel-word", {}, icon("info", 18), h("p", {}, `Prometheus knows no alert ${name}; it may be switched off in topmast.yml.`)));
        return;
      }
      known = rule.instances;
      fill(state, facts(rule));
      await Promise.all([draw(rule, signal), drawSilences(signal)]);
    } catch (error) {
      if (error.name !== "AbortError") fill(state, h("div.panel-word", { role: "alert" }, icon("warning", 18), h("p", {}, error.message)));
    }
  };

  const drawSilences = async (signal) => {
    const found = await silences(name, signal).catch(() => []);
    if (!signal.aborted) fill(muted, silenceList(found, refresh));
  };

  const draw = async (rule, signal) => {
    const range = rangeOf(defaults);
    const step = stepFor(range, Math.max(plotHost.clientWidth / 2, 100), scrape);
    const { left, operator, right } = measured(rule.query);
    const limit = limitOf(right || (rule.annotations.threshold ?? ""));
    const [frames, history] = await Promise.all([
      series(left, { refId: "A", legendFormat: "" }, { range }, step, signal).catch(() => []),
      series(`max by (alertstate) (ALERTS{alertname="${name.replace(/["\\]/g, "")}"})`, { refId: "B" }, { range }, step, signal).catch(() => []),
    ]);
    const regions = history
      .filter((frame) => frame.labels.alertstate === "firing")
      .flatMap((frame) => runs(frame, step))
      .map((run) => ({ ...run, color: rule.severity === "critical" ? "red" : "orange", text: "fired" }));
    const seconds = regions.reduce((sum, each) => sum + each.to - each.from, 0);
    fill(word, regions.length ? `fired ${regions.length === 1 ? "once" : `${regions.length} times`} in this range, ${format(seconds, "s")} in all` : "did not fire in this range");
    fill(past, regions.toReversed().slice(0, MAX_PAST).map(({ from, to }) => h("li", {}, h("time", { datetime: new Date(from * 1000).toISOString() }, stamp(from, true)), h("span", {}, to >= range.to - 2 * step ? "fires since" : `fired for ${format(to - from, "s")}`))));
    if (!frames.length) {
      fill(legendHost, h("p.hint", {}, "the measured series has no data in this range"));
      return;
    }
    const unit = unitOf(left, limit);
    const lines = frames.slice(0, 20).map((frame, index) => ({ name: nameOf(frame, frames), color: seriesColor(index), values: frame.values, custom: { lineWidth: 1.5 }, shown: true }));
    const text = (value) => format(value, unit);
    plot.update({
      times: frames[0].times, lines, text, tick: (value) => tick(value, unit), range, step, regions, onZoom: zoomTo,
      thresholds: Number.isFinite(limit) ? [{ value: -Infinity, color: "green" }, { value: limit, color: operator.startsWith("<") ? "green" : "red" }].map((each, index) => (operator.startsWith("<") && index === 0 ? { ...each, color: "red" } : each)) : [],
      thresholdStyle: "line",
    });
    fill(legendHost, legend(lines, ["lastNotNull", "max"], text, () => {}));
    plotHost.setAttribute("aria-label", `What ${name} measures: ${lines.slice(0, 5).map((line) => `${line.name} ${text(reduce("lastNotNull", line.values))}`).join(", ")}; the limit is ${text(limit)}`);
  };

  const clock = ticker(refresh);
  let silence = null;
  const retool = () => {
    silence = silenceButton(name, () => known, refresh);
    fill(toolbar, h("div.title", {}, h("a.button.icon-only", { href: "/alerts", "aria-label": "All alerts" }, icon("left")), h("h1", {}, name)), h("span.space"), silence, timePicker(defaults), refreshPicker(defaults, refresh));
    clock.every(duration(parameters().get("refresh") ?? defaults.refresh));
  };
  retool();
  getJson(`/api/runbook/${encodeURIComponent(name)}`).then(
    ({ nodes }) => fill(book, tree(nodes)),
    (error) => fill(book, h("p.hint", {}, error.message)),
  );
  const offTheme = onTheme(refresh);
  await refresh();
  // The `Silence` link of a message: the form is open, what fires is in it, one confirmation is left.
  if (parameters().has("silence")) silence.click();
  return {
    refresh,
    changed: () => (retool(), refresh(), true),
    close: () => (loading.abort(), clock.stop(), offTheme(), plot.destroy()),
  };
}

// One label tells them apart in most cases: then its value is name enough.
function nameOf({ labels }, frames) {
  const differing = Object.keys(labels).filter((name) => name !== "__name__" && frames.some((other) => other.labels[name] !== labels[name]));
  return differing.length === 1 ? labels[differing[0]] : where(labels) || "value";
}

// In the unit of the value; a template of Prometheus' is not for reading.
const said = ({ limit = "", threshold }) => (limit && !limit.includes("{{") ? limit : threshold);

// The expression's own suffixes say what it measures.
function unitOf(expression, limit) {
  if (/ratio|\/\s*\(/.test(expression) && (Number.isNaN(limit) || Math.abs(limit) <= 1)) return "percentunit";
  if (/_seconds/.test(expression) && !/count|rate\(.*_sum/.test(expression)) return "s";
  if (/_bytes/.test(expression)) return "bytes";
  if (/usd/.test(expression)) return "currencyUSD";
  return "short";
}

function facts(rule) {
  const { annotations } = rule;
  const fact = (term, value) => value && [h("dt", {}, term), h("dd", {}, value)];
  return [
    h("div.alert-card.big", { dataset: { severity: rule.severity, state: rule.state } },
      h("div.alert-head", {}, h("span.severity", {}, rule.severity), h("span.category", {}, rule.category), h("span.space"), h("span.state-word", {}, rule.state === "inactive" ? "quiet" : rule.state)),
      h("p", {}, annotations.summary ?? ""),
      rule.instances.length > 0 && h("ul.instances", {}, rule.instances.slice(0, 10).map((each) => h("li", {}, h("span", {}, each.annotations?.description || where(each.labels)), each.quiet && h("span.tag", {}, each.quiet), h("time", {}, ago(Date.parse(each.activeAt) / 1000))))),
      rule.health === "err" && h("p.problem", {}, rule.error),
    ),
    h("dl.facts", {}, fact("for", rule.wait ? format(rule.wait, "s") : "at once"), fact("threshold", said(annotations)), fact("group", rule.group)),
    h("pre.expression", { tabindex: "0" }, rule.query),
  ];
}
