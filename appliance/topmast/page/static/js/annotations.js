// What was going on: a dashboard's annotation queries as regions over its charts.

import { legend, series } from "./prometheus.js";
import { stepFor } from "./timerange.js";
import { interpolate } from "./variables.js";

const MAX_REGIONS = 200;

/** Return the regions of a dashboard in the range: {from, to, color, text}. A query that fails draws nothing. */
export async function regionsOf(dashboard, scope, signal) {
  const wanted = (dashboard.annotations?.list ?? []).filter((each) => each.enable !== false && (each.expr ?? each.target?.expr));
  const step = stepFor(scope.range, 240, scope.scrape);
  const found = await Promise.all(
    wanted.map(async (annotation) => {
      const query = interpolate(annotation.expr ?? annotation.target.expr, scope.variables, {});
      const frames = await series(query, { refId: "annotation" }, scope, step, signal).catch(() => []);
      return frames.flatMap((frame) =>
        (annotation.useValueForTime ? moments(frame, scope.range, step) : runs(frame, step)).map((run) => ({ ...run, color: annotation.iconColor, text: legend(annotation.titleFormat || annotation.name, frame.labels) })),
      );
    }),
  );
  return found.flat().slice(0, MAX_REGIONS);
}

/** Return the moments in the range that the values of a series tell, in milliseconds: each once, one step wide. */
export function moments({ values }, range, step) {
  const told = new Set(values.filter(Boolean).map((value) => value / 1000));
  return [...told].filter((at) => at >= range.from && at <= range.to).map((at) => ({ from: at, to: at + step }));
}

/** Return the stretches over which a series is there and not 0. */
export function runs({ times, values }, step) {
  const found = [];
  let open = null;
  values.forEach((value, index) => {
    if (value) {
      open ??= { from: times[index], to: times[index] };
      open.to = times[index] + step;
    } else if (open) {
      found.push(open);
      open = null;
    }
  });
  return open ? [...found, open] : found;
}
