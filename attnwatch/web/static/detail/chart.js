import { draw, fill, make } from "../dom.js";

/**
 * @typedef {{slug: string, text: string, colour: string, dash: number, xs: number[], ys: Series}} ChartLine
 * @typedef {{low: number, high: number, unit: string, seek: (x: number) => void}} Range
 */

const WIDTH = 300;
const HEIGHT = 100;
const DASHES = ["none", "6 3", "2 3", "8 3 2 3"];

/** A small chart of some lines; a click seeks, a mark follows. Lines differ by dashes, not by colour alone. */
export class Chart {
  /** @param {string} title @param {ChartLine[]} lines @param {Range} range */
  constructor(title, lines, range) {
    this.lines = lines;
    this.range = range;
    const values = lines.flatMap(({ ys }) => ys.filter((y) => y !== null));
    const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.06 || 1;
    this._low = low - room;
    this._high = high + room;
    this.cursor = make("div", { class: "cursor" });
    this.values = make("span", { class: "values" });
    this._paths = lines.map((line) => this._path(line));
    const plot = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": described(title, lines, range.unit) }, ...this._paths);
    this.area = make("div", { class: "plot", onpointerdown: (/** @type {PointerEvent} */ event) => this._drag(event), onpointermove: (/** @type {PointerEvent} */ event) => event.buttons === 1 && this._seek(event) }, plot, this.cursor);
    const scale = make("div", { class: "chart-scale", "aria-hidden": "true" }, make("span", {}, short(high)), make("span", {}, short(low)));
    const axis = make("div", { class: "chart-axis", "aria-hidden": "true" }, make("span", {}, `${short(range.low)}`), make("span", {}, `${short(range.high)}${range.unit ? ` ${range.unit}` : ""}`));
    this.element = make("figure", { class: "chart" }, make("figcaption", {}, make("span", {}, title), this.values), scale, this.area, axis);
  }

  /** @param {number} x */
  _across(x) {
    const { low, high } = this.range;
    return high > low ? (x - low) / (high - low) : 0;
  }

  /** @param {ChartLine} line */
  _path({ xs, ys, colour, dash }) {
    let data = "";
    let pen = "M";
    xs.forEach((x, n) => {
      const y = ys[n];
      if (y === null || y === undefined) {
        pen = "M";
        return;
      }
      data += `${pen}${(this._across(x) * WIDTH).toFixed(2)} ${(HEIGHT * (1 - (y - this._low) / (this._high - this._low))).toFixed(2)}`;
      pen = "L";
    });
    return draw("path", { d: data, fill: "none", stroke: colour, "stroke-dasharray": DASHES[dash % DASHES.length], "vector-effect": "non-scaling-stroke" });
  }

  /** @param {PointerEvent} event */
  _drag(event) {
    this.area.setPointerCapture(event.pointerId);
    this._seek(event);
  }

  /** @param {PointerEvent} event */
  _seek({ clientX }) {
    const { left, width } = this.area.getBoundingClientRect();
    const share = Math.min(Math.max((clientX - left) / width, 0), 1);
    this.range.seek(this.range.low + share * (this.range.high - this.range.low));
  }

  /** Draw the lines of some words stronger than the others. @param {string[]} words */
  emphasise(words) {
    this.lines.forEach(({ slug }, n) => this._paths[n].classList.toggle("faint", !words.includes(slug)));
  }

  /** Put the mark at a place, and tell the values there. @param {number | null} x */
  point(x) {
    this.cursor.hidden = x === null;
    if (x === null) {
      fill(this.values);
      return;
    }
    this.cursor.style.left = `${100 * this._across(x)}%`;
    const told = this.lines.filter((_, n) => !this._paths[n].classList.contains("faint"));
    fill(this.values, ...told.slice(0, 3).map((line) => make("span", {}, told.length > 1 ? `${line.text} ` : "", make("strong", {}, short(at(line, x))))));
  }
}

/** @param {ChartLine} line @param {number} x */
function at({ xs, ys }, x) {
  const next = xs.findIndex((one) => one >= x);
  if (next < 0) return ys[ys.length - 1];
  const [before, after] = [ys[Math.max(next - 1, 0)], ys[next]];
  if (next === 0 || before === null || after === null) return after;
  return before + ((after - before) * (x - xs[next - 1])) / (xs[next] - xs[next - 1]);
}

/** @param {number | null | undefined} value */
function short(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(3)));
}

/** @param {string} title @param {ChartLine[]} lines @param {string} unit */
function described(title, lines, unit) {
  const each = lines.map(({ text, ys }) => {
    const known = ys.filter((y) => y !== null);
    return known.length ? `${text} from ${short(known[0])} to ${short(known[known.length - 1])}, at most ${short(Math.max(...known))}` : `${text} undefined`;
  });
  return `${title}, over ${unit ? "time" : "denoising steps"}: ${each.join("; ")}`;
}
