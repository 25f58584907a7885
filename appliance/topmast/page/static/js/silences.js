// Silences: which there are, one more with one confirmation, and an end to one.

import { change, getJson } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { popover } from "./menu.js";
import { stamp } from "./timerange.js";

const LENGTHS = [
  [3600, "1 hour"],
  [4 * 3600, "4 hours"],
  [86400, "1 day"],
  [7 * 86400, "1 week"],
];
const HIDDEN = new Set(["severity", "category", "pair", "__name__"]);

/** Return the silences that hold or are about to, the next to end first; those of one alert when it is named. */
export async function silences(name = null, signal = undefined) {
  const found = await getJson("/api/v2/silences", { signal });
  const holding = found.filter((each) => each.status?.state !== "expired");
  const wanted = name === null ? holding : holding.filter((each) => each.matchers.some((one) => one.name === "alertname" && matches(one, name)));
  return wanted.sort((a, b) => a.endsAt.localeCompare(b.endsAt));
}

function matches({ value, isRegex, isEqual = true }, text) {
  let same = value === text;
  if (isRegex) {
    try {
      same = new RegExp(`^(?:${value})$`).test(text);
    } catch {
      same = false; // RE2 knows forms that this engine does not
    }
  }
  return same === isEqual;
}

/** Return the list of silences, each with a button that ends it; null when there is none. `changed` runs afterwards. */
export function silenceList(found, changed) {
  if (!found.length) return null;
  return h(
    "ul.silences",
    { "aria-label": "Silences" },
    found.map((each) => {
      const problem = h("span.problem", { role: "alert", hidden: true });
      const end = async (event) => {
        event.target.disabled = true;
        await say(problem, () => change("DELETE", `/api/silence/${encodeURIComponent(each.id)}`), "The silence has ended", changed);
        event.target.disabled = false;
      };
      return h(
        "li",
        {},
        icon("muted", 16),
        h(
          "div",
          {},
          h("p.matchers", {}, each.matchers.map((one) => h("code", {}, `${one.name}${operator(one)}"${one.value}"`))),
          h("p.quiet", {}, `until ${stamp(Date.parse(each.endsAt) / 1000)} · ${each.createdBy}: ${each.comment}`),
          problem,
        ),
        h("button.button", { type: "button", "aria-label": `End the silence of ${title(each)}`, onclick: end }, "End now"),
      );
    }),
  );
}

const operator = ({ isRegex, isEqual = true }) => (isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=");
const title = (silence) => silence.matchers.find(({ name }) => name === "alertname")?.value ?? silence.matchers[0]?.value ?? silence.id;

/** Return the button that silences an alert: all of it, or one of the `instances()` that fire. */
export function silenceButton(name, instances, changed) {
  return popover([icon("muted", 14), "Silence"], (close) => form(name, instances(), close, changed), { "aria-label": `Silence ${name}`, align: "end" });
}

function form(name, instances, close, changed) {
  const choice = (kind, value, words, checked) => h("label.item", {}, h("input", { type: "radio", name: kind, value, checked }), h("span", {}, words));
  const told = instances.map(({ labels }) => Object.entries(labels).filter(([key]) => !HIDDEN.has(key) && key !== "alertname"));
  const comment = h("input", { type: "text", "aria-label": "Why", placeholder: "Why (for whoever comes after you)", maxlength: 500 });
  const problem = h("p.problem", { role: "alert", hidden: true });
  const send = async (event) => {
    event.preventDefault();
    const chosen = new FormData(event.target);
    const whom = told[Number(chosen.get("whom"))] ?? [];
    const wanted = { labels: { alertname: name, ...Object.fromEntries(whom) }, seconds: Number(chosen.get("seconds")), comment: comment.value };
    await say(problem, () => change("POST", "/api/silence", wanted), `${name} is silenced`, () => (close(), changed()));
  };
  return h(
    "form.silence-form",
    { onsubmit: send },
    instances.length > 1 || told[0]?.length > 0
      ? h("fieldset", {}, h("legend", {}, "What"), choice("whom", -1, `Everything of ${name}`, true), told.slice(0, 12).map((labels, at) => choice("whom", at, labels.map(([key, value]) => `${key} ${value}`).join(" · "), false)))
      : h("p", {}, `Everything of ${name}`),
    h("fieldset", {}, h("legend", {}, "For"), LENGTHS.map(([seconds, words], at) => choice("seconds", seconds, words, at === 0))),
    comment,
    h("p.hint", {}, "It still shows here; nobody is notified."),
    problem,
    h("button.button.primary", { type: "submit" }, "Silence"),
  );
}

async function say(problem, action, words, then) {
  try {
    await action();
    problem.hidden = true;
    announce(words);
    then();
  } catch (error) {
    fill(problem, error.message);
    problem.hidden = false;
  }
}
