// The inbox: what each channel received, or would have, as long as none is configured.

import { getJson } from "../api.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { ticker } from "../ticker.js";
import { ago, stamp } from "../timerange.js";

const NAMES = { slack: "Slack", pagerduty: "PagerDuty", email: "E-mail", webhook: "Webhook" };

/** Show the inbox until it is closed. */
export async function open(host) {
  const list = h("ol.messages");
  const filters = h("div.chips", { role: "group", "aria-label": "Channel" });
  fill(host, h("div.toolbar", {}, h("div.title", {}, h("h1", {}, "Inbox")), filters, h("span.space"), h("p.hint", {}, "What each channel would have received while none is configured.")), list);
  let channel = "";
  let entries = [];

  const draw = () => {
    const counts = Object.groupBy(entries, (entry) => entry.channel);
    fill(
      filters,
      ["", ...Object.keys(counts).sort()].map((each) =>
        h("button.chip", { type: "button", "aria-pressed": String(each === channel), onclick: () => ((channel = each), draw()) }, each ? [icon(each, 14), NAMES[each] ?? each] : "All", h("small", {}, String(each ? counts[each].length : entries.length))),
      ),
    );
    const wanted = entries.filter((entry) => !channel || entry.channel === channel);
    fill(list, wanted.length ? wanted.map(message) : h("li.calm", {}, icon("inbox", 28), h("p", {}, "Nothing was sent yet.")));
    document.title = `Inbox (${entries.length}) · Topmast`;
  };
  let before = "";
  const refresh = async () => {
    try {
      entries = (await getJson("/api/inbox?limit=200")).notifications;
      const now = JSON.stringify([entries.length, entries[0]]);
      if (now !== before) draw();
      before = now;
    } catch (error) {
      before = "";
      fill(list, h("li.panel-word", { role: "alert" }, icon("warning", 18), h("p", {}, error.message)));
    }
  };
  const clock = ticker(refresh);
  await refresh();
  clock.every(3);
  return { refresh, close: () => clock.stop() };
}

function message(entry) {
  const at = Date.parse(entry.at) / 1000;
  const [first, ...rest] = String(entry.text).split("\n");
  return h(
    "li.message",
    { dataset: { status: entry.status, channel: entry.channel } },
    h("span.channel", { title: NAMES[entry.channel] ?? entry.channel }, icon(entry.channel, 18)),
    h(
      "div",
      {},
      h("div.message-head", {}, h("b", {}, NAMES[entry.channel] ?? entry.channel), h("span.quiet", {}, entry.receiver), entry.status && h("span.status", {}, entry.status), h("span.space"), h("time", { title: stamp(at, true), datetime: entry.at }, ago(at))),
      h("p.subject", {}, linked(first)),
      rest.length > 0 && h("p.text", {}, linked(rest.join("\n"))),
      (entry.alerts ?? []).length > 0 && h("div.chips", {}, entry.alerts.slice(0, 8).map((name) => h("a.chip", { href: `/alerts/${encodeURIComponent(name)}` }, icon("bell", 13), name))),
      h("details", {}, h("summary", {}, "As it was sent"), h("pre", { tabindex: "0" }, JSON.stringify(entry.raw, null, 2))),
    ),
  );
}

// Addresses in a message become links; those of this page stay in it.
function linked(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(/https?:\/\/[^\s<>"')]+/g)) {
    const url = URL.canParse(found[0]) ? new URL(found[0]) : null;
    const href = url?.origin === location.origin ? url.pathname + url.search : found[0];
    parts.push(text.slice(from, found.index), h("a", { href, target: href === found[0] ? "_blank" : null, rel: "noreferrer" }, found[0]));
    from = found.index + found[0].length;
  }
  return [...parts, text.slice(from)];
}
