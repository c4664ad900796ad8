import { STYLES, number } from "./address.js";

/**
 * What can be named in a link to a batch.
 *
 * @typedef {object} Known
 * @property {string[]} words slugs
 * @property {string[]} dimensions of the grid
 * @property {string[]} states
 * @property {MapsRecord | null} stored
 * @property {Tables} tables
 */

/**
 * Find what a link names and is not here. Filters are left to the grid: what they name may still come.
 *
 * @param {string} link the part of the address after `#`
 * @param {PageState} state what was read from it
 * @param {Known} known
 * @returns {{said: string[], changes: Partial<PageState>}} what it is, in words, and the state without it
 */
export function unknown(link, state, known) {
  const query = new URLSearchParams(link);
  /** @type {string[]} */
  const said = [];
  const isKnown = (/** @type {string} */ name, /** @type {string} */ label, /** @type {(value: string) => boolean} */ accepts) => {
    const value = query.get(name);
    if (!value || accepts(value)) return true;
    said.push(`${label} “${value}”`);
    return false;
  };
  const [view, changes] = [viewOf(isKnown, state.view, known), placesOf(isKnown, known)];
  const lost = (state.words ?? []).filter((word) => !known.words.includes(word));
  said.push(...lost.map((word) => `the word “${word}”`));
  if (lost.length) {
    const words = (state.words ?? []).filter((word) => !lost.includes(word));
    Object.assign(changes, { words: words.length ? words : null });
  }
  const states = state.states.filter((one) => known.states.includes(one));
  said.push(...state.states.filter((one) => !states.includes(one)).map((one) => `the state “${one}”`));
  return { said, changes: { ...changes, states, view } };
}

/**
 * @callback IsKnown
 * @param {string} name
 * @param {string} label
 * @param {(value: string) => boolean} accepts
 * @returns {boolean}
 */

/** @param {IsKnown} isKnown @param {View} view @param {Known} known @returns {View} */
function viewOf(isKnown, view, { stored, tables }) {
  const [first] = Object.keys(tables.colormaps);
  const usual = String(tables.settings.colormap ?? first);
  isKnown("style", "the overlay", (value) => STYLES.some((style) => style === value));
  isKnown("scale", "the scale", (value) => ["video", "frame", "batch"].includes(value) || typeof view.scale === "object");
  isKnown("upsampling", "between cells", (value) => ["bilinear", "nearest"].includes(value));
  const below = (/** @type {number} */ count) => (/** @type {string} */ value) => stored === null || (/^[\d,-]+$/.test(value) && (value.match(/\d+/g) ?? []).every((one) => Number(one) < count));
  return {
    ...view,
    colormap: isKnown("colormap", "the colours", (value) => value in tables.colormaps) ? view.colormap : usual,
    step: isKnown("step", "denoising step", (value) => stored === null || stored.steps.includes(Number(value))) ? view.step : null,
    layers: isKnown("layers", "layer", below(stored?.layers ?? 0)) ? view.layers : null,
    heads: isKnown("heads", "head", below(stored?.heads ?? 0)) ? view.heads : null,
  };
}

/** @param {IsKnown} isKnown @param {Known} known @returns {Partial<PageState>} */
function placesOf(isKnown, { words, dimensions, tables }) {
  /** @type {Partial<PageState>} */
  const changes = {};
  const isDimension = (/** @type {string} */ value) => dimensions.includes(value);
  const isMeasure = (/** @type {string} */ value) => {
    const [, measure, word] = /^-?([^.]*)\.(.*)$/s.exec(value) ?? [];
    return measure in tables.measures && words.includes(word);
  };
  if (!isKnown("rows", "rows by", isDimension)) changes.rows = null;
  if (!isKnown("columns", "columns by", isDimension)) changes.columns = null;
  if (!isKnown("sort", "sorted by", isMeasure)) changes.sort = null;
  for (const [name, label, low, high] of /** @type {[string, string, number, number][]} */ ([["size", "cell width", 60, 1200], ["t", "time", 0, 1e6], ["rate", "speed", 0.1, 4], ["alpha", "opacity", 0, 1], ["threshold", "hide below", 0, 1]])) {
    isKnown(name, label, (value) => number(new URLSearchParams({ [name]: value }), name, low, high) !== null);
  }
  return changes;
}
