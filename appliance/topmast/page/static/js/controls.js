// The controls of a view: time range, refresh, variables.

import { announce, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { item, popover } from "./menu.js";
import { PRESETS, isLive, label, resolve, seconds, stamp } from "./timerange.js";
import { parameters, update } from "./url.js";
import { choices, choose, isAll } from "./variables.js";

const REFRESHES = ["5s", "10s", "30s", "1m", "5m"];

/** Return the time range of the address, or of the view's default, in unix seconds. */
export function rangeOf(defaults = {}) {
  const search = parameters();
  return resolve(search.get("from") ?? defaults.from, search.get("to") ?? defaults.to);
}

/** Return whether the range moves with the clock. */
export function live(defaults = {}) {
  return isLive(parameters().get("to") ?? defaults.to);
}

/** Set the range to two moments in unix seconds; Back returns to the one before. */
export function zoomTo(from, to) {
  if (to - from < 5) [from, to] = [(from + to) / 2 - 2.5, (from + to) / 2 + 2.5];
  update({ from: Math.round(from * 1000), to: Math.round(to * 1000) }, { push: true });
  announce(`Time range ${stamp(from)} to ${stamp(to)}`);
}

/** Return the buttons of the time range: back, picker, forth, wider. */
export function timePicker(defaults = {}) {
  const search = parameters();
  const from = search.get("from") ?? defaults.from ?? "now-1h";
  const to = search.get("to") ?? defaults.to ?? "now";
  const shift = (part) => {
    const range = rangeOf(defaults);
    const by = (range.to - range.from) * part;
    zoomTo(range.from + by, range.to + by);
  };
  const wider = () => {
    const range = rangeOf(defaults);
    const by = (range.to - range.from) / 2;
    zoomTo(range.from - by, Math.min(range.to + by, Date.now() / 1000));
  };
  return h(
    "div.joined",
    { role: "group", "aria-label": "Time range" },
    h("button.button.icon-only.roomy", { type: "button", "aria-label": "Earlier", title: "Earlier (←)", onclick: () => shift(-0.5) }, icon("left")),
    popover([icon("clock"), h("span", {}, label(from, to))], (close) => timeChoices(from, to, defaults, close), { "aria-label": `Time range: ${label(from, to)}`, align: "end" }),
    h("button.button.icon-only.roomy", { type: "button", "aria-label": "Later", title: "Later (→)", onclick: () => shift(0.5) }, icon("right")),
    h("button.button.icon-only.roomy", { type: "button", "aria-label": "Wider", title: "Wider (z)", onclick: wider }, icon("zoomout")),
  );
}

function timeChoices(from, to, defaults, close) {
  const range = rangeOf(defaults);
  const start = h("input", { type: "text", value: from.startsWith("now") ? from : stamp(range.from, true), "aria-label": "From", spellcheck: "false" });
  const end = h("input", { type: "text", value: to.startsWith("now") ? to : stamp(range.to, true), "aria-label": "To", spellcheck: "false" });
  const problem = h("p.problem", { role: "alert", hidden: true });
  const apply = (event) => {
    event.preventDefault();
    const [a, b] = [start.value.trim(), end.value.trim()];
    const [first, last] = [seconds(a), seconds(b)];
    if (first === null || last === null || last - first < 1) {
      fill(problem, first === null ? `not a time: ${a}` : last === null ? `not a time: ${b}` : "the end lies before the start");
      problem.hidden = false;
      return;
    }
    const put = (text, at) => (text.startsWith("now") ? text : Math.round(at * 1000));
    close();
    update({ from: put(a, first), to: put(b, last) }, { push: true });
  };
  return h(
    "div.time-choices",
    {},
    h("div.presets", {}, PRESETS.map(([value, words]) => item(words, { mark: value === from && to === "now" ? icon("check", 14) : h("i.no-mark"), action: () => (close(), update({ from: value, to: null }, { push: true })) }))),
    h("form", { onsubmit: apply }, h("label", {}, "From", start), h("label", {}, "To", end), h("p.hint", {}, "2026-05-01 14:00, or now-6h"), problem, h("button.button.primary", { type: "submit" }, "Show")),
  );
}

/** Return the refresh button with its interval. */
export function refreshPicker(defaults, refresh) {
  const chosen = parameters().get("refresh") ?? defaults.refresh ?? "";
  return h(
    "div.joined.refresh",
    { role: "group", "aria-label": "Refresh" },
    h("button.button.icon-only", { type: "button", "aria-label": "Refresh now", title: "Refresh now (r)", onclick: refresh }, icon("refresh")),
    popover(
      [h("span", {}, chosen && chosen !== "off" ? chosen : "off"), icon("chevron", 12)],
      (close) =>
        ["off", ...REFRESHES].map((each) =>
          item(each === "off" ? "Off" : `Every ${each}`, { mark: each === (chosen || "off") ? icon("check", 14) : h("i.no-mark"), action: () => (close(), update({ refresh: each })) }),
        ),
      { "aria-label": `Refresh: ${chosen || "off"}`, align: "end" },
    ),
  );
}

/** Return one button a variable, which opens its choices. */
export function variablePickers(variables, scope) {
  return variables
    .filter(({ model }) => model.hide !== 2 && model.type !== "constant")
    .map((variable) => {
      const shown = isAll(variable) ? "All" : variable.values.join(" + ");
      const text = [h("span.quiet", {}, variable.label), h("span.chosen", {}, shown)];
      return popover(text, (close) => variableChoices(variable, scope, close), {
        kind: isAll(variable) ? "button.button.variable" : "button.button.variable.set",
        "aria-label": `${variable.label}: ${shown}`,
        title: variable.model.description,
      });
    });
}

function variableChoices(variable, scope, close) {
  const list = h("div.choices", { "aria-busy": "true" }, h("p.hint", {}, "…"));
  const filter = h("input", { type: "text", placeholder: `Find ${variable.label.toLowerCase()}`, "aria-label": `Find ${variable.label}`, dataset: { first: "" } });
  const picked = new Set(isAll(variable) ? [] : variable.values);
  const { multi, includeAll } = variable.model;
  const kind = multi ? "checkbox" : "radio";
  const apply = () => {
    close();
    choose(variable, [...picked]);
  };
  const option = (value) =>
    h("label.item", { dataset: { value } }, h("input", { type: kind, name: variable.name, checked: picked.has(value), onchange: (event) => {
      if (!multi) picked.clear();
      if (event.target.checked) picked.add(value);
      else picked.delete(value);
      if (!multi) apply();
    } }), h("span", {}, value || "(empty)"));
  choices(variable, scope.range, scope.substitute).then(
    (values) => {
      list.setAttribute("aria-busy", "false");
      fill(list, values.length ? values.slice(0, 500).map(option) : h("p.hint", {}, "no values in this range"));
    },
    (error) => fill(list, h("p.problem", {}, error.message)),
  );
  filter.addEventListener("input", () => {
    for (const each of list.querySelectorAll("label.item")) each.hidden = !each.dataset.value.toLowerCase().includes(filter.value.toLowerCase());
  });
  return h(
    "div.variable-choices",
    {},
    filter,
    includeAll && item("All", { mark: isAll(variable) ? icon("check", 14) : h("i.no-mark"), action: () => (close(), choose(variable, [])) }),
    list,
    multi && h("button.button.primary", { type: "button", onclick: apply }, "Show"),
  );
}
