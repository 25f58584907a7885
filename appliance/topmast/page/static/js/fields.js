// What a dashboard says about a series: unit, thresholds, mappings, overrides; and a value as text and colour.

import { color, seriesColor } from "./palette.js";
import { parts } from "./units.js";

/** Return the settings of one frame: the panel's defaults with the overrides that match it. */
export function fieldOf(fieldConfig, frame, index) {
  const defaults = fieldConfig?.defaults ?? {};
  const field = { ...defaults, custom: { ...defaults.custom }, name: frame.name, index };
  for (const override of fieldConfig?.overrides ?? []) {
    if (!matches(override.matcher, frame)) continue;
    for (const { id, value } of override.properties ?? []) {
      if (id?.startsWith("custom.")) field.custom[id.slice(7)] = value;
      else if (id) field[id] = value;
    }
  }
  if (field.displayName) field.name = field.displayName;
  return field;
}

function matches(matcher, frame) {
  const wanted = matcher?.options;
  switch (matcher?.id) {
    case "byName":
      return frame.name === wanted;
    case "byNames":
      return (wanted?.names ?? []).includes(frame.name);
    case "byFrameRefID":
      return frame.refId === wanted;
    case "byRegexp": {
      const [, pattern, flags] = /^\/(.*)\/([a-z]*)$/s.exec(wanted) ?? [null, wanted, ""];
      try {
        return new RegExp(pattern, flags).test(frame.name);
      } catch {
        return false; // not a pattern: it matches nothing, as in Grafana
      }
    }
    default:
      return false;
  }
}

/** Return the value as {number, unit, text, color, mapped}: the mapping's words win over the number. */
export function display(field, value) {
  const mapping = mapped(field.mappings ?? [], value);
  const [number, unit] = parts(value, field.unit, field.decimals);
  const text = mapping?.text ?? number + unit;
  return {
    number: mapping?.text ?? number,
    unit: mapping?.text === undefined ? unit : "",
    text,
    color: mapping?.color ? color(mapping.color) : valueColor(field, value),
    status: mapping?.color ?? stepOf(field, value)?.color ?? "text",
  };
}

function mapped(mappings, value) {
  for (const mapping of mappings) {
    const { options = {} } = mapping;
    if (mapping.type === "value" && options[String(value)]) return options[String(value)];
    if (mapping.type === "range" && value !== null) {
      if (value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return options.result;
    }
    if (mapping.type === "special") {
      const empty = value === null || value === undefined;
      const special = { null: empty, nan: Number.isNaN(value), "null+nan": empty || Number.isNaN(value) };
      if (special[options.match]) return options.result;
    }
  }
  return null;
}

/** Return the threshold steps as [{value, color}], values absolute and rising; the first is -Infinity. */
export function steps(field) {
  const { mode = "absolute", steps: given = [] } = field.thresholds ?? {};
  const low = field.min ?? 0;
  const high = field.max ?? 100;
  return given.map(({ value, color: name }, index) => {
    if (index === 0 || value === null || value === undefined) return { value: -Infinity, color: name };
    return { value: mode === "percentage" ? low + ((high - low) * value) / 100 : value, color: name };
  });
}

function stepOf(field, value) {
  if (value === null || value === undefined || Number.isNaN(value)) return null;
  return steps(field).findLast((step) => value >= step.value) ?? null;
}

function valueColor(field, value) {
  const mode = field.color?.mode ?? "thresholds";
  if (mode === "fixed") return color(field.color.fixedColor);
  if (mode.startsWith("palette-classic")) return seriesColor(field.index);
  return color(stepOf(field, value)?.color ?? "text");
}

/** Return the colour of a series' line. */
export function lineColor(field, last) {
  const mode = field.color?.mode ?? "palette-classic";
  if (mode === "fixed") return color(field.color.fixedColor);
  if (mode === "thresholds") return color(stepOf(field, last)?.color);
  return seriesColor(field.index);
}

const known = (values) => values.filter((value) => value !== null && value !== undefined && !Number.isNaN(value));

const CALCULATIONS = {
  lastNotNull: (values) => known(values).at(-1) ?? null,
  last: (values) => values.at(-1) ?? null,
  firstNotNull: (values) => known(values)[0] ?? null,
  first: (values) => values[0] ?? null,
  min: (values) => known(values).reduce((a, b) => (a === null || b < a ? b : a), null),
  max: (values) => known(values).reduce((a, b) => (a === null || b > a ? b : a), null),
  sum: (values) => known(values).reduce((a, b) => a + b, 0),
  count: (values) => known(values).length,
  mean: (values) => (known(values).length ? CALCULATIONS.sum(values) / known(values).length : null),
  range: (values) => CALCULATIONS.max(values) - CALCULATIONS.min(values),
  diff: (values) => (known(values).at(-1) ?? 0) - (known(values)[0] ?? 0),
};

export const CALCULATION_NAMES = {
  lastNotNull: "last",
  last: "last",
  firstNotNull: "first",
  first: "first",
  min: "min",
  max: "max",
  sum: "sum",
  count: "count",
  mean: "mean",
  range: "range",
  diff: "change",
};

/** Return one number of many, by Grafana's name of the calculation. */
export function reduce(calculation, values) {
  return (CALCULATIONS[calculation] ?? CALCULATIONS.lastNotNull)(values);
}

/** Return how many values of the frames are finite numbers. */
export function countPoints(frames) {
  let points = 0;
  for (const frame of frames) for (const value of frame.values) if (Number.isFinite(value)) points += 1;
  return points;
}
