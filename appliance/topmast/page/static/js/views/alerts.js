// Alerts: what fires, what is about to, and every rule there is.

import { firing, rules } from "../alerts.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { silenceList, silences } from "../silences.js";
import { ticker } from "../ticker.js";
import { ago } from "../timerange.js";
import { format } from "../units.js";

/** Show the list until it is closed. */
export async function open(host, _, shell) {
  const body = h("div.alerts");
  const search = h("input", { type: "search", placeholder: "Find an alert", "aria-label": "Find an alert", dataset: { hotkey: "/" } });
  fill(host, h("div.toolbar", {}, h("div.title", {}, h("h1", {}, "Alerts")), h("span.space"), search), body);
  let found = [];
  let silenced = [];
  let loading = new AbortController();

  const draw = () => {
    const words = search.value.trim().toLowerCase();
    const matches = (rule) => !words || `${rule.name} ${rule.category} ${rule.severity} ${rule.annotations.summary ?? ""}`.toLowerCase().includes(words);
    const wanted = found.filter(matches);
    const burning = firing(wanted);
    const pending = wanted.filter((rule) => rule.state === "pending");
    const rest = wanted.filter((rule) => !burning.includes(rule) && !pending.includes(rule));
    const open = new Set([...body.querySelectorAll("details[open]")].map((each) => each.dataset.category));
    fill(
      body,
      burning.length
        ? section("Firing", burning.map(card))
        : h("div.calm", {}, icon("check", 28), h("p", {}, words ? "No alert of that name fires." : "Nothing fires."), h("small", {}, `${found.length} rules are watched.`)),
      pending.length > 0 && section("Waiting for their time", pending.map(card)),
      silenced.length > 0 && h("section", {}, h("h2", {}, "Silences", h("small", {}, String(silenced.length))), silenceList(silenced, refresh)),
      categories(rest).map(([category, members]) =>
        h("details.rule-group", { dataset: { category }, open: words || open.has(category) }, h("summary", {}, h("span", {}, category), h("small", {}, String(members.length))), h("ul.rules", {}, members.map(line))),
      ),
    );
    document.title = `${burning.length ? `${burning.length} firing` : "Alerts"} · Topmast`;
  };
  const refresh = async () => {
    loading.abort();
    loading = new AbortController();
    try {
      [found, silenced] = await Promise.all([rules(loading.signal), silences(null, loading.signal).catch(() => [])]);
      shell.firing(firing(found));
      draw();
    } catch (error) {
      if (error.name !== "AbortError") fill(body, h("div.panel-word", { role: "alert" }, icon("warning", 18), h("p", {}, error.message)));
    }
  };
  search.addEventListener("input", draw);
  const clock = ticker(refresh);
  await refresh();
  clock.every(5);
  return { refresh, close: () => (loading.abort(), clock.stop()) };
}

function section(title, cards) {
  return h("section", {}, h("h2", {}, title, h("small", {}, String(cards.length))), h("div.alert-cards", {}, cards));
}

function categories(found) {
  const groups = new Map();
  for (const rule of found) groups.set(rule.category, [...(groups.get(rule.category) ?? []), rule]);
  return [...groups].sort(([a], [b]) => a.localeCompare(b));
}

function card(rule) {
  const since = Math.min(...rule.instances.map((each) => Date.parse(each.activeAt) / 1000));
  return h(
    "a.alert-card",
    { href: `/alerts/${rule.name}`, dataset: { severity: rule.severity, state: rule.state } },
    h("div.alert-head", {}, h("span.severity", {}, rule.severity), h("span.category", {}, rule.category), h("span.space"), h("time", {}, ago(since))),
    h("h3", {}, rule.name),
    h("p", {}, rule.annotations.summary ?? ""),
    h("ul.instances", {}, rule.instances.slice(0, 4).map((each) => h("li", {}, h("span", {}, where(each.labels) || "value"), each.quiet && h("span.tag", {}, each.quiet), h("b", {}, format(Number(each.value), "short"))))),
    rule.instances.length > 4 && h("small", {}, `and ${rule.instances.length - 4} more`),
  );
}

/** Return the labels that tell one instance from another. */
export function where(labels) {
  const hidden = new Set(["alertname", "severity", "category", "pair", "__name__"]);
  return Object.entries(labels).filter(([name]) => !hidden.has(name)).map(([name, value]) => `${name} ${value}`).join(" · ");
}

function line(rule) {
  return h(
    "li",
    {},
    h("a", { href: `/alerts/${rule.name}`, dataset: { severity: rule.severity } }, h("i.state", { dataset: { state: rule.state } }), h("span.name", {}, rule.name), h("span.summary", {}, rule.health === "err" ? rule.error : (rule.annotations.summary ?? "")), h("span.severity", {}, rule.severity)),
  );
}
