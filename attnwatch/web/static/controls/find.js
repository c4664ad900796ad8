import { make } from "../dom.js";
import { dimensions, usual } from "../grid/arrange.js";
import { stateMark, statesOf } from "../marks.js";
import { chips, labelled, select, slider } from "./fields.js";
import { options } from "./maps.js";

/** @typedef {import("../main.js").App} App @typedef {import("./fields.js").Field} Field */

/**
 * The controls of where videos stand, and of which ones are shown.
 *
 * @param {App} app
 * @param {Batch} batch
 * @returns {{arrange: Field[], find: Field[]}}
 */
export function findFields(app, batch) {
  const rows = [...app.library.rows.values()];
  return { arrange: [...axes(app, batch, rows), ...sorting(app, batch, rows), cells(app)], find: filters(app, batch, rows) };
}

/** @param {App} app @param {Batch} batch @param {VideoRow[]} rows @returns {Field[]} */
function axes({ session }, batch, rows) {
  const found = dimensions(batch, rows).map(({ key, label }) => ({ value: key, label }));
  const suits = usual(batch, rows);
  const other = /** @type {const} */ ({ rows: "columns", columns: "rows" });
  const change = (/** @type {"rows" | "columns"} */ side, /** @type {string} */ value) => {
    const now = { rows: session.state.rows ?? suits.rows, columns: session.state.columns ?? suits.columns };
    const swapped = now[other[side]] === value ? now[side] : now[other[side]];
    session.change({ [side]: value, [other[side]]: swapped, sort: null });
  };
  return [
    select("Rows", found, (state) => state.rows ?? suits.rows, (value) => change("rows", value)),
    select("Columns", found, (state) => state.columns ?? suits.columns, (value) => change("columns", value)),
  ];
}

/** @param {App} app @param {Batch} batch @param {VideoRow[]} rows @returns {Field[]} */
function sorting({ session }, batch, rows) {
  const measures = new Set(rows.flatMap(({ measures: found }) => Object.values(found ?? {}).flatMap(Object.keys)));
  if (measures.size === 0) return [];
  const parts = (/** @type {PageState} */ { sort }) => {
    const name = sort?.replace(/^-/, "") ?? "";
    const at = name.indexOf(".");
    return { measure: at < 0 ? "" : name.slice(0, at), word: at < 0 ? "" : name.slice(at + 1), down: sort?.startsWith("-") ?? true };
  };
  const change = (/** @type {Partial<{measure: string, word: string, down: boolean}>} */ changes) => {
    const next = { ...parts(session.state), ...changes };
    const word = next.word || batch.words[0].slug;
    session.change({ sort: next.measure ? `${next.down ? "-" : ""}${next.measure}.${word}` : null });
  };
  const names = Object.fromEntries([...measures].map((name) => [name, name.replaceAll("_", " ")]));
  const words = Object.fromEntries(batch.words.map((word) => [word.slug, word.text]));
  const fields = [
    select("Sort by", [{ value: "", label: "not sorted" }, ...options(names)], (state) => parts(state).measure, (measure) => change({ measure })),
    select("of the word", options(words), (state) => parts(state).word, (word) => change({ word })),
    select("Order", options({ down: "largest first", up: "smallest first" }), (state) => (parts(state).down ? "down" : "up"), (value) => change({ down: value === "down" })),
  ];
  const shownIf = (/** @type {Field} */ field) => ({
    element: field.element,
    sync: (/** @type {PageState} */ state) => {
      field.element.hidden = state.sort === null;
      field.sync(state);
    },
  });
  return [fields[0], shownIf(fields[1]), shownIf(fields[2])];
}

/** @param {App} app @returns {Field} */
function cells({ session }) {
  const told = (/** @type {number} */ value) => (value <= 90 ? "fit" : `${value} px`);
  return slider("Cell width", { min: 90, max: 600, step: 10, told }, ({ size }) => size ?? 90, (value) => session.change({ size: value <= 90 ? null : value }));
}

/** @param {App} app @param {Batch} batch @param {VideoRow[]} rows @returns {Field[]} */
function filters({ session }, batch, rows) {
  const toggled = (/** @type {string[]} */ list, /** @type {string} */ value) => (list.includes(value) ? list.filter((one) => one !== value) : [...list, value]);
  const found = [text(session)];
  const states = statesOf(rows);
  if (states.length > 1) {
    const choices = states.map((state) => ({ value: state, content: [stateMark({ state }).text] }));
    found.push(chips("State", choices, (state) => state.states, (value) => session.change({ states: toggled(session.state.states, value) })));
  }
  batch.slots.forEach((slot, n) => {
    if (slot.length < 2) return;
    const choices = slot.map((choice) => ({ value: `${n}:${choice}`, content: [choice || "(nothing)"] }));
    found.push(chips(`Choice ${n + 1}`, choices, (state) => state.choices, (value) => session.change({ choices: toggled(session.state.choices, value) })));
  });
  const seeds = [...new Set(rows.flatMap(({ seed }) => (seed === null ? [] : [seed])))].sort((a, b) => a - b);
  if (seeds.length > 1) {
    const choices = [{ value: "", label: "all" }, ...seeds.map((seed) => ({ value: String(seed), label: String(seed) }))];
    found.push(select("Seed", choices, (state) => state.seeds[0] ?? "", (value) => session.change({ seeds: value ? [value] : [] })));
  }
  if (batch.words.length > 1) {
    const choices = [{ value: "", label: "any" }, ...batch.words.map(({ slug, text: label }) => ({ value: slug, label }))];
    found.push(select("Has the word", choices, (state) => state.word ?? "", (value) => session.change({ word: value || null })));
  }
  return found;
}

/** @param {import("../state/session.js").Session} session @returns {Field} */
function text(session) {
  const input = make("input", { type: "search", placeholder: "prompt, choice, seed, reason", oninput: () => session.change({ find: input.value }) });
  return {
    element: labelled("Text", input),
    sync: ({ find }) => {
      if (input.value !== find) input.value = find;
    },
  };
}
