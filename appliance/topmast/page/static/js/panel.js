// One panel: its frame, its menu, and its state. What goes wrong in it is said in its place.

import { fill, h, together } from "./dom.js";
import { exemplarTable } from "./exemplars.js";
import { CALCULATION_NAMES, countPoints, fieldOf, reduce } from "./fields.js";
import { icon } from "./icons.js";
import { item, popover } from "./menu.js";
import { ask, builtIns } from "./prometheus.js";
import { format } from "./units.js";
import { parameters, update } from "./url.js";
import { interpolate } from "./variables.js";

/** The panel types there are: the files of panels/. */
const TYPES = new Set(document.querySelector('meta[name="topmast-panels"]').content.split(" "));

/** Return {element, id, load(scope, signal), mark(scope), snapshot(), destroy()} of one panel of a dashboard. */
export function panel(model, hooks) {
  const body = h("div.panel-body");
  const notes = h("p.panel-notes", { hidden: true });
  const title = model.title || model.type;
  const element = h(
    "section.panel",
    { id: `panel-${model.id}`, tabindex: "-1", "aria-label": title, dataset: { panelId: model.id, type: model.type, state: "loading", points: 0 } },
    header(model, title, () => asTable(), hooks),
    body,
    notes,
  );
  let drawn = null;
  let table = false;
  let last = null;
  let frames = [];
  let error = "";

  const settle = (state, points) => {
    element.dataset.state = state;
    element.dataset.points = points;
    hooks.settled?.();
  };

  async function load(scope, signal) {
    element.classList.add("busy");
    try {
      drawn ??= await open(model, body, hooks);
      if (drawn.needsNoData) {
        drawn.draw({});
        settle("ready", 0);
        return;
      }
      refuseOthers(model);
      const answer = await (drawn.ask ?? ((given, options) => ask(model, given, options)))(scope, { width: body.clientWidth || 400, signal });
      await together();
      if (signal.aborted) return;
      frames = answer.frames;
      error = "";
      const points = countPoints(frames);
      fill(notes, answer.notes.join("; "));
      notes.hidden = !answer.notes.length;
      last = { ...answer, scope, range: scope.range, regions: scope.regions, zoom: hooks.zoom, sync: hooks.sync };
      if (points) draw();
      else say("empty", model.fieldConfig?.defaults?.noValue || "no data in this range");
      settle(points ? "ready" : "empty", points);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      error = problem.message;
      frames = [];
      say("error", error);
      settle("error", 0);
    } finally {
      element.classList.remove("busy");
    }
  }

  function draw() {
    if (element.querySelector(".panel-word")) fresh();
    if (table) fill(body, numbers(model, frames, last.exemplars ?? []));
    else drawn.draw(last);
  }

  const redraw = () => last && frames.length && !table && drawn && draw();

  // What was going on may be known only after the lines were drawn.
  function mark(scope) {
    if (!drawn?.marks || last?.scope !== scope || JSON.stringify(last.regions) === JSON.stringify(scope.regions)) return;
    last.regions = scope.regions;
    redraw();
  }

  // The type's own elements were replaced: it starts over with an empty body.
  function fresh() {
    drawn?.destroy();
    body.replaceChildren();
    drawn = drawn?.again() ?? null;
  }

  function say(kind, words) {
    drawn?.destroy();
    fill(body, h("div.panel-word", { dataset: { kind }, role: kind === "error" ? "alert" : null }, icon(kind === "error" ? "warning" : "info", 18), h("p", {}, words)));
  }

  function asTable() {
    table = !table;
    if (!last || !frames.length) return;
    if (table) drawn.destroy();
    else fresh();
    draw();
  }

  return {
    element,
    id: model.id,
    model,
    load,
    mark,
    redraw,
    frames: () => frames,
    snapshot: () => ({
      id: model.id,
      title: model.title ?? "",
      type: model.type,
      state: element.dataset.state,
      series: frames.length,
      points: Number(element.dataset.points),
      error,
      last: Object.fromEntries(frames.map((frame) => [frame.name, reduce("lastNotNull", frame.values)])),
    }),
    destroy: () => drawn?.destroy(),
  };
}

async function open(model, body, hooks) {
  if (!TYPES.has(model.type)) throw new Error(`the panel type ${JSON.stringify(model.type)} is not one this page draws`);
  const { create } = await import(`./panels/${model.type}.js`);
  const make = () => ({ ...create(model, body, hooks), again: make });
  return make();
}

// The page reads Prometheus and its own log store; another datasource is not there to be asked.
function refuseOthers(model) {
  for (const target of model.targets ?? []) {
    const source = target.datasource ?? model.datasource ?? {};
    const uid = typeof source === "string" ? source : (source.uid ?? "");
    const type = source.type ?? "prometheus";
    if (type === "prometheus" || uid === "prometheus" || uid === "" || uid.startsWith("$")) continue;
    if (type === "elasticsearch" && (uid !== "logs" || model.type !== "logs")) throw new Error("this panel needs Elasticsearch (compose mode)");
    if (uid === "logs") continue;
    throw new Error(`this panel needs a datasource of type ${JSON.stringify(type)}, which is not here`);
  }
  if (!(model.targets ?? []).some((target) => target.expr || target.query)) throw new Error("this panel has no query");
}

function header(model, title, asTable, hooks) {
  const enlarged = parameters().get("viewPanel") === String(model.id);
  const links = () => [...(model.links ?? []), ...(model.fieldConfig?.defaults?.links ?? [])];
  return h(
    "header.panel-head",
    {},
    h("h3", {}, title),
    model.description && popover(icon("info", 14), () => h("p.popover-text", {}, model.description), { kind: "button.icon-button.quiet", "aria-label": `About ${title}` }),
    h("span.space"),
    popover(
      icon("more"),
      (close) => {
        const scope = hooks.scope();
        const put = (url) => interpolate(url, scope.variables, builtIns(scope, 1));
        return [
          item(enlarged ? "Back to the dashboard" : "Enlarge", { mark: icon("expand"), action: () => (close(), update({ viewPanel: enlarged ? null : model.id }, { push: true })) }),
          item("Numbers or picture", { mark: icon("table"), action: () => (close(), asTable()) }),
          ...dedupe(links()).map((link) => item(link.title || link.url, { mark: icon(link.url?.startsWith("/runbooks/") ? "book" : "link"), href: put(link.url ?? "#") })),
          h("details.queries", {}, h("summary", {}, "Queries"), (model.targets ?? []).map((target) => h("pre", { tabindex: "0" }, target.expr ?? target.query ?? ""))),
        ];
      },
      { kind: "button.icon-button.quiet", "aria-label": `Menu of ${title}`, align: "end" },
    ),
  );
}

function dedupe(links) {
  return [...new Map(links.map((link) => [`${link.title} ${link.url}`, link])).values()];
}

// Every series in numbers: what the picture says, for a reader who does not see it.
function numbers(model, frames, exemplars) {
  const calcs = ["lastNotNull", "min", "mean", "max"];
  return h(
    "div.table-scroll",
    { tabindex: "0", role: "region", "aria-label": `${model.title} in numbers` },
    h(
      "table.data",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "series"), calcs.map((calc) => h("th.number", { scope: "col" }, CALCULATION_NAMES[calc])))),
      h("tbody", {}, frames.map((frame, index) => {
        const field = fieldOf(model.fieldConfig, frame, index);
        return h("tr", {}, h("th", { scope: "row" }, field.name), calcs.map((calc) => h("td.number", {}, format(reduce(calc, frame.values), field.unit, field.decimals))));
      })),
    ),
    exemplars.length > 0 && exemplarTable(exemplars, (value) => format(value, model.fieldConfig?.defaults?.unit)),
  );
}
