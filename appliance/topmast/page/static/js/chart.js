// Lines, areas and bars over time: uPlot with our axes, thresholds, stacking, tooltip and shared crosshair.

import { h, perFrame } from "./dom.js";
import { exemplarMenu } from "./exemplars.js";
import { popoverAt } from "./menu.js";
import { color, fade, onTheme, theme, token } from "./palette.js";
import { clock, stamp } from "./timerange.js";

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
// Pixels: a figure of that font is so wide, and so much is free right of a plot.
const LETTER = 6.3;
const RIGHT = 12;

const BARS = uPlot.paths.bars({ size: [0.72, 18], align: 0 });
const STEPPED = uPlot.paths.stepped({ align: 1 });
const LINEAR = uPlot.paths.linear();

/**
 * Return {update(data), destroy()} for a chart that fills `host`.
 *
 * data: {times, lines: [{name, color, values, custom, shown}], text(value), tick(value), tickSteps, range: {from, to}, min, max, log,
 * thresholds: [{value, color}], thresholdStyle, regions: [{from, to, color, text}], exemplars: [{at, value, trace}], stacked, onZoom(from, to), sync}
 */
export function chart(host) {
  let plot = null;
  let built = "";
  let data = null;
  const tip = tooltip(host);

  const draw = () => {
    if (!data || !host.clientWidth || !host.clientHeight) return;
    const shape = JSON.stringify([
      data.lines.map(({ name, color: stroke, custom, shown }) => [name, stroke, custom, shown]),
      data.stacked, data.log, data.thresholdStyle, data.sync, theme(),
    ]);
    const { rows, order } = arrange(data);
    if (plot && shape === built) {
      plot.topmast = { data, order };
      fit();
      plot.setData([data.times, ...rows]);
    } else {
      plot?.destroy();
      built = shape;
      plot = make(host, data, rows, order, tip);
    }
  };
  const fit = () => {
    const { clientWidth: width, clientHeight: height } = host;
    if (width && height && (width !== plot.width || height !== plot.height)) plot.setSize({ width, height });
  };
  const size = new ResizeObserver(perFrame(() => (plot ? fit() : draw())));
  size.observe(host);
  const offTheme = onTheme(draw);

  return {
    update(given) {
      data = given;
      draw();
    },
    destroy() {
      size.disconnect();
      offTheme();
      plot?.destroy();
      plot = null;
    },
  };
}

/** Return the rows as they are drawn (stacked rows summed, the highest first) and which line each row is. */
export function arrange({ lines, stacked, times }) {
  const shown = lines.map((line, index) => ({ line, index })).filter(({ line }) => line.shown);
  if (!stacked) return { rows: shown.map(({ line }) => line.values), order: shown.map(({ index }) => index) };
  const sums = new Array(times.length).fill(0);
  const rows = shown.map(({ line }) =>
    line.values.map((value, at) => {
      if (value === null) return sums[at] || null;
      sums[at] += value;
      return sums[at];
    }),
  );
  return { rows: rows.reverse(), order: shown.map(({ index }) => index).reverse() };
}

function make(host, data, rows, order, tip) {
  const axis = { stroke: () => token("muted"), font: FONT, ticks: { show: false } };
  const grid = { stroke: () => token("grid"), width: 1 };
  const options = {
    width: host.clientWidth,
    height: host.clientHeight,
    padding: [8, RIGHT, 0, 0],
    legend: { show: false },
    cursor: {
      points: { size: 6, width: 0, fill: (self, row) => self.series[row].topmastColor },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      focus: { prox: 24 },
      sync: data.sync ? { key: data.sync, setSeries: false } : undefined,
    },
    focus: { alpha: 0.35 },
    scales: {
      x: { time: true, range: (self) => [self.topmast.data.range.from, self.topmast.data.range.to] },
      y: { distr: data.log ? 3 : 1, range: (self, low, high) => extent(self.topmast.data, low, high) },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 26, gap: 4, values: timeLabels },
      {
        ...axis, grid, space: 34, gap: 6, size: labelWidth, ...(data.tickSteps && !data.log ? { incrs: data.tickSteps } : {}),
        values: (self, splits) => splits.map((value) => (value === null ? "" : (self.topmast.data.tick ?? self.topmast.data.text)(value))),
      },
    ],
    series: [{}, ...order.map((index, row) => lineOptions(data, data.lines[index], row === order.length - 1))],
    bands: bandsOf(data, order),
    hooks: {
      drawClear: [(self) => drawRegions(self)],
      draw: [(self) => drawThresholds(self), (self) => drawExemplars(self)],
      setCursor: [(self) => tip.show(self)],
      setSelect: [(self) => zoom(self)],
    },
  };
  const plot = new uPlot(options, [data.times, ...rows], (self, start) => {
    self.topmast = { data, order };
    host.append(self.root);
    start();
  });
  plot.over.addEventListener("mouseleave", () => tip.hide());
  plot.over.addEventListener("click", (event) => openExemplar(plot, event));
  return plot;
}

function lineOptions(data, { name, color: stroke, custom }, lowest) {
  const bars = custom.drawStyle === "bars";
  const opacity = (custom.fillOpacity ?? 0) / 100;
  const dash = custom.lineStyle?.fill === "dash" ? (custom.lineStyle.dash ?? [8, 5]) : undefined;
  // In a stack the bands between the rows are filled, and the lowest row down to zero.
  const opaque = bars ? (data.stacked ? 1 : Math.max(opacity, 0.6)) : data.stacked ? (lowest ? Math.max(opacity, 0.2) : 0) : opacity;
  return {
    label: name,
    topmastColor: stroke,
    stroke,
    width: bars ? 0 : (custom.lineWidth ?? 1.5),
    dash,
    cap: "round",
    fill: opaque ? fade(stroke, opaque) : undefined,
    // A lone point has no line to be seen by.
    points: { show: (self, row) => loneOnly(self, row), size: 5, fill: stroke, width: 0 },
    spanGaps: custom.spanNulls === true,
    paths: bars ? BARS : custom.lineInterpolation === "stepAfter" ? STEPPED : LINEAR,
  };
}

function loneOnly(self, row) {
  let known = 0;
  for (const value of self.data[row]) if (value !== null && (known += 1) > 1) return false;
  return known === 1;
}

// Stacked areas: each row is filled down to the row below it.
function bandsOf(data, order) {
  if (!data.stacked) return [];
  return order
    .map((index, row) => {
      const { custom, color: stroke } = data.lines[index];
      if (custom.drawStyle === "bars") return null;
      const fill = fade(stroke, Math.max((custom.fillOpacity ?? 0) / 100, 0.2));
      return row + 1 < order.length ? { series: [row + 1, row + 2], fill } : null;
    })
    .filter(Boolean);
}

/** Return [low, high] of the value axis: the data, zero when it is near, and a threshold when it is in sight. */
export function extent({ min, max, log, thresholds = [], thresholdStyle }, low, high) {
  if (low === null || low === undefined || !Number.isFinite(low)) [low, high] = [0, 1];
  const drawn = thresholdStyle && thresholdStyle !== "off" ? thresholds.map(({ value }) => value).filter(Number.isFinite) : [];
  const above = drawn.sort((a, b) => a - b).find((value) => value > 0 && value >= high);
  // A flat zero is measured against the threshold: how far away it is, is the news.
  const next = above !== undefined && (high >= above * 0.25 || high === 0) ? above : undefined;
  if (log) {
    const bottom = Math.max(low > 0 ? low : high / 1000, 1e-6);
    return [10 ** Math.floor(Math.log10(bottom)), Math.max(high, next ?? 0, bottom) * 1.4];
  }
  const top = Math.max(high, next ?? -Infinity);
  const bottom = min ?? (low >= 0 ? 0 : low * 1.1);
  // A flat zero needs some height to be seen at the bottom of.
  if (top <= bottom) return [bottom, max ?? bottom + 1];
  return [bottom, max !== undefined && max !== null && top <= max ? max : top + (top - bottom) * 0.08];
}

function timeLabels(self, splits) {
  const span = self.scales.x.max - self.scales.x.min;
  const text = (at) => {
    if (span > 5 * 86400) return stamp(at).slice(5, 10);
    if (span > 86400) return `${stamp(at).slice(5, 10)} ${clock(at)}`;
    return clock(at, span < 600);
  };
  // The canvas ends a little behind the plot: half a label would be cut off there.
  const room = self.bbox.width / devicePixelRatio + RIGHT;
  return splits.map((at) => (self.valToPos(at, "x") + (text(at).length * LETTER) / 2 > room ? "" : text(at)));
}

function labelWidth(self, values, axisIndex, cycle) {
  const axis = self.axes[axisIndex];
  if (cycle > 1) return axis._size;
  const longest = (values ?? []).reduce((length, text) => Math.max(length, text.length), 3);
  return Math.ceil(longest * LETTER) + 12;
}

function drawThresholds(self) {
  const { thresholds = [], thresholdStyle } = self.topmast.data;
  if (!thresholdStyle || thresholdStyle === "off") return;
  const { ctx, bbox } = self;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  // Where the first step is the bad one, the line belongs to it: below is bad.
  const lowIsBad = thresholds[0]?.color === "red" || thresholds[0]?.color === "orange";
  thresholds.forEach(({ value, color: name }, index) => {
    if (!Number.isFinite(value) || value > self.scales.y.max || value < self.scales.y.min) return;
    const y = self.valToPos(value, "y", true);
    ctx.strokeStyle = fade(color(lowIsBad ? thresholds[index - 1].color : name), 0.85);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  });
  ctx.restore();
}

// Annotations: what was going on, as a tint over its time and a line where it began.
function drawRegions(self) {
  const { regions = [] } = self.topmast.data;
  const { ctx, bbox } = self;
  ctx.save();
  for (const region of regions) {
    const left = Math.max(self.valToPos(region.from, "x", true), bbox.left);
    const right = Math.min(self.valToPos(region.to, "x", true), bbox.left + bbox.width);
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    const stroke = color(region.color);
    ctx.fillStyle = fade(stroke, 0.07);
    ctx.fillRect(left, bbox.top, Math.max(right - left, 0), bbox.height);
    ctx.fillStyle = fade(stroke, 0.8);
    ctx.fillRect(left, bbox.top + bbox.height - 3 * devicePixelRatio, Math.max(right - left, 2 * devicePixelRatio), 3 * devicePixelRatio);
  }
  ctx.restore();
}

// A diamond each, hollow, so that the lines stay readable below them.
function drawExemplars(self) {
  const { ctx, bbox } = self;
  const size = 3 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = token("muted");
  ctx.fillStyle = token("surface");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]); // the last line's may still be set
  for (const { at, value } of self.topmast.data.exemplars ?? []) {
    const x = self.valToPos(at, "x", true);
    const y = Math.max(self.valToPos(value, "y", true), bbox.top + size);
    if (x < bbox.left || x > bbox.left + bbox.width || y > bbox.top + bbox.height) continue;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

/** Return the exemplar within a few pixels of a place on the chart, or null. */
function nearest(self, left, top) {
  let best = null;
  let least = 10;
  for (const point of self.topmast.data.exemplars ?? []) {
    const y = Math.max(self.valToPos(point.value, "y"), 4);
    const distance = Math.hypot(self.valToPos(point.at, "x") - left, y - top);
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}

function openExemplar(self, { clientX, clientY }) {
  const box = self.over.getBoundingClientRect();
  const point = nearest(self, clientX - box.left, clientY - box.top);
  if (point) popoverAt(new DOMRect(clientX, clientY, 0, 6), () => exemplarMenu(point, self.topmast.data.text), "A single request");
}

function zoom(self) {
  const { left, width } = self.select;
  if (width < 6) return;
  const from = self.posToVal(left, "x");
  const to = self.posToVal(left + width, "x");
  self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  self.topmast.data.onZoom?.(from, to);
}

function tooltip(host) {
  const element = h("div.tip", { hidden: true, "aria-hidden": "true" });
  host.append(element);
  const MAX_ROWS = 14;

  const show = perFrame((self) => {
    const { idx, left, top } = self.cursor;
    // Only under the pointer itself: the other charts of the group show their crosshair.
    if (idx === null || idx === undefined || left < 0 || !host.matches(":hover")) {
      element.hidden = true;
      return;
    }
    const { data } = self.topmast;
    const at = data.times[idx];
    const rows = data.lines
      .filter((line) => line.shown && line.values[idx] !== null && line.values[idx] !== undefined)
      .sort((a, b) => b.values[idx] - a.values[idx]);
    const single = nearest(self, left, top);
    self.over.style.cursor = single ? "pointer" : "";
    const near = data.regions?.filter(({ from, to }) => at >= from - data.step && at <= to + data.step) ?? [];
    element.replaceChildren(
      h("div.tip-time", {}, stamp(at, true)),
      ...rows.slice(0, MAX_ROWS).map((line) =>
        h("div.tip-row", {}, h("i.dot", { style: { "--dot": line.color } }), h("span", {}, line.name), h("b", {}, data.text(line.values[idx]))),
      ),
      rows.length > MAX_ROWS ? h("div.tip-more", {}, `and ${rows.length - MAX_ROWS} more`) : "",
      single ? h("div.tip-row", {}, h("i.dot.diamond"), h("span", {}, `one request${single.trace ? `, trace ${single.trace.slice(0, 8)}…` : ""}: click`), h("b", {}, data.text(single.value))) : "",
      ...near.slice(0, 3).map((region) => h("div.tip-row", {}, h("i.dot.square", { style: { "--dot": color(region.color) } }), h("span", {}, region.text))),
    );
    element.hidden = false;
    const box = self.over.getBoundingClientRect();
    const frame = host.getBoundingClientRect();
    const x = left + box.left - frame.left;
    const flip = x > frame.width * 0.55;
    element.style.left = flip ? "auto" : `${x + 14}px`;
    element.style.right = flip ? `${frame.width - x + 14}px` : "auto";
    element.style.top = `${Math.max(-20, Math.min(top + 8, frame.height - element.offsetHeight))}px`;
  });
  return { show, hide: () => (element.hidden = true) };
}
