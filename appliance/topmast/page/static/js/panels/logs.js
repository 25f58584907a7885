// logs: lines of the embedded store (datasource `logs`), newest first.

import { getJson } from "../api.js";
import { fill } from "../dom.js";
import { lines } from "../loglines.js";
import { interpolate } from "../variables.js";
import { builtIns } from "../prometheus.js";

export function create(panel, body) {
  return {
    /** Ask the store instead of Prometheus: the first target's query is the search. */
    async ask(scope, { signal }) {
      const target = (panel.targets ?? [])[0] ?? {};
      const query = interpolate(target.query ?? "", scope.variables, builtIns(scope, 1));
      const search = new URLSearchParams({ q: query, since: scope.range.from, until: scope.range.to, limit: 200 });
      const answer = await getJson(`/api/logs?${search}`, { signal });
      const times = answer.documents.map((each) => Date.parse(each["@timestamp"]) / 1000);
      const frame = { refId: "A", name: "lines", labels: {}, times, values: times.map(() => 1), documents: answer.documents, query };
      return { frames: answer.documents.length ? [frame] : [], notes: [], step: 1 };
    },
    draw({ frames }) {
      fill(body, lines(frames[0].documents, { query: frames[0].query }));
    },
    destroy() {},
  };
}
