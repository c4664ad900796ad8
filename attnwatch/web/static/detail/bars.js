import { make } from "../dom.js";
import { number } from "../maps/compare/numbers.js";
import { strip } from "../maps/index.js";

/** @typedef {import("../main.js").App} App */

/**
 * What the colours of each drawn word stand for, in attention.
 *
 * @param {App} app
 * @param {VideoDetail} detail
 * @param {{word: string, low: number, high: number}[]} scales
 */
export function colourBars(app, detail, scales) {
  const view = app.viewOf(detail);
  return scales.map(({ word, low, high }) => {
    const bar = make("span", { class: "strip", "aria-hidden": "true" });
    bar.style.background = strip(app.painter, view, scales.length > 1 ? (view.hues?.[word] ?? 0) : null);
    const text = detail.tokens.find(({ slug }) => slug === word)?.text ?? word;
    return make("span", { class: "word-scale" }, make("span", {}, text), number(low), bar, number(high));
  });
}
