// stat: one large number a series, with its colour, and a sparkline where the panel asks for one.

import { fill, h, svg } from "../dom.js";
import { display, fieldOf, reduce } from "../fields.js";
import { fade } from "../palette.js";

export function create(panel, body) {
  const { options = {} } = panel;
  const calc = options.reduceOptions?.calcs?.[0] ?? "lastNotNull";

  const draw = ({ frames }) => {
    const tiles = frames.map((frame, index) => {
      const field = fieldOf(panel.fieldConfig, frame, index);
      return { frame, field, shown: display(field, reduce(calc, frame.values)) };
    });
    const named = options.textMode === "value_and_name" || (options.textMode !== "value" && tiles.length > 1);
    fill(
      body,
      h(
        "div.stats",
        { dataset: { orientation: options.orientation ?? "auto" }, style: { "--columns": columns(tiles.length, body.clientWidth) } },
        tiles.map(({ frame, field, shown }) => tile(frame, field, shown, named, options)),
      ),
    );
  };
  return { draw, destroy: () => {} };
}

// As many beside each other as fit, in rows of the same length.
function columns(count, width) {
  const fit = Math.max(1, Math.min(count, Math.floor(width / 96)));
  return Math.ceil(count / Math.ceil(count / fit));
}

function tile(frame, field, shown, named, options) {
  const link = field.links?.[0];
  const written = `${shown.number}${shown.unit ?? ""}`;
  const kind = link?.url?.startsWith("/") && !link.url.includes("${") ? "a.stat" : "div.stat";
  const mode = options.colorMode ?? "value";
  return h(
    kind,
    {
      href: kind === "a.stat" ? link.url : null,
      dataset: { mode, status: shown.status },
      style: { "--status": shown.color, "--letters": Math.max(written.length, 4) },
      title: options.textMode === "name" ? null : `${field.name}: ${shown.text}`,
    },
    options.graphMode === "area" && sparkline(frame.values, shown.color),
    h("span.stat-value", {}, shown.number, shown.unit && h("small", {}, shown.unit)),
    named && h("span.stat-name", {}, field.name),
  );
}

/** Return the series as a faint area without axes; nothing when there is no course to show. */
export function sparkline(values, stroke) {
  const known = values.filter((value) => value !== null);
  if (known.length < 3) return null;
  const low = Math.min(...known);
  const span = Math.max(...known) - low;
  if (span === 0) return null;
  const width = 100;
  const points = values
    .map((value, index) => (value === null ? null : [(index / (values.length - 1)) * width, 28 - ((value - low) / span) * 24]))
    .filter(Boolean)
    .map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`);
  const first = points[0].split(",")[0];
  const end = points.at(-1).split(",")[0];
  return svg(
    "svg",
    { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { d: `M${first},30 L${points.join(" L")} L${end},30 Z`, fill: fade(stroke, 0.16) }),
    svg("polyline", { points: points.join(" "), fill: "none", stroke, "stroke-width": "1.5", "vector-effect": "non-scaling-stroke" }),
  );
}
