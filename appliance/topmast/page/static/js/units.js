// Values in words: the units that dashboards use, with Grafana's ids. An unknown unit becomes a suffix.

const SI = ["", "k", "M", "G", "T", "P"];
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DEC = ["B", "kB", "MB", "GB", "TB", "PB"];
const CURRENCY = { currencyUSD: "$", currencyEUR: "€", currencyGBP: "£", currencyJPY: "¥" };
const PER_SECOND = { reqps: "req/s", ops: "ops/s", cps: "c/s", rps: "reads/s", wps: "writes/s", iops: "io/s" };

/** Return a number with about three significant digits, or with exactly `decimals` places. */
export function plain(value, decimals) {
  if (decimals !== undefined && decimals !== null) return grouped(value.toFixed(Math.min(decimals, 12)));
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (Number.isInteger(value) && size < 1e6) return grouped(String(value));
  if (size >= 100) return grouped(value.toFixed(0));
  if (size >= 10) return trimmed(value.toFixed(1));
  if (size >= 1) return trimmed(value.toFixed(2));
  if (size >= 0.001) return trimmed(value.toPrecision(3));
  return value.toExponential(1);
}

/** Return [number, unit] as text, so that the unit can be set smaller. */
export function parts(value, unit = "none", decimals = undefined) {
  if (value === null || value === undefined || Number.isNaN(value)) return ["–", ""];
  if (!Number.isFinite(value)) return [value > 0 ? "+∞" : "−∞", ""];
  if (unit in CURRENCY) return [CURRENCY[unit] + money(value, decimals), ""];
  if (unit in PER_SECOND) return [scaled(value, 1000, SI, decimals).join(""), ` ${PER_SECOND[unit]}`];
  switch (unit) {
    case "none":
    case "":
    case "string":
      return [plain(value, decimals), ""];
    case "short":
    case "sishort":
      return scaled(value, 1000, SI, decimals);
    case "percent":
      return [plain(value, decimals ?? percentDecimals(value)), " %"];
    case "percentunit":
      return [plain(value * 100, decimals ?? percentDecimals(value * 100)), " %"];
    case "s":
      return time(value, decimals);
    case "ms":
      return time(value / 1000, decimals);
    case "µs":
      return time(value / 1e6, decimals);
    case "ns":
      return time(value / 1e9, decimals);
    case "m":
      return time(value * 60, decimals);
    case "h":
      return time(value * 3600, decimals);
    case "d":
      return time(value * 86400, decimals);
    case "bytes":
      return spaced(scaled(value, 1024, IEC, decimals));
    case "decbytes":
      return spaced(scaled(value, 1000, DEC, decimals));
    case "bits":
      return spaced(scaled(value, 1000, ["b", "kb", "Mb", "Gb", "Tb"], decimals));
    case "Bps":
    case "binBps":
      return spaced(scaled(value, 1024, IEC.map((each) => `${each}/s`), decimals));
    case "hertz":
      return spaced(scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"], decimals));
    case "bool":
      return [value ? "true" : "false", ""];
    case "bool_yes_no":
      return [value ? "yes" : "no", ""];
    case "bool_on_off":
      return [value ? "on" : "off", ""];
    case "dateTimeAsIso":
    case "dateTimeFromNow":
      return [new Date(value).toISOString().replace("T", " ").slice(0, 19), ""];
    default:
      if (unit.startsWith("prefix:")) return [unit.slice(7) + plain(value, decimals), ""];
      return [plain(value, decimals), ` ${unit.replace(/^suffix:/, "")}`];
  }
}

/** Return the value as one text. */
export function format(value, unit, decimals) {
  return parts(value, unit, decimals).join("");
}

/** Return the value for an axis: no zeros behind the comma, so that round ticks look round. */
export function tick(value, unit) {
  const [number, name] = parts(value, unit);
  return trimmed(number) + name;
}

/** Return the steps between the ticks of an axis that read as round numbers, or undefined where tens do. */
export function steps(unit) {
  if (["bytes", "Bps", "binBps"].includes(unit)) return Array.from({ length: 61 }, (_, power) => 2 ** power);
  if (unit !== "s") return undefined;
  const small = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1].flatMap((each) => [each, 2 * each, 2.5 * each, 5 * each]);
  const days = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((each) => each * 86400);
  return [...small, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, ...days];
}

function time(value, decimals) {
  const size = Math.abs(value);
  if (size === 0) return ["0", " s"];
  if (size < 1e-3) return [plain(value * 1e6, decimals ?? (size < 1e-5 ? 1 : 0)), " µs"];
  if (size < 1) return [plain(value * 1e3, decimals ?? (size < 0.01 ? 2 : size < 0.1 ? 1 : 0)), " ms"];
  if (size < 120) return [plain(value, decimals), " s"];
  if (size < 7200) return [plain(value / 60, decimals), " min"];
  if (size < 172800) return [plain(value / 3600, decimals), " h"];
  return [plain(value / 86400, decimals), " days"];
}

function money(value, decimals) {
  const size = Math.abs(value);
  if (decimals !== undefined && decimals !== null) return plain(value, decimals);
  if (size >= 10_000) return scaled(value, 1000, SI).join("");
  if (size === 0 || size >= 0.1) return grouped(value.toFixed(2));
  if (size >= 0.0001) return value.toFixed(4);
  // One token's price: the first two digits, as it is written on price lists.
  return size >= 1e-9 ? trimmed(value.toFixed(1 - Math.floor(Math.log10(size)))) : "0.00";
}

function scaled(value, base, names, decimals) {
  let power = 0;
  let rest = value;
  while (Math.abs(rest) >= base && power < names.length - 1) {
    rest /= base;
    power += 1;
  }
  return [plain(rest, decimals), names[power]];
}

const spaced = ([number, unit]) => [number, unit ? ` ${unit}` : ""];
const trimmed = (text) => (text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text);
const grouped = (text) => text.replace(/^(-?\d+)/, (digits) => digits.replace(/\B(?=(\d{3})+$)/g, " "));

function percentDecimals(value) {
  const size = Math.abs(value);
  if (size < 0.005 || size >= 100 || Number.isInteger(value)) return 0;
  return size < 1 ? 2 : 1;
}
