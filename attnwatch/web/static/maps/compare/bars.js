import { make } from "../../dom.js";
import { number } from "./numbers.js";

/** @typedef {import("../painter.js").Painter} Painter */

/**
 * Return a colour bar with the attention at its ends.
 *
 * @param {Painter} painter
 * @param {string | number} colours name of a colormap, or number of a hue
 * @param {(number | string)[]} ends from left to right
 * @param {string} label
 */
export function colourBar(painter, colours, ends, label) {
  const canvas = make("canvas", { width: 256, height: 1, "aria-hidden": "true" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (typeof colours === "number") {
    const fade = context.createLinearGradient(0, 0, 256, 0);
    fade.addColorStop(0, `${painter.hue(colours)}00`);
    fade.addColorStop(1, painter.hue(colours));
    context.fillStyle = fade;
    context.fillRect(0, 0, 256, 1);
  } else {
    const table = painter.colours(colours);
    const pixels = context.createImageData(256, 1);
    for (let level = 0; level < 256; level += 1) pixels.data.set([...table.subarray(3 * level, 3 * level + 3), 255], 4 * level);
    context.putImageData(pixels, 0, 0);
  }
  const told = ends.map((end) => make("span", {}, typeof end === "number" ? number(end) : end));
  return make("div", { class: "colour-bar" }, make("span", { class: "colour-of" }, label), canvas, make("span", { class: "ends" }, ...told));
}
