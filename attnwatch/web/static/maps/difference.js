import { mapAt, valueAt } from "./moments.js";
import { Surface } from "./surface.js";

/** @typedef {import("./container.js").Maps} Maps */
/** @typedef {import("./painter.js").Picture} Picture */

/**
 * A word of one of two videos.
 *
 * @typedef {object} Side
 * @property {Maps} maps
 * @property {Timeline} timeline
 */

/** The attention of one video minus that of another, at the same time: zero is white, and in the middle of the scale. */
export class Difference extends Surface {
  /** @type {{a: Side, b: Side, room: [Float32Array, Float32Array], limit: number | null} | null} */
  _pair = null;
  /** @type {View | null} */
  _view = null;

  /**
   * Show the difference of two words; null: of nothing.
   *
   * @param {Side | null} a
   * @param {Side | null} b
   * @param {View} view
   * @param {{width: number, height: number}} usual size of the picture
   */
  show(a, b, view, usual) {
    this._view = view;
    this._usual = usual;
    this._pair = null;
    if (a !== null && b !== null && isSameGrid(a.maps, b.maps)) {
      const cells = a.maps.rows * a.maps.columns;
      this._pair = { a, b, room: [new Float32Array(cells), new Float32Array(cells)], limit: null };
      this._pair.limit = this._limit();
    }
    this.again();
  }

  /** Attention at the ends of the scale, in the frame that was drawn last: minus this, and this. */
  get limit() {
    if (this._pair === null) return 0;
    return this._pair.limit ?? largest(this._now(this._frame));
  }

  /**
   * Return the difference at a place of the picture; NaN where one of both is masked.
   *
   * @param {number} x from the left, 0..1
   * @param {number} y from the top, 0..1
   */
  valueAt(x, y) {
    if (this._pair === null) return NaN;
    return valueAt(this._now(this._frame), this._pair.a.maps, [x, y], this._view?.upsampling ?? "bilinear");
  }

  /**
   * Return a map of differences, `[row, column]`.
   *
   * @param {number} frame of the first video
   */
  _now(frame) {
    const { a, b, room: [first, second] } = /** @type {NonNullable<Difference["_pair"]>} */ (this._pair);
    mapAt(a.maps, a.timeline, frame, first);
    mapAt(b.maps, b.timeline, frameAt(b.timeline, a.timeline.seconds[Math.min(frame, a.timeline.seconds.length - 1)]), second);
    for (let cell = 0; cell < first.length; cell += 1) first[cell] -= second[cell];
    return first;
  }

  /** Return the end of the scale of all frames; null if each has its own. */
  _limit() {
    const scale = this._view?.scale ?? "video";
    if (scale === "frame") return null;
    if (typeof scale !== "string") return Math.max(Math.abs(scale.low ?? 0), Math.abs(scale.high ?? 0));
    const { seconds } = /** @type {NonNullable<Difference["_pair"]>} */ (this._pair).a.timeline;
    let limit = 0;
    for (let frame = 0; frame < seconds.length; frame += 1) limit = Math.max(limit, largest(this._now(frame)));
    return limit;
  }

  /** @returns {Picture | null} */
  _picture() {
    if (this._pair === null || this._view === null) return null;
    const { rows, columns } = this._pair.a.maps;
    const { limit } = this;
    const shares = this._now(this._frame);
    for (let cell = 0; cell < shares.length; cell += 1) {
      const share = limit > 0 ? 0.5 + shares[cell] / (2 * limit) : 0.5;
      shares[cell] = Number.isNaN(share) ? 0.5 : share;
    }
    const { upsampling } = this._view;
    return { maps: [{ shares, rows, columns }], colormap: "diverging", hues: [], style: "uniform", alpha: 1, inverted: false, upsampling, luma: this._luma };
  }
}

/** @param {Maps} a @param {Maps} b */
export function isSameGrid(a, b) {
  return a.rows === b.rows && a.columns === b.columns;
}

/**
 * Return the number of the frame that is shown at a time.
 *
 * @param {Timeline} timeline
 * @param {number} time
 */
export function frameAt({ seconds }, time) {
  let low = 0;
  let high = seconds.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (seconds[middle] <= time + 1e-4) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** @param {Float32Array} differences */
function largest(differences) {
  let most = 0;
  for (const value of differences) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}
