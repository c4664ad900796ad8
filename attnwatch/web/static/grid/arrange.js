/** Where each video stands: which ones are shown, in which order, in which rows and columns. Nothing here touches the page. */

/**
 * @typedef {{key: string, label: string, title: string, span: number}} Heading
 * @typedef {{label: string, title: string, cells: (VideoRow | null)[]}} Line
 * @typedef {{table: boolean, columns: Heading[], lines: Line[], shown: VideoRow[], captions: (row: VideoRow) => string}} Arrangement
 * @typedef {{key: string, label: string}} Dimension
 */

/**
 * Return by what videos of a batch can be arranged.
 *
 * @param {Batch} batch
 * @param {VideoRow[]} rows
 * @returns {Dimension[]}
 */
export function dimensions(batch, rows) {
  const found = [{ key: "prompt", label: "Prompt" }];
  batch.slots.forEach((choices, n) => {
    if (choices.length > 1) found.push({ key: `slot${n}`, label: choices.join(" / ") });
  });
  found.push({ key: "seed", label: "Seed" }, { key: "take", label: "Take of its prompt" });
  if (new Set(rows.map((row) => row.model)).size > 1) found.push({ key: "model", label: "Model" });
  return found;
}

/**
 * Return what stands on rows and columns where nothing was chosen: seeds side by side if there are several, otherwise the last
 * slot that varies.
 *
 * @param {Batch} batch
 * @param {VideoRow[]} rows
 */
export function usual(batch, rows) {
  const seeds = new Set(rows.map((row) => row.seed)).size;
  const takes = new Set(rows.map(takeOf)).size;
  const several = takes > 1 && seeds > takes * 2 ? "take" : "seed";
  const slot = batch.slots.findLastIndex((choices) => choices.length > 1);
  return { rows: "prompt", columns: (several === "take" ? takes : seeds) > 2 || slot < 0 ? several : `slot${slot}` };
}

/**
 * Return the videos that pass the filters of a state.
 *
 * @param {PageState} state
 * @param {VideoRow[]} rows
 */
export function filtered(state, rows) {
  const texts = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  const slots = new Map();
  for (const choice of state.choices) {
    const at = choice.indexOf(":");
    const slot = Number(choice.slice(0, at));
    slots.set(slot, [...(slots.get(slot) ?? []), choice.slice(at + 1)]);
  }
  return rows.filter(
    (row) =>
      (state.states.length === 0 || state.states.includes(row.state)) &&
      (state.seeds.length === 0 || state.seeds.includes(String(row.seed))) &&
      (state.word === null || row.words.includes(state.word)) &&
      [...slots].every(([slot, choices]) => choices.includes(row.choices[slot])) &&
      texts.every((text) => haystack(row).includes(text)),
  );
}

/** @param {VideoRow} row */
function haystack(row) {
  return `${row.video_id} ${row.prompt ?? ""} ${row.choices.join(" ")} ${row.words.join(" ")} ${row.seed} ${row.reason ?? ""} ${row.state}`.toLowerCase();
}

/**
 * Return a measure of a video by its name in a state: `-mass.cat` is the mass of `cat`, the largest first.
 *
 * @param {VideoRow} row
 * @param {string} sort
 */
export function measured(row, sort) {
  const name = sort.replace(/^-/, "");
  const at = name.indexOf(".");
  return row.measures?.[name.slice(at + 1)]?.[name.slice(0, at)] ?? null;
}

/**
 * Arrange the videos of a batch: as a table, or if they are sorted, one after the other.
 *
 * @param {PageState} state
 * @param {Batch} batch
 * @param {VideoRow[]} rows
 * @returns {Arrangement}
 */
export function arrange(state, batch, rows) {
  const shown = filtered(state, rows);
  if (state.sort !== null) return flow(shown, state.sort);
  const suits = usual(batch, rows);
  return table(shown, batch, state.rows ?? suits.rows, state.columns ?? suits.columns);
}

/** @param {VideoRow[]} shown @param {string} sort @returns {Arrangement} */
function flow(shown, sort) {
  const down = sort.startsWith("-") ? -1 : 1;
  const values = new Map(shown.map((row) => [row, measured(row, sort)]));
  const order = [...shown].sort((a, b) => {
    const [x, y] = [values.get(a) ?? null, values.get(b) ?? null];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return down * (x - y);
  });
  const varying = (/** @type {number} */ slot) => new Set(shown.map(({ choices }) => choices[slot])).size > 1;
  const captions = (/** @type {VideoRow} */ row) => [...row.choices.filter((_, slot) => varying(slot)), row.choices.length ? null : row.prompt_id, row.seed].filter((part) => part !== null).join(" · ");
  return { table: false, columns: [], lines: [{ label: "", title: "", cells: order }], shown: order, captions };
}

/** @param {VideoRow[]} shown @param {Batch} batch @param {string} down @param {string} across @returns {Arrangement} */
function table(shown, batch, down, across) {
  const [rowOf, columnOf] = [keyOf(batch, down, across), keyOf(batch, across, down)];
  /** @type {Map<string, {label: string, title: string, cells: Map<string, VideoRow[]>}>} */
  const lines = new Map();
  /** @type {Map<string, Heading>} */
  const columns = new Map();
  for (const row of shown) {
    const [line, column] = [rowOf(row), columnOf(row)];
    if (!lines.has(line.key)) lines.set(line.key, { ...line, cells: new Map() });
    if (!columns.has(column.key)) columns.set(column.key, { ...column, span: 0 });
    const { cells } = /** @type {{cells: Map<string, VideoRow[]>}} */ (lines.get(line.key));
    cells.set(column.key, [...(cells.get(column.key) ?? []), row]);
    const heading = /** @type {Heading} */ (columns.get(column.key));
    heading.span = Math.max(heading.span, cells.get(column.key)?.length ?? 0);
  }
  const order = [...columns.values()].sort(inOrder(batch, across));
  const found = [...lines.entries()].map(([key, line]) => ({ key, ...line })).sort(inOrder(batch, down));
  return {
    table: true,
    columns: order,
    lines: found.map(({ label, title, cells }) => ({ label, title, cells: order.flatMap(({ key, span }) => padded(cells.get(key) ?? [], span)) })),
    shown,
    captions: (row) => rest(batch, row, down, across),
  };
}

/** @param {VideoRow[]} rows @param {number} span */
function padded(rows, span) {
  return Array.from({ length: span }, (_, n) => rows[n] ?? null);
}

/**
 * Return what names the line or column of a video. "prompt" leaves out the slot that stands on the other side.
 *
 * @param {Batch} batch
 * @param {string} dimension
 * @param {string} other
 * @returns {(row: VideoRow) => {key: string, label: string, title: string}}
 */
function keyOf(batch, dimension, other) {
  const slot = slotOf(dimension);
  if (slot !== null) return (row) => named(row.choices[slot] ?? "–");
  if (dimension === "seed") return (row) => named(row.seed === null ? "no seed" : `seed ${row.seed}`);
  if (dimension === "take") return (row) => named(`take ${takeOf(row)}`);
  if (dimension === "model") return (row) => named(row.model ?? "unknown model");
  const left = slotOf(other);
  const varying = batch.slots.map((choices, n) => (choices.length > 1 && n !== left ? n : -1)).filter((n) => n >= 0);
  if (left === null || varying.length === 0 || batch.slots.length === 0) {
    return left === null
      ? (row) => ({ key: row.prompt_id ?? row.prompt ?? row.video_id, label: row.prompt ?? row.prompt_id ?? row.video_id, title: row.prompt ?? "" })
      : () => named(batch.template ?? "all");
  }
  return (row) => named(varying.map((n) => row.choices[n]).join(" · "));
}

/** @param {string} text */
function named(text) {
  return { key: text, label: text, title: text };
}

/** Number of a video among those of its prompt: the one at the end of its name. @param {VideoRow} row */
function takeOf({ video_id: name }) {
  return Number(/\d+$/.exec(name)?.[0] ?? 1);
}

/** @param {string} dimension */
function slotOf(dimension) {
  return dimension.startsWith("slot") ? Number(dimension.slice(4)) : null;
}

/** Choices in the order of the template, numbers by size, prompts by their number. @param {Batch} batch @param {string} dimension */
function inOrder(batch, dimension) {
  const slot = slotOf(dimension);
  const choices = slot === null ? [] : (batch.slots[slot] ?? []);
  const compared = new Intl.Collator("en", { numeric: true }).compare;
  if (dimension === "prompt") return () => 0;
  return (/** @type {{key: string}} */ a, /** @type {{key: string}} */ b) => choices.indexOf(a.key) - choices.indexOf(b.key) || compared(a.key, b.key);
}

/** What tells a video from others in its cell. @param {Batch} batch @param {VideoRow} row @param {string} down @param {string} across */
function rest(batch, row, down, across) {
  const parts = [];
  const [onRows, onColumns] = [slotOf(down), slotOf(across)];
  if (down !== "prompt" && across !== "prompt") {
    batch.slots.forEach((choices, n) => choices.length > 1 && n !== onRows && n !== onColumns && parts.push(row.choices[n]));
    if (batch.slots.length === 0 && row.prompt_id) parts.push(row.prompt_id);
  }
  if (![down, across].includes("seed") && row.seed !== null) parts.push(`seed ${row.seed}`);
  return parts.join(" · ");
}
