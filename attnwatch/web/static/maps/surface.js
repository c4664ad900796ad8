import { LUMA } from "./shaders.js";

/** @typedef {import("./painter.js").Painter} Painter */
/** @typedef {import("./painter.js").Picture} Picture */

/** Rows of a video from which its luma is that of BT.709 (attnwatch/render/colours.py). */
const LARGE = 720;
/** Pixels of the longer side of a canvas, at most: beyond, maps only become slower. */
const LONGEST = 2048;

/** A canvas in which maps are shown, as large as it is on the screen. What is shown is up to its kinds. */
export class Surface {
  /**
   * @param {Painter} painter
   * @param {HTMLCanvasElement} canvas
   */
  constructor(painter, canvas) {
    this._painter = painter;
    this._canvas = canvas;
    this._context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this._frame = 0;
    this._shown = { width: 0, height: 0 };
    this._usual = { width: 0, height: 0 };
    this._watch = new ResizeObserver(([entry]) => this._resize(entry.contentRect));
    this._watch.observe(canvas);
    painter.surfaces.add(this);
  }

  /** Number of the frame that was drawn last. */
  get frame() {
    return this._frame;
  }

  /** Why nothing can be painted; null if it can. */
  get problem() {
    return this._painter.problem;
  }

  /**
   * Draw a frame of the video.
   *
   * @param {number} frame
   */
  draw(frame) {
    this._frame = frame;
    const canvas = this._canvas;
    const { width, height } = this._size();
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    this.paint(this._context, width, height);
  }

  /** Draw the same frame again. */
  again() {
    this.draw(this._frame);
  }

  /**
   * Paint the frame that was drawn last into a canvas, in place of what is there.
   *
   * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
   * @param {number} width
   * @param {number} height
   * @param {{over?: boolean}} [how] over: keep what is there, as the browser does with the video
   */
  paint(context, width, height, { over = false } = {}) {
    if (!over) context.clearRect(0, 0, width, height);
    const picture = this._picture();
    if (picture !== null && width > 0 && height > 0) this._painter.paint(context, width, height, picture);
  }

  close() {
    this._watch.disconnect();
    this._painter.surfaces.delete(this);
  }

  /**
   * Return what is painted of the present frame; null for nothing.
   *
   * @returns {Picture | null}
   */
  _picture() {
    return null;
  }

  /** @param {DOMRectReadOnly} box */
  _resize(box) {
    const share = Math.min(globalThis.devicePixelRatio || 1, LONGEST / Math.max(box.width, box.height, 1));
    this._shown = { width: Math.round(box.width * share), height: Math.round(box.height * share) };
    const { width, height } = this._size();
    if (width !== this._canvas.width || height !== this._canvas.height) this.again();
  }

  /** What red, green and blue add to the luma of the video. */
  get _luma() {
    return this._usual.height < LARGE ? LUMA.small : LUMA.large;
  }

  /** Size of the canvas: that on the screen; that of the video while it is on none. */
  _size() {
    return this._shown.width > 0 && this._shown.height > 0 ? this._shown : this._usual;
  }
}
