// The few icons there are, as strokes on a 16 by 16 grid.

import { svg } from "./dom.js";

const PATHS = {
  dashboard: "M2 2.500h5v6H2zM9 2.500h5v3.500H9zM9 8h5v5.500H9zM2 10.500h5v3H2z",
  bell: "M8 2a4 4 0 0 0-4 4c0 4-1.500 5-1.500 5h11S12 10 12 6a4 4 0 0 0-4-4zM6.500 13.500a1.600 1.600 0 0 0 3 0",
  muted: "M2.500 2.500l11 11M6 3a4 4 0 0 1 6 3c0 1.500.300 2.700.700 3.500M4 6c0 4-1.500 5-1.500 5h8M6.500 13.500a1.600 1.600 0 0 0 3 0",
  logs: "M2.500 3.500h11M2.500 6.500h8M2.500 9.500h11M2.500 12.500h6",
  inbox: "M2 9.500 4 3h8l2 6.500v3.500H2zM2 9.500h3.500l1 2h3l1-2H14",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.500V8l2.500 1.500",
  refresh: "M13.500 8a5.500 5.500 0 1 1-1.600-3.900M13.500 1.500V4.500h-3",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  moon: "M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z",
  system: "M2 3h12v8H2zM5.500 14h5M8 11v3",
  chevron: "M4 6l4 4 4-4",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500V11M8 5h.01",
  expand: "M9.500 2.500h4v4M6.500 13.500h-4v-4M13.500 2.500 9 7M2.500 13.500 7 9",
  close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  zoomout: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.600 10.600 14 14M4.500 7h5",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.600 10.600 14 14",
  check: "M3 8.500l3.500 3.500L13 4.500",
  warning: "M8 2.500 14.500 13.500h-13zM8 6.500v3.500M8 12h.01",
  book: "M3 2.500h8.500a1.500 1.500 0 0 1 1.500 1.500v9.500H4.500A1.500 1.500 0 0 1 3 12zM3 12a1.500 1.500 0 0 1 1.500-1.500H13",
  table: "M2 3h12v10H2zM2 6.500h12M6.500 6.500V13",
  chart: "M2 2.500v11h12M4.500 10.500 7.500 6.500l2.500 2.500 3.500-5",
  link: "M6.500 9.500 9.500 6.500M7 4.500l1-1a3 3 0 0 1 4.500 4.500l-1 1M9 11.500l-1 1A3 3 0 0 1 3.500 8l1-1",
  play: "M4.500 3l8 5-8 5z",
  pause: "M5 3v10M11 3v10",
  slack: "M3 6h10M3 10h10M6 3v10M10 3v10",
  email: "M2 3.500h12v9H2zM2 4.500 8 9l6-4.500",
  pagerduty: "M4.500 14V2.500h4a3 3 0 0 1 0 6h-4",
  webhook: "M6 5a2.300 2.300 0 1 1 3.400 2L11.500 11M4.800 8.500A2.300 2.300 0 1 0 6.500 12H11M8 5 5.800 9.500M11 9.700A2.300 2.300 0 1 1 9.800 13",
};

/** Return an icon that is decoration: what it means stands beside it, or is the button's label. */
export function icon(name, size = 16) {
  return svg(
    "svg",
    { viewBox: "0 0 16 16", width: size, height: size, class: "icon", "aria-hidden": "true" },
    svg("path", { d: PATHS[name] ?? PATHS.info }),
  );
}
