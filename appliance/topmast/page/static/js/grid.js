// The grid: 24 columns of cells 30 pixels high, in groups that fold; one column on a phone.

import { h } from "./dom.js";
import { panel } from "./panel.js";
import { create as row } from "./panels/row.js";

/** Return the groups of a dashboard: {row, panels}; panels before the first row have no row. */
export function groupsOf(dashboard) {
  const ordered = [...(dashboard.panels ?? [])].sort((a, b) => (a.gridPos?.y ?? 0) - (b.gridPos?.y ?? 0) || (a.gridPos?.x ?? 0) - (b.gridPos?.x ?? 0));
  const groups = [{ row: null, panels: [] }];
  for (const model of ordered) {
    if (model.type === "row") groups.push({ row: model, panels: [...(model.panels ?? [])] });
    else groups.at(-1).panels.push(model);
  }
  return groups.filter((group) => group.row || group.panels.length);
}

/** Return {element, panels}: the dashboard laid out. Library panels without an id get one. */
export function grid(dashboard, hooks) {
  const panels = [];
  let next = 100_000;
  const sections = groupsOf(dashboard).map((group) => {
    const top = Math.min(...group.panels.map((model) => model.gridPos?.y ?? 0));
    const cells = h("div.cells", {}, group.panels.map((model) => {
      model.id ??= next++;
      const made = panel(model, hooks);
      place(made.element, model.gridPos ?? {}, top);
      panels.push(made);
      return made.element;
    }));
    const section = h("div.group");
    if (group.row) {
      const heading = h("div.row-head");
      const folded = group.row.collapsed === true;
      cells.hidden = folded;
      row(group.row, heading, { folded, fold: (now) => (cells.hidden = now) });
      section.append(heading);
    }
    section.append(cells);
    return section;
  });
  return { element: h("div.grid", {}, sections), panels };
}

function place(element, { x = 0, y = 0, w = 12, h: height = 8 }, top) {
  element.style.setProperty("--column", `${Math.min(x, 23) + 1} / span ${Math.min(w, 24 - Math.min(x, 23))}`);
  element.style.setProperty("--row", `${y - top + 1} / span ${height}`);
  element.style.setProperty("--height", height);
}
