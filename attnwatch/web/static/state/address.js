/** What a link keeps: the state of the page as the part of its address after `#`, without what is at its default. */

/** @type {View} */
export const DEFAULT_VIEW = {
  words: [], step: null, layers: null, heads: null, colormap: "viridis", alpha: 0.8, style: "weighted", threshold: 0,
  scale: "video", upsampling: "bilinear", invert: false,
};

/** @type {PageState} */
export const DEFAULT_STATE = {
  batch: null, video: null, compare: [], rows: null, columns: null, size: null, sort: null, find: "", states: [],
  choices: [], seeds: [], word: null, words: null, view: DEFAULT_VIEW, time: 0, rate: 1, loop: true, panel: true,
};

/** @type {["rows", "columns", "sort", "word", "batch", "video"]} */
const NAMES = ["rows", "columns", "sort", "word", "batch", "video"];
/** @type {["compare", "states", "choices", "seeds"]} */
const LISTS = ["compare", "states", "choices", "seeds"];

/** @type {View["style"][]} */
export const STYLES = ["weighted", "uniform", "contour", "spotlight"];

/**
 * Return the part after `#` that stands for a state.
 *
 * @param {PageState} state
 */
export function written(state) {
  const query = new URLSearchParams();
  for (const name of NAMES) if (state[name] !== null) query.set(name, /** @type {string} */ (state[name]));
  for (const name of LISTS) for (const one of state[name]) query.append(name, one);
  if (state.find) query.set("find", state.find);
  if (state.size !== null) query.set("size", String(state.size));
  if (state.time > 0) query.set("t", state.time.toFixed(3));
  if (state.rate !== 1) query.set("rate", String(state.rate));
  if (!state.loop) query.set("loop", "off");
  if (state.words !== null) query.set("words", state.words.join(" "));
  writeView(state.view, query);
  return query.toString();
}

/** @param {View} view @param {URLSearchParams} query */
function writeView(view, query) {
  if (view.step !== null) query.set("step", String(view.step));
  if (view.layers !== null) query.set("layers", view.layers);
  if (view.heads !== null) query.set("heads", view.heads);
  for (const name of /** @type {const} */ (["colormap", "alpha", "style", "threshold", "upsampling"])) {
    if (view[name] !== DEFAULT_VIEW[name]) query.set(name, String(view[name]));
  }
  if (view.invert) query.set("invert", "on");
  const { scale } = view;
  if (typeof scale === "object") query.set("scale", `${scale.low},${scale.high}`);
  else if (scale !== DEFAULT_VIEW.scale) query.set("scale", scale);
}

/**
 * Return the state that an address stands for; what it does not say, or says wrongly, is at its default.
 *
 * @param {string} text the part after `#`
 * @param {Partial<View>} [usual] defaults of the renderer
 * @returns {PageState}
 */
export function read(text, usual = {}) {
  const query = new URLSearchParams(text);
  const state = { ...DEFAULT_STATE };
  for (const name of NAMES) state[name] = query.get(name) || null;
  for (const name of LISTS) state[name] = query.getAll(name);
  state.compare = state.compare.slice(0, 2);
  state.find = query.get("find") ?? "";
  state.size = number(query, "size", 60, 1200);
  state.time = number(query, "t", 0, 1e6) ?? 0;
  state.rate = number(query, "rate", 0.1, 4) ?? 1;
  state.loop = query.get("loop") !== "off";
  state.words = query.has("words") ? (query.get("words") ?? "").split(" ").filter(Boolean) : null;
  state.view = readView(query, { ...DEFAULT_VIEW, ...usual });
  return state;
}

/** @param {URLSearchParams} query @param {View} usual @returns {View} */
function readView(query, usual) {
  const [low, high] = (query.get("scale") ?? "").split(",").map(Number);
  const named = query.get("scale");
  return {
    words: [],
    step: number(query, "step", 0, 1e6),
    layers: indices(query.get("layers")),
    heads: indices(query.get("heads")),
    colormap: query.get("colormap") ?? usual.colormap,
    alpha: number(query, "alpha", 0, 1) ?? usual.alpha,
    style: STYLES.find((style) => style === query.get("style")) ?? usual.style,
    threshold: number(query, "threshold", 0, 1) ?? usual.threshold,
    upsampling: query.get("upsampling") === "nearest" ? "nearest" : usual.upsampling,
    invert: query.get("invert") === "on",
    scale: named === "frame" || named === "batch" ? named : high > low ? { low, high } : usual.scale,
  };
}

/**
 * Return a number of an address within its bounds; null if it is none.
 *
 * @param {URLSearchParams} query
 * @param {string} name
 * @param {number} low
 * @param {number} high
 */
export function number(query, name, low, high) {
  const text = query.get(name);
  const value = Number(text);
  return text && Number.isFinite(value) ? Math.min(Math.max(value, low), high) : null;
}

/** @param {string | null} text numbers and ranges, such as `0-5` */
function indices(text) {
  return text && /^[\d,-]+$/.test(text) ? text : null;
}
