import { endsOf, endsOfVideo, toShares, withSet } from "./levels.js";
import { mapAt, valueAt } from "./moments.js";
import { MOST_WORDS } from "./shaders.js";

/** @typedef {import("./container.js").Maps} Maps */
/** @typedef {import("./levels.js").Ends} Ends */
/** @typedef {import("./painter.js").Painter} Painter */
/** @typedef {import("./painter.js").Picture} Picture */
/** @typedef {import("./store.js").Loaded} Loaded */

/** Pixels of the longer side of a canvas, at most: beyond, maps only become slower. */
const LONGEST = 2048;

/**
 * One word as it is shown.
 *
 * @typedef {object} Shown
 * @property {string} word
 * @property {Maps} maps
 * @property {Ends | null} ends of all frames; null: each frame has its own
 * @property {number} hue
 * @property {Float32Array} map of the frame that was drawn last, in attention
 */

/** The maps over one video. */
export class Layer {
  /**
   * @param {Painter} painter
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onClose
   */
  constructor(painter, canvas, onClose) {
    this._painter = painter;
    this._canvas = canvas;
    this._onClose = onClose;
    this._context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {Shown[]} */
    this._shown = [];
    /** @type {Timeline | null} */
    this._timeline = null;
    /** @type {View | null} */
    this._view = null;
    this._frame = 0;
    this._size = { width: 0, height: 0 };
    this._watch = new ResizeObserver(([entry]) => this._resize(entry.contentRect));
    this._watch.observe(canvas);
  }

  /** Number of the frame that was drawn last. */
  get frame() {
    return this._frame;
  }

  /** Slugs of the words that are drawn. */
  get words() {
    return this._shown.map((one) => one.word);
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
    this._video = { width: detail.width ?? 0, height: detail.height ?? 0 };
    this._shown = [];
    if (detail.timeline !== null) {
      for (const word of view.words.slice(0, MOST_WORDS)) {
        const found = loaded[word];
        const maps = found?.container.at(view.step);
        if (!maps) continue;
        const hue = view.hues?.[word] ?? this._shown.length;
        const map = new Float32Array(maps.rows * maps.columns);
        this._shown.push({ word, maps, ends: this._ends(maps, found.scale), hue, map });
      }
    }
    this.again();
  }

  /**
   * Draw a frame of the video.
   *
   * @param {number} frame
   */
  draw(frame) {
    this._frame = frame;
    const canvas = this._canvas;
    const { width, height } = this._wanted();
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    this.paint(this._context, width, height);
  }

  /**
   * Paint the maps of the frame that was drawn last into another canvas, in place of what is there.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {number} width
   * @param {number} height
   * @param {{over?: boolean}} [how] over: keep what is there, as the browser does with the video
   */
  paint(context, width, height, { over = false } = {}) {
    if (!over) context.clearRect(0, 0, width, height);
    const picture = this._picture();
    if (picture !== null && width > 0 && height > 0) this._painter.paint(context, width, height, picture);
  }

  /** Draw the same frame again. */
  again() {
    this.draw(this._frame);
  }

  /**
   * Return the attention to each word at a place of the picture; NaN where it is masked.
   *
   * @param {number} x from the left, 0..1
   * @param {number} y from the top, 0..1
   */
  valueAt(x, y) {
    const upsampling = this._view?.upsampling ?? "bilinear";
    return this._shown.map(({ word, maps, map }) => ({ word, value: valueAt(this._now(maps, map), maps.rows, maps.columns, x, y, upsampling) }));
  }

  /** Return the attention at the ends of each word's colour scale, in the frame that was drawn last. */
  scales() {
    return this._shown.map((one) => ({ word: one.word, ...this._endsNow(one, this._now(one.maps, one.map)) }));
  }

  close() {
    this._watch.disconnect();
    this._onClose();
  }

  /** @param {DOMRectReadOnly} box */
  _resize(box) {
    const share = Math.min(globalThis.devicePixelRatio || 1, LONGEST / Math.max(box.width, box.height, 1));
    this._size = { width: Math.round(box.width * share), height: Math.round(box.height * share) };
    const wanted = this._wanted();
    if (wanted.width !== this._canvas.width || wanted.height !== this._canvas.height) this.again();
  }

  /** Size of the canvas: that of the picture on the screen; of the video while it is on none. */
  _wanted() {
    const { width, height } = this._size;
    return width > 0 && height > 0 ? this._size : this._video ?? { width: 0, height: 0 };
  }

  /**
   * @param {Maps} maps
   * @param {Ends | null} ofBatch
   * @returns {Ends | null}
   */
  _ends(maps, ofBatch) {
    const { scale, clip = null } = /** @type {View} */ (this._view);
    if (scale === "frame") return null;
    const { low, high } = typeof scale === "string" ? { low: null, high: null } : scale;
    if (low !== null && high !== null) return withSet({ low, high }, low, high);
    return withSet(ofBatch ?? endsOfVideo(maps, /** @type {Timeline} */ (this._timeline), clip), low, high);
  }

  /** @param {Maps} maps @param {Float32Array} into */
  _now(maps, into) {
    return mapAt(maps, /** @type {Timeline} */ (this._timeline), this._frame, into);
  }

  /** @param {Shown} shown @param {Float32Array} map */
  _endsNow({ ends }, map) {
    return ends ?? endsOf(map, this._view?.clip ?? null);
  }

  /** @returns {Picture | null} */
  _picture() {
    const view = this._view;
    if (view === null || this._shown.length === 0) return null;
    const { threshold, invert, scale } = view;
    const settings = { threshold, invert, highIsSet: typeof scale !== "string" && scale.high !== null };
    const maps = this._shown.map((one) => {
      const map = this._now(one.maps, one.map);
      const shares = toShares(map, this._endsNow(one, map), settings);
      return { shares, rows: one.maps.rows, columns: one.maps.columns };
    });
    const several = maps.length > 1;
    return {
      maps,
      colormap: several ? null : view.colormap,
      hues: this._shown.map((one) => one.hue),
      style: view.style,
      alpha: view.alpha,
      inverted: invert,
      upsampling: view.upsampling,
    };
  }
}
