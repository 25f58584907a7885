// bargauge: one bar a series between its minimum and maximum, with a tick where each threshold lies.

import { fill, h } from "../dom.js";
import { display, fieldOf, reduce, steps } from "../fields.js";
import { color } from "../palette.js";

export function create(panel, body) {
  const calc = panel.options?.reduceOptions?.calcs?.[0] ?? "lastNotNull";

  const draw = ({ frames }) => {
    // Without a maximum of its own, a panel's longest bar is its greatest value.
    const greatest = Math.max(0, ...frames.map((frame) => reduce(calc, frame.values) ?? 0)) || 1;
    fill(body, h("ul.bars", {}, frames.map((frame, index) => bar(panel, frame, index, calc, greatest))));
  };
  return { draw, destroy: () => {} };
}

function bar(panel, frame, index, calc, greatest) {
  const field = fieldOf(panel.fieldConfig, frame, index);
  const value = reduce(calc, frame.values);
  const shown = display(field, value);
  const low = field.min ?? 0;
  const high = field.max ?? greatest;
  const share = (each) => Math.min(1, Math.max(0, (each - low) / (high - low || 1)));
  const ticks = steps(field).filter((step) => Number.isFinite(step.value) && step.value < high);
  return h(
    "li",
    { style: { "--status": shown.color } },
    h("span.bar-name", { title: field.name }, field.name),
    h("span.bar-value", {}, shown.text),
    h(
      "span.bar-track",
      {},
      h("span.bar-fill", { style: { width: `${(share(value ?? low) * 100).toFixed(2)}%` } }),
      ticks.map((step) => h("i.bar-tick", { style: { left: `${(share(step.value) * 100).toFixed(2)}%`, "--tick": color(step.color) } })),
    ),
  );
}
