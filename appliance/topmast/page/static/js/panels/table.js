// table: a row a series with its labels and value, after the transformations that the page knows.

import { fill, h } from "../dom.js";
import { display, fieldOf, reduce } from "../fields.js";
import { tableOf, transform } from "../transformations.js";

export function create(panel, body) {
  let sorted = null;

  const draw = (given) => {
    const { columns, rows } = transform(tableOf(given.frames, reduce), panel.transformations ?? []);
    if (sorted) order(rows, columns, sorted);
    const fields = columns.map((name, index) => fieldOf(panel.fieldConfig, { name }, index));
    const sortBy = (column) => {
      sorted = { column, down: sorted?.column === column ? !sorted.down : true };
      draw(given);
    };
    fill(
      body,
      h(
        "div.table-scroll",
        { tabindex: "0", role: "region", "aria-label": panel.title },
        h(
          "table.data",
          {},
          h("thead", {}, h("tr", {}, fields.map((field, index) => {
            const direction = sorted?.column === columns[index] ? (sorted.down ? "descending" : "ascending") : "none";
            const numbers = rows.some((row) => typeof row[index] === "number");
            return h(numbers ? "th.number" : "th", { scope: "col", "aria-sort": direction }, h("button", { type: "button", onclick: () => sortBy(columns[index]) }, field.name));
          }))),
          h("tbody", {}, rows.slice(0, 500).map((row) => h("tr", {}, row.map((value, index) => cell(fields[index], value))))),
        ),
      ),
      rows.length > 500 && h("p.note", {}, `the first 500 of ${rows.length} rows`),
    );
  };
  return { draw, destroy: () => {} };
}

function cell(field, value) {
  if (typeof value !== "number") return h("td", {}, value ?? "");
  const shown = display(field, value);
  const colored = ["color-text", "color-background"].includes(field.custom?.cellOptions?.type);
  return h("td.number", { style: colored ? { color: shown.color } : {} }, shown.text);
}

function order(rows, columns, { column, down }) {
  const at = columns.indexOf(column);
  const sign = down ? -1 : 1;
  rows.sort((a, b) => sign * (typeof a[at] === "number" ? a[at] - b[at] : String(a[at]).localeCompare(String(b[at]))));
}
