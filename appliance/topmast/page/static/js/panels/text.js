// text: a note. Markdown is shown as the few things a note needs; HTML is shown as it is written, never run.

import { fill, h } from "../dom.js";
import { prose } from "../prose.js";

export function create(panel, body) {
  const source = String(panel.options?.content ?? "");
  const plain = panel.options?.mode === "code" || panel.options?.mode === "html";

  const draw = () => {
    fill(body, h("div.prose", {}, plain ? h("pre", {}, source) : prose(source)));
  };
  return { draw, destroy: () => {}, needsNoData: true };
}
