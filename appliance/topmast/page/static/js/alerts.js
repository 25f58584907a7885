// Alerts as the engines have them: Prometheus' rules, and what Alertmanager made of them.

import { getJson } from "./api.js";

const ORDER = { critical: 0, warning: 1, info: 2, none: 3 };
const RANK = { firing: 0, pending: 1, inactive: 2 };

/** Return every alerting rule: {name, state, severity, category, summary, …, instances}; firing first. */
export async function rules(signal) {
  const [answer, routed] = await Promise.all([
    getJson("/api/v1/rules?type=alert", { signal }),
    getJson("/api/v2/alerts", { signal }).catch(() => []),
  ]);
  const found = answer.data.groups.flatMap((group) =>
    group.rules.map((rule) => ({
      name: rule.name,
      state: rule.state,
      severity: rule.labels?.severity ?? "none",
      category: rule.labels?.category ?? group.name,
      annotations: rule.annotations ?? {},
      labels: rule.labels ?? {},
      query: rule.query,
      wait: rule.duration,
      health: rule.health,
      error: rule.lastError ?? "",
      group: group.name,
      instances: rule.alerts.map((alert) => ({ ...alert, quiet: quiet(alert, routed) })),
    })),
  );
  return found.sort((a, b) => RANK[a.state] - RANK[b.state] || order(a.severity) - order(b.severity) || a.name.localeCompare(b.name));
}

/** Return the rules that fire, but for the one that always does to show that the path works. */
export function firing(found) {
  return found.filter((rule) => rule.state === "firing" && rule.name !== "Watchdog");
}

const order = (severity) => ORDER[severity] ?? 2;

// Alertmanager says who is silenced or muted by another; it knows alerts by their labels.
function quiet(alert, routed) {
  const match = routed.find(({ labels }) => Object.entries(alert.labels).every(([name, value]) => labels[name] === value));
  if (match?.status?.silencedBy?.length) return "silenced";
  if (match?.status?.inhibitedBy?.length) return "muted by a worse one";
  return "";
}

/** Return the measured side of an alert's expression, without its comparison, and what it is compared with. */
export function measured(query) {
  let rest = stripped(query.trim());
  for (let depth = 0; depth < 6; depth += 1) {
    const head = before(rest, /^(?:and|or|unless)\b/);
    if (head === rest) {
      const split = comparison(rest);
      return split ?? { left: rest, operator: "", right: "" };
    }
    rest = stripped(head.trim());
  }
  return { left: rest, operator: "", right: "" };
}

function comparison(text) {
  const left = before(text, /^(?:==|!=|<=|>=|<|>)/);
  if (left === text) return null;
  const [, operator, right] = /^(==|!=|<=|>=|<|>)\s*(?:bool\b)?\s*(.*)$/s.exec(text.slice(left.length));
  return { left: left.trim(), operator, right: right.trim() };
}

// The text before the first match outside of brackets and strings; all of it when there is none.
function before(text, pattern) {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"' || char === "'" || char === "`") {
      for (at += 1; at < text.length && text[at] !== char; at += 1) if (text[at] === "\\") at += 1;
    } else if ("([{".includes(char)) depth += 1;
    else if (")]}".includes(char)) depth -= 1;
    else if (depth === 0 && pattern.test(text.slice(at)) && (at === 0 || /[\s)\]}\d]/.test(text[at - 1]) || /[<>=!]/.test(char))) return text.slice(0, at);
  }
  return text;
}

/** Return the number that an expression is compared with (`0.85`, `14.4 * 0.001`), or NaN. */
export function limitOf(right) {
  return right === "" ? Number.NaN : right.split("*").reduce((product, each) => product * Number(each), 1);
}

function stripped(text) {
  while (text.startsWith("(") && text.endsWith(")")) {
    let depth = 0;
    for (let at = 0; at < text.length; at += 1) {
      if (text[at] === "(") depth += 1;
      if (text[at] === ")") depth -= 1;
      if (depth === 0 && at < text.length - 1) return text;
    }
    text = text.slice(1, -1).trim();
  }
  return text;
}
