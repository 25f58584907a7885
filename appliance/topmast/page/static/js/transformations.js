// Frames as a table, and the transformations that tables in use ask for.

/** Return {columns, rows}: every label that differs from series to series, then one value column a target. */
export function tableOf(frames, reduce) {
  const labels = [...new Set(frames.flatMap((frame) => Object.keys(frame.labels)))].filter((name) => name !== "__name__");
  const refs = [...new Set(frames.map((frame) => frame.refId))];
  const columns = [...labels, ...(refs.length === 1 ? ["Value"] : refs.map((ref) => `Value #${ref}`))];
  const rows = new Map();
  for (const frame of frames) {
    const key = JSON.stringify(labels.map((name) => frame.labels[name] ?? ""));
    if (!rows.has(key)) rows.set(key, [...labels.map((name) => frame.labels[name] ?? ""), ...refs.map(() => null)]);
    rows.get(key)[labels.length + refs.indexOf(frame.refId)] = reduce("lastNotNull", frame.values);
  }
  return { columns, rows: [...rows.values()] };
}

const KNOWN = {
  merge: (table) => table, // tables are made merged
  organize({ columns, rows }, { excludeByName = {}, renameByName = {}, indexByName = {} }) {
    const kept = columns
      .map((name, index) => ({ name, index, place: indexByName[name] ?? index }))
      .filter(({ name }) => !excludeByName[name])
      .sort((a, b) => a.place - b.place);
    return {
      columns: kept.map(({ name }) => renameByName[name] || name),
      rows: rows.map((row) => kept.map(({ index }) => row[index])),
    };
  },
  sortBy({ columns, rows }, { sort = [] }) {
    const [{ field, desc } = {}] = sort;
    const at = columns.indexOf(field);
    if (at < 0) return { columns, rows };
    const sign = desc ? -1 : 1;
    const sorted = rows.toSorted((a, b) => sign * (typeof a[at] === "number" ? a[at] - b[at] : String(a[at]).localeCompare(String(b[at]))));
    return { columns, rows: sorted };
  },
  limit: ({ columns, rows }, { limitField = 10 }) => ({ columns, rows: rows.slice(0, limitField) }),
};

/** Return the table after the transformations. Throws for one that the page does not know. */
export function transform(table, transformations) {
  return transformations
    .filter((each) => !each.disabled)
    .reduce((now, { id, options = {} }) => {
      if (!(id in KNOWN)) throw new Error(`the transformation ${JSON.stringify(id)} is not one this page knows`);
      return KNOWN[id](now, options);
    }, table);
}
