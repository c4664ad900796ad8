/**
 * The maps of one word, as attnwatch/web/maps/container.py packs them: they stay packed until a step is looked at, because
 * all steps of a word are many numbers.
 */

const FORMAT = "attnwatch-maps/1";
const HIGHEST = 65534;
const MASKED = 65535;

/**
 * The maps of one step.
 *
 * @typedef {object} Maps
 * @property {Float32Array} values `[frame, row, column]`; NaN where they are masked
 * @property {number} frames latent frames
 * @property {number} rows
 * @property {number} columns
 */

export class Container {
  /** @param {ArrayBuffer} buffer */
  constructor(buffer) {
    const view = new DataView(buffer);
    const length = view.getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    if (header.format !== FORMAT) throw new Error(`found maps of the format ${header.format}; expected ${FORMAT}; reload the page`);
    const [steps, frames, rows, columns] = header.shape;
    /** @type {string} */
    this.word = header.word;
    /** Numbers of the steps; null: one map, their mean. @type {number[] | null} */
    this.steps = header.steps;
    this.frames = frames;
    this.rows = rows;
    this.columns = columns;
    this.bytes = buffer.byteLength;
    this._ends = new Float32Array(buffer, 4 + length, steps * frames * 2);
    this._codes = new Uint16Array(buffer, 4 + length + this._ends.byteLength, steps * frames * rows * columns);
    /** @type {Maps | null} */
    this._last = null;
    this._lastIndex = -1;
  }

  /**
   * Return the maps of a step; null if it is not stored. The same object is returned as long as no other step is asked for.
   *
   * @param {number | null} step number of the step; null, or any where there is only one map: that map
   * @returns {Maps | null}
   */
  at(step) {
    const index = this.steps === null ? 0 : this.steps.indexOf(step ?? -1);
    if (index < 0) return null;
    if (index !== this._lastIndex || this._last === null) {
      this._last = this._unpacked(index);
      this._lastIndex = index;
    }
    return this._last;
  }

  /**
   * @param {number} index
   * @returns {Maps}
   */
  _unpacked(index) {
    const { frames, rows, columns } = this;
    const cells = rows * columns;
    const values = new Float32Array(frames * cells);
    for (let frame = 0; frame < frames; frame += 1) {
      const at = (index * frames + frame) * 2;
      const low = this._ends[at];
      const step = (this._ends[at + 1] - low) / HIGHEST;
      const from = (index * frames + frame) * cells;
      for (let cell = 0; cell < cells; cell += 1) {
        const code = this._codes[from + cell];
        values[frame * cells + cell] = code === MASKED ? NaN : low + code * step;
      }
    }
    return { values, frames, rows, columns };
  }
}
