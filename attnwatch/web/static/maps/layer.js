import { endsOf, endsOfVideo, toShares, withSet } from "./levels.js";
import { mapAt, valueAt } from "./moments.js";
import { MOST_WORDS } from "./shaders.js";
import { Surface } from "./surface.js";

/** @typedef {import("./container.js").Maps} Maps */
/** @typedef {import("./levels.js").Ends} Ends */
/** @typedef {import("./painter.js").Picture} Picture */
/** @typedef {import("./store.js").Loaded} Loaded */

/**
 * One word as it is shown.
 *
 * @typedef {object} Shown
 * @property {string} word
 * @property {Maps} maps
 * @property {Ends | null} ends of all frames; null: each frame has its own
 * @property {number} hue
 * @property {Float32Array} room for one map
 */

/** The maps over one video: one word in a colormap, several in a hue each. */
export class Layer extends Surface {
  /** @type {Shown[]} */
  _words = [];
  /** @type {Timeline | null} */
  _timeline = null;
  /** @type {View | null} */
  _view = null;

  /** Slugs of the words that are drawn. */
  get words() {
    return this._words.map((one) => one.word);
  }

  /**
   * Show other maps, or show them otherwise. Nothing is loaded here.
   *
   * @param {VideoDetail} detail
   * @param {Loaded} loaded what `MapStore.get` has returned for this video and view
   * @param {View} view
   */
  show(detail, loaded, view) {
    this._view = view;
    this._timeline = detail.timeline;
    this._usual = { width: detail.width ?? 0, height: detail.height ?? 0 };
    this._words = [];
    for (const word of detail.timeline === null ? [] : view.words.slice(0, MOST_WORDS)) {
      const found = loaded[word];
      const maps = found?.container.at(view.step);
      if (!maps) continue;
      const room = new Float32Array(maps.rows * maps.columns);
      this._words.push({ word, maps, ends: this._ends(maps, found.scale), hue: view.hues?.[word] ?? this._words.length, room });
    }
    this.again();
  }

  /**
   * Return the attention to each word at a place of the picture; NaN where it is masked.
   *
   * @param {number} x from the left, 0..1
   * @param {number} y from the top, 0..1
   */
  valueAt(x, y) {
    const upsampling = this._view?.upsampling ?? "bilinear";
    return this._words.map((one) => ({ word: one.word, value: valueAt(this._now(one), one.maps, [x, y], upsampling) }));
  }

  /** Return the attention at the ends of each word's colour scale, in the frame that was drawn last. */
  scales() {
    return this._words.map((one) => ({ word: one.word, hue: one.hue, ...this._endsNow(one, this._now(one)) }));
  }

  /**
   * @param {Maps} maps
   * @param {Ends | null} measured elsewhere
   * @returns {Ends | null}
   */
  _ends(maps, measured) {
    const { scale, clip = null } = /** @type {View} */ (this._view);
    if (scale === "frame") return null;
    const { low, high } = setEnds(scale);
    if (low !== null && high !== null) return { low, high };
    return withSet(measured ?? endsOfVideo(maps, /** @type {Timeline} */ (this._timeline), clip), low, high);
  }

  /** @param {Shown} shown */
  _now({ maps, room }) {
    return mapAt(maps, /** @type {Timeline} */ (this._timeline), this._frame, room);
  }

  /** @param {Shown} shown @param {Float32Array} map */
  _endsNow({ ends }, map) {
    return ends ?? endsOf(map, this._view?.clip ?? null);
  }

  /** @returns {Picture | null} */
  _picture() {
    const view = this._view;
    if (view === null || this._words.length === 0) return null;
    const { threshold, invert } = view;
    const settings = { threshold, invert, highIsSet: setEnds(view.scale).high !== null };
    const maps = this._words.map((one) => {
      const map = this._now(one);
      return { shares: toShares(map, this._endsNow(one, map), settings), rows: one.maps.rows, columns: one.maps.columns };
    });
    return {
      maps,
      colormap: maps.length > 1 ? null : view.colormap,
      hues: this._words.map((one) => one.hue),
      style: view.style,
      alpha: view.alpha,
      inverted: invert,
      upsampling: view.upsampling,
      luma: this._luma,
    };
  }
}

/**
 * @param {Scale} scale
 * @returns {{low: number | null, high: number | null}} the ends that the user has set
 */
function setEnds(scale) {
  return typeof scale === "string" ? { low: null, high: null } : scale;
}
