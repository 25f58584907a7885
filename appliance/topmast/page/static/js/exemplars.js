// Exemplars: single requests beside the lines of a latency chart, each with the trace it belongs to.

import { getJson } from "./api.js";
import { h } from "./dom.js";
import { item } from "./menu.js";
import { clock, stamp } from "./timerange.js";

/** More points than this hide the lines; the highest of each stretch of time are kept. */
const MAX_POINTS = 60;
const STRETCHES = 30;
// An id in a link or a search is only ever letters and digits.
const TRACE = /^[\w-]{8,128}$/;
const AROUND_SECONDS = 900;

let told = null;

/** Return the points of an answer of query_exemplars: [{at, value, trace, labels}], oldest first. */
export function pointsOf(answer, { from, to }) {
  const found = (answer.data ?? []).flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map(({ labels, value, timestamp }) => ({ at: timestamp, value: Number(value), trace: labels.trace_id ?? labels.traceID ?? "", labels: { ...seriesLabels, ...labels } })),
  );
  const known = found.filter(({ at, value }) => Number.isFinite(value) && at >= from && at <= to);
  return thinned(known, from, to).sort((a, b) => a.at - b.at);
}

function thinned(points, from, to) {
  if (points.length <= MAX_POINTS) return points;
  const stretches = Map.groupBy(points, ({ at }) => Math.floor(((at - from) / (to - from)) * STRETCHES));
  const each = Math.floor(MAX_POINTS / STRETCHES);
  return [...stretches.values()].flatMap((part) => part.sort((a, b) => b.value - a.value).slice(0, each));
}

/** Return what an exemplar opens: its logs, and its trace where `page.trace_url` says where traces are. */
export async function linksOf({ trace, at }) {
  if (!TRACE.test(trace)) return [];
  told ??= getJson("/api/settings").catch(() => ((told = null), {}));
  const { trace_url: template } = await told;
  const search = new URLSearchParams({ q: `trace.id:${trace}`, from: Math.round((at - AROUND_SECONDS) * 1000), to: Math.round((at + AROUND_SECONDS) * 1000) });
  const links = [{ label: "Logs of this trace", href: `/logs?${search}` }];
  if (template) links.push({ label: "The trace itself", href: template.replaceAll("{trace_id}", trace) });
  return links;
}

/** Return a table of the highest exemplars with their links, for readers who do not point at a chart. */
export function exemplarTable(points, text) {
  const highest = [...points].sort((a, b) => b.value - a.value).slice(0, 20);
  const row = (point) => {
    const cell = h("td", {}, point.trace || "no trace");
    linksOf(point).then((links) => cell.append(...links.map(({ label, href }) => h("a.cell-link", { href, target: href.startsWith("/") ? null : "_blank", rel: "noreferrer" }, label))));
    return h("tr", {}, h("th", { scope: "row" }, stamp(point.at, true)), h("td.number", {}, text(point.value)), cell);
  };
  return h(
    "table.data",
    {},
    h("caption", {}, "Single requests, slowest first"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "time"), h("th.number", { scope: "col" }, "took"), h("th", { scope: "col" }, "trace"))),
    h("tbody", {}, highest.map(row)),
  );
}

/** Return the small menu of one exemplar. */
export function exemplarMenu(point, text) {
  const list = h("div", {}, h("p.hint", {}, "…"));
  const { __name__: name, trace_id: id, traceID: other, le: bound, ...labels } = point.labels;
  linksOf(point).then((links) => list.replaceChildren(...(links.length ? links.map(({ label, href }) => item(label, { href })) : [h("p.hint", {}, "it names no trace")])));
  return [
    h("p.popover-text", {}, h("b", {}, text(point.value)), ` at ${clock(point.at, true)}`, h("br"), h("small", {}, Object.entries(labels).map(([key, value]) => `${key} ${value}`).join(" · "))),
    list,
  ];
}
