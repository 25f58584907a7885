// gauge: an arc a series between its minimum and maximum.

import { fill, h, svg } from "../dom.js";
import { display, fieldOf, reduce } from "../fields.js";

// Three quarters of a circle of radius 40, opening downward.
const LENGTH = 2 * Math.PI * 40 * 0.75;

export function create(panel, body) {
  const calc = panel.options?.reduceOptions?.calcs?.[0] ?? "lastNotNull";

  const draw = ({ frames }) => {
    fill(body, h("div.gauges", {}, frames.map((frame, index) => gauge(panel, frame, index, calc))));
  };
  return { draw, destroy: () => {} };
}

function gauge(panel, frame, index, calc) {
  const field = fieldOf(panel.fieldConfig, frame, index);
  const value = reduce(calc, frame.values);
  const shown = display(field, value);
  const low = field.min ?? 0;
  const high = field.max ?? 100;
  const share = Math.min(1, Math.max(0, ((value ?? low) - low) / (high - low || 1)));
  const arc = (stroke, length) =>
    svg("circle", {
      cx: 50, cy: 50, r: 40, fill: "none", stroke, "stroke-width": 9, "stroke-linecap": "round",
      "stroke-dasharray": `${length} 400`, transform: "rotate(135 50 50)",
    });
  return h(
    "figure.gauge",
    { role: "img", "aria-label": `${field.name}: ${shown.text}` },
    svg("svg", { viewBox: "0 0 100 88" }, arc("var(--track)", LENGTH), arc(shown.color, Math.max(share * LENGTH, 0.01))),
    h("span.gauge-value", { style: { "--status": shown.color } }, shown.text),
    h("figcaption", {}, field.name),
  );
}
