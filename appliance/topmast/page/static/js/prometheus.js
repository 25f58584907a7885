// A panel's targets asked of Prometheus: frames of numbers over time, or the sentence that says why there are none.

import { AskError, getJson, postForm } from "./api.js";
import { pointsOf } from "./exemplars.js";
import { duration, promDuration, stepFor } from "./timerange.js";
import { interpolate } from "./variables.js";

/** More lines than this nobody can tell apart, and a browser chokes on thousands. */
export const MAX_FRAMES = 100;

// A Prometheus that hangs must not keep the panels from saying so in their places.
const FACTS_MILLISECONDS = 3000;
const UNKNOWN = { scrape_seconds: null, history_seconds: null };

let known = null;

/** Return the scrape interval in seconds, as Prometheus itself measures it; 15 when it does not say. */
export async function scrapeSeconds() {
  return (await facts()).scrape_seconds || 15;
}

/** Return how far back Prometheus' data goes, in seconds; Infinity when it does not say. */
export async function historySeconds() {
  const { history_seconds: found } = await facts();
  // An empty store says a time far ahead.
  return found === null ? Infinity : Math.max(0, found);
}

function facts() {
  known ??= Promise.race([getJson("/api/prometheus"), new Promise((late) => setTimeout(late, FACTS_MILLISECONDS, UNKNOWN))])
    .catch(() => UNKNOWN)
    .then((found) => {
      // How far back it goes is another question with each dashboard; a refusal is asked again.
      known = null;
      return found;
    });
  return known;
}

/** Return the frames of a panel's targets: {frames, exemplars, notes, step}. `scope` is {range, variables, scrape}. */
export async function ask(panel, scope, { width, signal }) {
  const least = Math.max(duration(panel.interval), scope.scrape);
  const points = panel.maxDataPoints || Math.min(Math.max(Math.round(width / 2), 60), 800);
  const step = stepFor(scope.range, points, least);
  const names = builtIns(scope, step);
  const wanted = (panel.targets ?? []).filter((target) => target.expr && !target.hide);
  const marked = exemplarsOf(wanted, scope, names, signal);
  const results = await Promise.allSettled(
    wanted.map((target) => {
      const query = interpolate(target.expr, scope.variables, names);
      if (target.instant && !target.range) return instant(query, target, scope, signal);
      return series(query, target, scope, step, signal);
    }),
  );
  const failed = results.find((result) => result.status === "rejected");
  // A histogram without observations is NaN all along: there is no line to draw or to name.
  const frames = results
    .flatMap((result) => (result.status === "fulfilled" ? result.value : []))
    .filter((frame) => frame.values.some((value) => value !== null));
  if (failed && (!frames.length || failed.reason.name === "AbortError")) throw failed.reason;
  const notes = [];
  if (failed) notes.push(failed.reason.message);
  if (frames.length > MAX_FRAMES) notes.push(`showing ${MAX_FRAMES} of ${frames.length} series`);
  return { frames: frames.slice(0, MAX_FRAMES), exemplars: await marked, notes, step };
}

// Where there are none (or a Prometheus that keeps none) the lines are all there is.
async function exemplarsOf(targets, { range, variables }, names, signal) {
  const wanted = targets.filter((target) => target.exemplar);
  const answers = await Promise.all(
    wanted.map((target) => {
      const query = interpolate(target.expr, variables, names);
      return postForm("/api/v1/query_exemplars", { query, start: range.from, end: range.to }, { signal }).catch(() => ({}));
    }),
  );
  return answers.flatMap((answer) => pointsOf(answer, range));
}

/** Return the built-in variables of a query. */
export function builtIns({ range, scrape }, step) {
  const seconds = Math.round(range.to - range.from);
  return {
    __interval: promDuration(step),
    __interval_ms: String(step * 1000),
    // Grafana: at least four scrapes, and one more than the step, so that no point falls between two windows.
    __rate_interval: promDuration(Math.max(4 * scrape, step + scrape)),
    __range: `${seconds}s`,
    __range_s: String(seconds),
    __range_ms: String(seconds * 1000),
    __from: String(Math.round(range.from * 1000)),
    __to: String(Math.round(range.to * 1000)),
  };
}

/** Return one frame a series over the range; all frames of one answer share their `times`. */
export async function series(query, target, { range }, step, signal) {
  // On whole steps, so that points stay where they are while the window moves. As Grafana, none of the time to come:
  // the rate of a window that has hardly begun is no data, and looks like a fall to zero.
  const start = Math.floor(range.from / step) * step;
  const end = Math.floor(range.to / step) * step;
  const answer = await postForm("/api/v1/query_range", { query, start, end, step, timeout: "15s" }, { signal });
  const result = vectorOf(answer, "matrix");
  const length = Math.round((end - start) / step) + 1;
  const times = Array.from({ length }, (_, index) => start + index * step);
  return result.map(({ metric, values }) => {
    const row = new Array(length).fill(null);
    for (const [at, text] of values) row[Math.round((at - start) / step)] = number(text);
    return { refId: target.refId, labels: metric, name: legend(target.legendFormat, metric), times, values: row };
  });
}

async function instant(query, target, { range }, signal) {
  const answer = await postForm("/api/v1/query", { query, time: range.to.toFixed(3), timeout: "15s" }, { signal });
  if (answer.data?.resultType === "scalar") {
    const [at, text] = answer.data.result;
    return [{ refId: target.refId, labels: {}, name: target.legendFormat || "value", times: [at], values: [number(text)] }];
  }
  return vectorOf(answer, "vector").map(({ metric, value: [at, text] }) => ({
    refId: target.refId,
    labels: metric,
    name: legend(target.legendFormat, metric),
    times: [at],
    values: [number(text)],
  }));
}

function vectorOf(answer, kind) {
  if (answer.data?.resultType !== kind) throw new AskError(`expected a ${kind}, got ${answer.data?.resultType ?? "nothing"}`);
  return answer.data.result;
}

const number = (text) => {
  const value = Number(text.replace("Inf", "Infinity"));
  return Number.isNaN(value) ? null : value;
};

/** Return a series' name: the legend's format with the labels put in, or the metric with its labels. */
export function legend(format, labels) {
  if (format && format !== "__auto") {
    return format.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, name) => labels[name] ?? "").replace(/\s+/g, " ").trim();
  }
  const { __name__: metric = "", ...rest } = labels;
  const listed = Object.entries(rest).map(([name, value]) => `${name}="${value}"`).join(", ");
  return listed ? `${metric}{${listed}}` : metric || "value";
}
