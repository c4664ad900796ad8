import { make } from "../dom.js";

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
    const strip = make("span", { class: "strip", "aria-hidden": "true" });
    strip.style.background = `linear-gradient(90deg, ${scales.length > 1 ? `transparent, ${app.painter.hue(view.hues?.[word] ?? 0)}` : stops(app, view)})`;
    const text = detail.tokens.find(({ slug }) => slug === word)?.text ?? word;
    return make("span", { class: "word-scale" }, make("span", {}, text), short(low), strip, short(high));
  });
}

/** @param {App} app @param {View} view */
function stops(app, { colormap, invert }) {
  const bytes = app.painter.colours(colormap);
  const found = Array.from({ length: 17 }, (_, n) => {
    const at = 3 * Math.min(255, n * 16);
    return `rgb(${bytes[at]} ${bytes[at + 1]} ${bytes[at + 2]})`;
  });
  return (invert ? found.reverse() : found).join(", ");
}

/** @param {number} value */
function short(value) {
  return String(Number(value.toPrecision(3)));
}
