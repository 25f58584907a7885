// Runbooks: the list, or one of them.

import { getJson } from "../api.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { tree } from "../prose.js";

/** Show the runbook that the path names, or all of their names. */
export async function open(host, { name }) {
  const title = h("div.title", {}, name && h("a.button.icon-only", { href: "/runbooks", "aria-label": "All runbooks" }, icon("left")), h("h1", {}, name ? `Runbook: ${name}` : "Runbooks"));
  const body = h("article.prose.runbook.wide");
  fill(host, h("div.toolbar", {}, title, h("span.space"), name && h("a.button", { href: `/alerts/${encodeURIComponent(name)}` }, icon("bell", 14), "The alert")), body);
  document.title = `${name ?? "Runbooks"} · Topmast`;
  try {
    if (name) fill(body, tree((await getJson(`/api/runbook/${encodeURIComponent(name)}`)).nodes));
    else {
      const { runbooks } = await getJson("/api/runbooks");
      fill(body, runbooks.length ? h("ul", {}, runbooks.map((each) => h("li", {}, h("a", { href: `/runbooks/${each}` }, each)))) : h("p", {}, "There are none yet."));
    }
  } catch (error) {
    fill(body, h("p.hint", {}, error.message));
  }
  return { close: () => {} };
}
