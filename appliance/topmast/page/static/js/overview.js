// The head of the overview: is it up, is it slow, what does it cost, what broke. Every answer is read off the
// panels below it, so that there is no second definition of any number.

import { fill, h } from "./dom.js";
import { reduce } from "./fields.js";
import { icon } from "./icons.js";
import { format } from "./units.js";

// Panels of application-overview.json by id.
const SERVICES = 1;
const LATENCY = 5;
const ERRORS = 12;
const SPEND = 14;
const BUDGET = 15;
const SLA = 17;
const TARGET_SECONDS = 0.2;

/** Return the strip for this dashboard, or null: only the application overview has one. */
export function overview(dashboard) {
  if (dashboard.uid !== "application-overview") return null;
  const element = h("div.glance", { role: "list", "aria-label": "At one look" });
  fill(element, Object.values(QUESTIONS).map(({ question }) => card({ question, answer: "…", detail: "", state: "unknown", href: "#" })));
  return {
    element,
    update(panels, alerts) {
      const frames = (id) => panels.find((panel) => panel.id === id)?.frames() ?? [];
      fill(element, Object.values(QUESTIONS).map(({ question, answer }) => card({ question, ...answer(frames, alerts) })));
    },
  };
}

function card({ question, answer, detail, state, href }) {
  return h(
    "a.glance-card",
    { href, role: "listitem", dataset: { state } },
    h("span.question", {}, question),
    h(answer.length > 18 ? "span.answer.long" : "span.answer", {}, answer),
    h("span.detail", {}, detail),
    icon("right", 14),
  );
}

const last = (frame) => (frame ? reduce("lastNotNull", frame.values) : null);
const named = (frames, pattern) => frames.find((frame) => pattern.test(frame.name));
const UNKNOWN = { answer: "no answer yet", detail: "", state: "unknown" };

const QUESTIONS = {
  up: {
    question: "Is it up?",
    answer(frames) {
      const services = frames(SERVICES).map((frame) => [frame.name, last(frame)]);
      if (!services.length) return { ...UNKNOWN, href: "#panel-1" };
      const down = services.filter(([, value]) => value !== 1).map(([name]) => name);
      const available = last(named(frames(SLA), /^available/));
      return {
        answer: down.length ? `${listed(down)} down` : `all ${services.length} up`,
        detail: available === null ? "" : `${format(available, "percentunit", 2)} available over 30 days`,
        state: down.length ? "bad" : "good",
        href: "#panel-1",
      };
    },
  },
  slow: {
    question: "Is it slow?",
    answer(frames) {
      const api = last(named(frames(LATENCY), /^api P95/));
      const worst = frames(LATENCY).filter((frame) => / P95/.test(frame.name) && last(frame) !== null).sort((a, b) => last(b) - last(a))[0];
      if (api === null && !worst) return { answer: "no requests", detail: "in this range", state: "unknown", href: "#panel-5" };
      const shown = api ?? last(worst);
      const other = worst && !/^api /.test(worst.name) ? `; ${worst.name.replace(" P95", "")} ${format(last(worst), "s")}` : "";
      return {
        answer: `P95 ${format(shown, "s")}`,
        detail: `target ${format(TARGET_SECONDS, "s")}${other}`,
        state: shown > 5 ? "bad" : shown > TARGET_SECONDS ? "fair" : "good",
        href: "#panel-5",
      };
    },
  },
  cost: {
    question: "What does it cost?",
    answer(frames) {
      const spend = frames(SPEND).reduce((sum, frame) => sum + (last(frame) ?? 0), 0);
      if (!frames(SPEND).length) return { ...UNKNOWN, href: "#panel-14" };
      const day = named(frames(BUDGET), /^day$/);
      const forecast = named(frames(BUDGET), /^day, forecast/);
      const share = last(day);
      const end = forecast ? `, ${format(last(forecast), "percentunit")} by midnight` : "";
      return {
        answer: `${format(spend, "currencyUSD")} an hour`,
        detail: share === null ? "no day's budget set" : `${format(share, "percentunit")} of the day's budget${end}`,
        state: share === null ? "good" : share >= 1 ? "bad" : share >= 0.8 || (last(forecast) ?? 0) >= 1 ? "fair" : "good",
        href: "#panel-14",
      };
    },
  },
  broke: {
    question: "What broke?",
    answer(frames, alerts) {
      const failing = last(named(frames(ERRORS), /^requests/));
      const detail = failing === null ? "" : `${format(failing, "percentunit")} of requests fail`;
      if (alerts === null) return { ...UNKNOWN, detail, href: "/alerts" };
      const critical = alerts.filter((rule) => rule.severity === "critical");
      return {
        answer: alerts.length ? listed(alerts.map((rule) => rule.name)) : "nothing fires",
        detail,
        state: critical.length ? "bad" : alerts.length ? "fair" : "good",
        href: alerts.length === 1 ? `/alerts/${alerts[0].name}` : "/alerts",
      };
    },
  },
};

function listed(names) {
  return names.length > 2 ? `${names[0]} and ${names.length - 1} more` : names.join(" and ");
}
