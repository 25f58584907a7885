// A button that opens a small panel below it: closes with Escape, a click elsewhere, or a choice.

import { fill, h } from "./dom.js";

let open = null;

/** Return a button with a popover. `content(close)` returns what stands in it, made anew at each opening. */
export function popover(label, content, { kind = "button.button", align = "start", ...properties } = {}) {
  const button = h(kind, { type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", ...properties }, label);
  button.addEventListener("click", () => {
    if (open?.button === button) open.close();
    else show(button, content, properties["aria-label"] ?? "", align);
  });
  return button;
}

/** Open a popover of its own below a place on the screen (a DOMRect), for what has no button. */
export function popoverAt(box, content, label) {
  show({ getBoundingClientRect: () => box, setAttribute: () => {}, contains: () => false, focus: () => {} }, content, label, "start");
}

function show(button, content, label, align) {
  open?.close();
  const panel = h("div.popover", { role: "dialog", "aria-label": label });
  const close = () => {
    if (open?.panel !== panel) return;
    panel.remove();
    button.setAttribute("aria-expanded", "false");
    open = null;
  };
  open = { button, panel, close, again: () => place(panel, button, align) };
  button.setAttribute("aria-expanded", "true");
  fill(panel, content(close));
  document.body.append(panel);
  place(panel, button, align);
  (panel.querySelector("[data-first]") ?? panel.querySelector("button, a, input"))?.focus({ preventScroll: true });
}

function place(panel, button, align) {
  const at = button.getBoundingClientRect();
  const width = panel.offsetWidth;
  const wanted = align === "end" ? at.right - width : at.left;
  const left = Math.max(8, Math.min(wanted, innerWidth - width - 8));
  const below = innerHeight - at.bottom - 12;
  const height = panel.offsetHeight;
  const top = height <= below || at.top < below ? at.bottom + 4 : Math.max(8, at.top - height - 4);
  panel.style.left = `${left + scrollX}px`;
  panel.style.top = `${top + scrollY}px`;
  panel.style.maxHeight = `${Math.max(160, innerHeight - top - 12)}px`;
}

/** Return one line of a menu: a link or an action. */
export function item(label, { href, action, mark } = {}) {
  const content = [mark ?? null, h("span", {}, label)];
  return href ? h("a.item", { href }, content) : h("button.item", { type: "button", onclick: action }, content);
}

addEventListener("keydown", (event) => {
  if (!open) return;
  const { panel, button, close } = open;
  if (event.key === "Escape") {
    close();
    button.focus();
    event.stopPropagation();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const all = [...panel.querySelectorAll("button.item, a.item, label.item input")];
    if (!all.length || document.activeElement?.type === "text") return;
    const now = all.indexOf(document.activeElement);
    all[(now + (event.key === "ArrowDown" ? 1 : all.length - 1) + all.length) % all.length].focus();
    event.preventDefault();
  }
});
addEventListener("pointerdown", (event) => {
  if (open && !open.panel.contains(event.target) && !open.button.contains(event.target)) open.close();
});
// A phone that is turned, a window that is pulled.
addEventListener("resize", () => open?.again());
addEventListener("click", (event) => {
  if (open && event.target.closest?.("a.item")) open.close();
});
