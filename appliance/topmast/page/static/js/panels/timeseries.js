// timeseries: lines, areas or bars over time, with thresholds and a legend.

import { chart } from "../chart.js";
import { fill, h } from "../dom.js";
import { fieldOf, lineColor, reduce, steps } from "../fields.js";
import { legend, toggled } from "../legend.js";
import { format, steps as tickSteps, tick } from "../units.js";

export function create(panel, body) {
  // a chart has a name before it has lines: what it shows follows with them
  const plotHost = h("div.plot", { role: "img", "aria-label": panel.title || "A chart" });
  const legendHost = h("div.legend-host");
  fill(body, plotHost, legendHost);
  const plot = chart(plotHost);
  let hidden = new Set();
  let last = null;

  const draw = ({ frames, exemplars, range, regions, step, zoom, sync }) => {
    last = { frames, exemplars, range, regions, step, zoom, sync };
    const fields = frames.map((frame, index) => fieldOf(panel.fieldConfig, frame, index));
    const lines = frames.map((frame, index) => ({
      name: fields[index].name,
      color: lineColor(fields[index], reduce("lastNotNull", frame.values)),
      values: frame.values,
      custom: fields[index].custom,
      field: fields[index],
      shown: !hidden.has(fields[index].name),
    }));
    const base = { ...panel.fieldConfig?.defaults };
    const custom = base.custom ?? {};
    const text = (value, line) => format(value, line?.field.unit ?? base.unit, line?.field.decimals ?? base.decimals);
    // Before the chart: what it leaves is the chart's height.
    const shown = panel.options?.legend ?? {};
    const visible = shown.showLegend !== false && shown.displayMode !== "hidden";
    fill(
      legendHost,
      visible &&
        legend(lines, shown.calcs ?? [], text, (index, alone) => {
          hidden = toggled(hidden, lines.map((line) => line.name), index, alone);
          draw(last);
        }),
    );
    plot.update({
      times: frames[0].times,
      lines,
      text: (value) => format(value, base.unit, base.decimals),
      tick: (value) => tick(value, base.unit),
      tickSteps: tickSteps(base.unit),
      range,
      step,
      regions,
      exemplars,
      sync,
      onZoom: zoom,
      min: base.min,
      max: base.max,
      log: custom.scaleDistribution?.type === "log",
      stacked: ["normal", "percent"].includes(custom.stacking?.mode),
      thresholds: steps(base),
      thresholdStyle: custom.thresholdsStyle?.mode,
    });
    plotHost.setAttribute("aria-label", summary(panel.title, lines, text, regions));
  };
  return { draw, marks: true, destroy: () => plot.destroy() };
}

function summary(title, lines, text, regions = []) {
  const told = lines.slice(0, 8).map((line) => `${line.name} ${text(reduce("lastNotNull", line.values), line)}`);
  const more = lines.length > 8 ? `, and ${lines.length - 8} more` : "";
  const meanwhile = [...new Set(regions.map((region) => region.text))].slice(0, 5).join(", ");
  return `${title}, chart over time. Now: ${told.join(", ")}${more}.${meanwhile && ` Meanwhile: ${meanwhile}.`}`;
}
