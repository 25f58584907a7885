// row: the heading of a group of panels, which folds the group away.

import { h } from "../dom.js";
import { icon } from "../icons.js";

export function create(panel, body, { folded, fold }) {
  const button = h(
    "button.row-title",
    { type: "button", "aria-expanded": String(!folded), onclick: () => {
      const now = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!now));
      fold(now);
    } },
    icon("chevron", 14),
    panel.title || "Panels",
  );
  body.replaceChildren(h("h2", {}, button));
  return { draw: () => {}, destroy: () => {}, needsNoData: true };
}
