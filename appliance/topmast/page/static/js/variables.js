// Dashboard variables: their values from the address, their choices from Prometheus, and `$name` in a text.

import { getJson } from "./api.js";
import { parameters, update } from "./url.js";

const ALL = "$__all";
// $name, ${name}, ${name:format}, [[name]]
const REFERENCE = /\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]/g;

/** Return the variables of a dashboard with their present values: {name, label, values, model}. */
export function variablesOf(dashboard) {
  const search = parameters();
  return (dashboard.templating?.list ?? [])
    .filter((model) => model?.name)
    .map((model) => {
      const given = search.getAll(`var-${model.name}`);
      return { name: model.name, label: model.label || model.name, model, values: given.length ? given : initial(model) };
    });
}

function initial(model) {
  if (model.type === "constant" || model.type === "textbox") return [String(model.query ?? "")];
  const current = [model.current?.value ?? []].flat().map(String);
  if (current.length) return current;
  return model.includeAll ? [ALL] : [];
}

/** Return whether everything is chosen. */
export function isAll(variable) {
  return variable.values.length === 0 || variable.values.includes(ALL);
}

/** Put a choice into the address. */
export function choose(variable, values) {
  update({ [`var-${variable.name}`]: values.length ? values : [ALL] }, { push: true });
}

/** Return the values there are to choose from, as Prometheus knows them in the range. */
export async function choices(variable, range, substitute) {
  const { model } = variable;
  if (model.type === "custom" || model.type === "interval") {
    return String(model.query ?? "").split(",").map((each) => each.split(" : ").at(-1).trim()).filter(Boolean);
  }
  if (model.type === "datasource") return [String(model.query ?? "prometheus")];
  if (model.type !== "query") return variable.values;
  const text = typeof model.query === "string" ? model.query : (model.query?.query ?? model.definition ?? "");
  const query = substitute(text);
  const labelValues = /^\s*label_values\(\s*(?:(.+)\s*,\s*)?([a-zA-Z_]\w*)\s*\)\s*$/s.exec(query);
  if (!labelValues) throw new Error(`not a query for choices that this page knows: ${text.slice(0, 80)}`);
  const search = new URLSearchParams({ start: range.from.toFixed(0), end: range.to.toFixed(0) });
  if (labelValues[1]) search.set("match[]", labelValues[1]);
  const answer = await getJson(`/api/v1/label/${labelValues[2]}/values?${search}`);
  const found = filtered(answer.data, model.regex);
  return found.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}

function filtered(values, regex) {
  const [, pattern, flags] = /^\/(.*)\/([a-z]*)$/s.exec(regex ?? "") ?? [];
  if (!pattern) return values;
  const wanted = new RegExp(pattern, flags);
  return [...new Set(values.map((value) => wanted.exec(value)).filter(Boolean).map((found) => found[1] ?? found[0]))];
}

/** Return the text with every variable and built-in put in; what nobody knows stays as it is. */
export function interpolate(text, variables, builtIns) {
  return String(text).replace(REFERENCE, (whole, plain, braced, format, square, squareFormat) => {
    const name = plain ?? braced ?? square;
    if (name in builtIns) return builtIns[name];
    const variable = variables.find((each) => each.name === name);
    return variable ? formatted(variable, format ?? squareFormat) : whole;
  });
}

function formatted(variable, format) {
  if (isAll(variable) && variable.model.includeAll) return variable.model.allValue || ".*";
  const { values } = variable;
  switch (format) {
    case "raw":
    case "csv":
      return values.join(",");
    case "pipe":
      return values.join("|");
    case "text":
      return values.join(" + ");
    default:
      if (values.length === 1 && !variable.model.multi) return values[0];
      return values.length === 1 ? escaped(values[0]) : `(${values.map(escaped).join("|")})`;
  }
}

// For a regular expression inside a double-quoted string of PromQL: each backslash twice.
const escaped = (value) => value.replace(/[\\^$.*+?()[\]{}|]/g, "\\\\$&").replace(/"/g, '\\"');
