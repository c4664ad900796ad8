/** @typedef {import("./painter.js").Painter} Painter */

/** Shares of the scale at which contours are drawn (attnwatch/render/overlay.py). */
const CONTOURS = [0.25, 0.5, 0.75];
const STOPS = 16;

/** How differences are coloured. @type {Pick<View, "colormap" | "style" | "invert">} */
export const DIFFERENCES = { colormap: "diverging", style: "uniform", invert: false };

/**
 * Return what a colour bar shows from the lowest attention to the highest, as a background of CSS.
 *
 * @param {Painter} painter
 * @param {Pick<View, "colormap" | "style" | "invert">} view
 * @param {number | null} [hue] number of the hue of a word that is shown beside others
 */
export function strip(painter, { colormap, style, invert }, hue = null) {
  if (hue !== null) return across(invert, ["transparent", painter.hue(hue)]);
  if (style === "spotlight") return across(invert, ["#000", "transparent"]);
  const table = painter.colours(colormap);
  const colour = (/** @type {number} */ share) => {
    const at = 3 * Math.round(255 * (invert ? 1 - share : share));
    return `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`;
  };
  if (style !== "contour") return across(false, Array.from({ length: STOPS + 1 }, (_, n) => colour(n / STOPS)));
  const line = (/** @type {number} */ share) => `transparent ${100 * share - 2}%, ${colour(share)} 0 ${100 * share + 2}%, transparent 0`;
  return `linear-gradient(90deg, ${CONTOURS.map(line).join(", ")})`;
}

/** @param {boolean} back @param {string[]} colours */
function across(back, colours) {
  return `linear-gradient(${back ? 270 : 90}deg, ${colours.join(", ")})`;
}
