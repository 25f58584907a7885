// Time ranges: `now-1h`, a date or unix milliseconds, as Grafana writes them in its addresses.

const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, M: 2592000, y: 31536000 };
const WORDS = { s: "seconds", m: "minutes", h: "hours", d: "days", w: "weeks", M: "months", y: "years" };
const TWO = (number) => String(number).padStart(2, "0");

export const PRESETS = [
  ["now-5m", "Last 5 minutes"],
  ["now-15m", "Last 15 minutes"],
  ["now-30m", "Last 30 minutes"],
  ["now-1h", "Last hour"],
  ["now-3h", "Last 3 hours"],
  ["now-6h", "Last 6 hours"],
  ["now-12h", "Last 12 hours"],
  ["now-24h", "Last 24 hours"],
  ["now-2d", "Last 2 days"],
  ["now-7d", "Last 7 days"],
  ["now-30d", "Last 30 days"],
];

/** Return unix seconds for `now`, `now-6h`, milliseconds or an ISO date; null when it is none of them. */
export function seconds(text, now = Date.now() / 1000) {
  const relative = /^now(?:-(\d{1,6})([smhdwMy]))?$/.exec(text);
  if (relative) return now - (relative[1] ? Number(relative[1]) * UNITS[relative[2]] : 0);
  if (/^\d{9,14}$/.test(text)) return Number(text) / 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : date / 1000;
}

/** Return {from, to} in unix seconds; a range that makes no sense is the last hour. */
export function resolve(from, to, now = Date.now() / 1000) {
  const start = seconds(from ?? "now-1h", now);
  const end = seconds(to ?? "now", now);
  if (start === null || end === null || end - start < 1) return { from: now - 3600, to: now };
  return { from: start, to: end };
}

/** Return `from`, or on a young system the shortest preset that shows all there is: no chart is mostly empty. */
export function startFor(from, historySeconds) {
  const wanted = duration((from ?? "now-1h").slice("now-".length));
  const shorter = PRESETS.map(([preset]) => preset).find((preset) => duration(preset.slice("now-".length)) >= historySeconds);
  return shorter && duration(shorter.slice("now-".length)) < wanted ? shorter : from;
}

/** Return whether the range moves with the clock. */
export function isLive(to) {
  return (to ?? "now").startsWith("now");
}

/** Return the range in words. */
export function label(from, to) {
  const preset = PRESETS.find(([value]) => value === from);
  const moving = (to ?? "now") === "now";
  if (preset && moving) return preset[1];
  const [, number, unit] = /^now-(\d+)([smhdwMy])$/.exec(from) ?? [];
  if (unit && moving) return `Last ${number} ${WORDS[unit]}`;
  const range = resolve(from, to);
  const sameDay = new Date(range.from * 1000).toDateString() === new Date(range.to * 1000).toDateString();
  return `${stamp(range.from)} – ${sameDay ? clock(range.to) : stamp(range.to)}`;
}

/** Return `14:05` or `14:05:09`, local time. */
export function clock(at, withSeconds = false) {
  const date = new Date(at * 1000);
  return `${TWO(date.getHours())}:${TWO(date.getMinutes())}${withSeconds ? `:${TWO(date.getSeconds())}` : ""}`;
}

/** Return `2026-11-22 14:05`, local time. */
export function stamp(at, withSeconds = false) {
  const date = new Date(at * 1000);
  return `${date.getFullYear()}-${TWO(date.getMonth() + 1)}-${TWO(date.getDate())} ${clock(at, withSeconds)}`;
}

/** Return `just now`, `4 min ago`, `3 h ago`, `2 days ago`. */
export function ago(at, now = Date.now() / 1000) {
  const past = Math.max(0, now - at);
  if (past < 10) return "just now";
  if (past < 90) return `${Math.round(past)} s ago`;
  if (past < 5400) return `${Math.round(past / 60)} min ago`;
  if (past < 129600) return `${Math.round(past / 3600)} h ago`;
  return `${Math.round(past / 86400)} days ago`;
}

/** Return seconds of `15s`, `1m`, `1m30s`, `1h`; 0 for anything else. */
export function duration(text) {
  if (!/^(?:\d+(?:ms|[smhdwy]))+$/.test(text ?? "")) return 0;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    sum += Number(number) * (unit === "ms" ? 0.001 : UNITS[unit]);
  }
  return sum;
}

/** Return seconds as Prometheus writes them: `90s`, `1500ms`. */
export function promDuration(value) {
  return Number.isInteger(value) ? `${value}s` : `${Math.round(value * 1000)}ms`;
}

const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Return a round step of at least `least` seconds that gives at most `points` points over the range. */
export function stepFor(range, points, least) {
  const wanted = Math.max((range.to - range.from) / Math.max(points, 1), least, 1);
  return STEPS.find((step) => step >= wanted) ?? Math.ceil(wanted / 86400) * 86400;
}
