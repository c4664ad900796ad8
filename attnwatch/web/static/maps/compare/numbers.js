import { fill, make } from "../../dom.js";
import { measured, meanDifference, pairsLike } from "./pairs.js";

/** @typedef {{label: string, unit: string}} Measure */

/**
 * Show the measures of two videos, what they differ by, and by what all pairs of the batch do that differ in the same way.
 *
 * @param {HTMLElement} element
 * @param {Record<string, Measure>} names how measures are called
 * @param {{rows: VideoRow[], a: VideoRow, b: VideoRow, measures: [MeasuresDocument | null, MeasuresDocument | null], words: [string, string] | null}} shown
 */
export function fillNumbers(element, names, { rows, a, b, measures, words }) {
  if (words === null || measures.every((one) => one === null)) {
    fill(element, make("p", { class: "soft" }, words === null ? "The two videos share no word that is shown." : "Neither video has been measured yet."));
    return;
  }
  const pairs = pairsLike(rows, a, b, words);
  const known = Object.keys(names).filter((name) => words.some((word, n) => measured(measures[n], word, name) !== null));
  const heads = ["Mean over the video", "A", "B", "A − B", pairs.length > 1 ? `All ${pairs.length} pairs` : null];
  fill(
    element,
    make("p", { class: "soft", id: "numbers-about" }, captionOf(pairs, a, b)),
    make(
      "table",
      { class: "numbers", "aria-describedby": "numbers-about" },
      make("thead", {}, make("tr", {}, ...heads.map((head) => head && make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...known.map((name) => rowOf(names[name], name, words, measures, pairs))),
    ),
  );
}

/**
 * @param {Measure} about
 * @param {string} name
 * @param {[string, string]} words
 * @param {[MeasuresDocument | null, MeasuresDocument | null]} measures
 * @param {[VideoRow, VideoRow][]} pairs
 */
function rowOf({ label, unit }, name, words, measures, pairs) {
  const [first, second] = words.map((word, n) => measured(measures[n], word, name));
  const difference = first === null || second === null ? null : first - second;
  const all = pairs.length > 1 ? meanDifference(pairs, name, words) : null;
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, capital(label), unit && make("span", { class: "soft" }, ` ${unit}`)),
    make("td", {}, number(first)),
    make("td", {}, number(second)),
    make("td", { class: "sum" }, signed(difference)),
    pairs.length > 1 && make("td", {}, ...(all ? [signed(all.mean), make("span", { class: "soft" }, ` A higher in ${all.higher} of ${all.pairs}`)] : ["–"])),
  );
}

/** @param {[VideoRow, VideoRow][]} pairs @param {VideoRow} a @param {VideoRow} b */
function captionOf(pairs, a, b) {
  if (a.seed === null || a.seed !== b.seed) return "The two have different seeds: they differ in more than what was chosen.";
  if (pairs.length === 0) return "The two have the same seed, and the same choices.";
  if (pairs.length === 1) return "The two have the same seed. No other pair of this batch differs in the same way.";
  return `${pairs.length} pairs of this batch with these words have one seed each, and differ in the same way and in nothing else.`;
}

/** @param {number | null} value */
export function number(value) {
  return value === null || Number.isNaN(value) ? "–" : String(Number(value.toPrecision(3))).replace("-", "−");
}

/** @param {number | null} value */
export function signed(value) {
  return value !== null && value > 0 ? `+${number(value)}` : number(value);
}

/** @param {string} text */
const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
