// Log lines as a list: time, level, service, message; a line opens to all of its fields.

import { fill, h } from "./dom.js";
import { stamp } from "./timerange.js";

const ERRORS = new Set(["error", "critical", "fatal", "alert", "emergency"]);

/** Return whether a level means that something failed. */
export function isError(level) {
  return ERRORS.has(String(level).toLowerCase());
}

/** Return the list. `narrow(field, value)` adds a field to the search; without it fields are only shown. */
export function lines(documents, { query = "", narrow = null } = {}) {
  const words = wordsOf(query);
  return h("ol.lines", {}, documents.map((document) => line(document, words, narrow)));
}

/** Return the plain words of a query, for highlighting: no fields, operators or negated words. */
export function wordsOf(query) {
  const words = [];
  for (const [, minus, field, quoted, plain] of query.matchAll(/(-|NOT\s+)?([\w.@]+:)?(?:"([^"]*)"|([^\s()"]+))/g)) {
    const word = quoted ?? plain;
    const isField = field && !/^message:$/.test(field);
    if (minus || isField || /^(AND|OR|NOT|TO)$/.test(word)) continue;
    const bare = word.replace(/\*/g, "");
    if (bare.length > 1) words.push(bare);
  }
  return words;
}

/** Return the text with the words marked. */
export function highlight(text, words) {
  if (!words.length) return [text];
  const pattern = new RegExp(words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"), "gi");
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(from, found.index), h("mark", {}, found[0]));
    from = found.index + found[0].length;
  }
  return [...parts, text.slice(from)];
}

function line(document, words, narrow) {
  const level = String(document.log?.level ?? "").toLowerCase();
  const severity = ERRORS.has(level) ? "error" : level.startsWith("warn") ? "warning" : level === "debug" || level === "trace" ? "debug" : "info";
  const details = h("div.line-fields", { hidden: true });
  const button = h(
    "button.line-head",
    { type: "button", "aria-expanded": "false", onclick: () => {
      const open = details.hidden;
      details.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
      if (open && !details.childNodes.length) fill(details, fields(document, narrow));
    } },
    h("time", {}, stamp(Date.parse(document["@timestamp"]) / 1000, true).slice(5)),
    h("span.level", { dataset: { severity } }, level || "–"),
    h("span.service", {}, document.service?.name ?? ""),
    h("span.message", {}, highlight(String(document.message ?? "").slice(0, 2000), words)),
  );
  return h("li.line", { dataset: { severity } }, button, details);
}

function fields(document, narrow) {
  return h(
    "dl",
    {},
    flat(document).map(([name, value]) => [
      h("dt", {}, name),
      h("dd", {}, narrow && h("button.narrow", { type: "button", title: `only lines with this ${name}`, onclick: () => narrow(name, value) }, "+"), h("span", {}, String(value))),
    ]),
  );
}

/** Return [path, value] of every leaf of a nested document. */
export function flat(document, prefix = "") {
  return Object.entries(document).flatMap(([key, value]) => {
    const path = prefix ? `${prefix}.${key}` : key;
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return flat(value, path);
    return [[path, Array.isArray(value) ? value.join(", ") : value]];
  });
}
