import { make } from "../../dom.js";
import { number } from "./numbers.js";

/**
 * Return a colour bar with the attention at its ends.
 *
 * @param {string} background what it shows, as CSS
 * @param {(number | string)[]} ends from left to right
 * @param {string} label
 */
export function colourBar(background, ends, label) {
  const strip = make("span", { class: "colours", "aria-hidden": "true" });
  strip.style.background = background;
  const told = ends.map((end) => make("span", {}, typeof end === "number" ? number(end) : end));
  return make("div", { class: "colour-bar" }, make("span", { class: "colour-of" }, label), strip, make("span", { class: "ends" }, ...told));
}
