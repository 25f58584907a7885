// A chart's legend: every series with its last and highest value; a click leaves one, another brings all back.

import { h } from "./dom.js";
import { CALCULATION_NAMES, reduce } from "./fields.js";

/** Return the legend of `lines`. `toggle(index, alone)` hides or isolates; calcs are Grafana's names. */
export function legend(lines, calcs, text, toggle) {
  return h(
    "ul.legend",
    { style: { "--least": `${74 + 72 * Math.max(calcs.length, 2)}px` } },
    lines.map((line, index) => {
      const values = calcs.map((calc) => [CALCULATION_NAMES[calc] ?? calc, text(reduce(calc, line.values), line)]);
      return h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(line.shown),
            title: `${line.name}: click shows it alone, Ctrl-click hides it`,
            onclick: (event) => toggle(index, !(event.ctrlKey || event.metaKey || event.shiftKey)),
          },
          h("i.dot", { style: { "--dot": line.color } }),
          h("span.name", {}, line.name),
          values.map(([name, value], at) =>
            h("span.value", {}, at === 0 && name === "last" ? null : h("small", {}, `${name} `), value),
          ),
        ),
      );
    }),
  );
}

/** Return which series are shown after a click, as a set of names; null means all of them. */
export function toggled(hidden, names, index, alone) {
  const name = names[index];
  const shown = names.filter((each) => !hidden.has(each));
  if (alone) {
    const isAlone = shown.length === 1 && shown[0] === name;
    return isAlone ? new Set() : new Set(names.filter((each) => each !== name));
  }
  const next = new Set(hidden);
  if (next.has(name)) next.delete(name);
  else next.add(name);
  return next.size === names.length ? new Set() : next;
}
