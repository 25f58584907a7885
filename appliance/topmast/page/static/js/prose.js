// Text with a little structure, built from elements: runbook trees from the server, and notes in Markdown.

import { h } from "./dom.js";

const TAGS = new Set(["h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "blockquote", "strong", "em", "s", "a", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "br", "hr"]);

/** Return the elements of a tree of `"text"` and `[tag, attributes, children]`. */
export function tree(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return node;
    const [tag, { href, language } = {}, children = []] = node;
    if (!TAGS.has(tag)) return tree(children);
    const kind = tag === "h1" ? "h2" : tag;
    if (tag === "pre") return h("pre", { dataset: language ? { language } : {}, tabindex: "0" }, h("code", {}, tree(children)));
    return h(kind, href ? { href, target: /^https?:/.test(href) ? "_blank" : null, rel: "noreferrer" } : {}, tree(children));
  });
}

/** Return a note's Markdown as paragraphs, headings, lists, bold, code and links. */
export function prose(source) {
  return source.split(/\n{2,}/).map((block) => {
    const heading = /^(#{1,6})\s+(.*)$/s.exec(block);
    if (heading) return h(`h${Math.min(heading[1].length + 1, 6)}`, {}, inline(heading[2]));
    if (/^\s*[-*]\s/.test(block)) {
      return h("ul", {}, block.split(/\n(?=\s*[-*]\s)/).map((each) => h("li", {}, inline(each.replace(/^\s*[-*]\s+/, "")))));
    }
    return h("p", {}, inline(block));
  });
}

function inline(text) {
  const found = /\*\*(.+?)\*\*|`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)/s.exec(text);
  if (!found) return [text];
  const [whole, bold, code, label, href] = found;
  const middle = bold ? h("strong", {}, bold) : code ? h("code", {}, code) : h("a", { href }, label);
  return [text.slice(0, found.index), middle, ...inline(text.slice(found.index + whole.length))];
}
