import { fill, make } from "../dom.js";

/**
 * Tell the attention under the pointer, and keep telling it while the video goes on.
 *
 * @param {HTMLElement} stage
 * @param {HTMLElement} output
 * @param {import("../grid/overlay.js").Overlay} overlay
 * @param {VideoDetail} detail
 */
export function readout(stage, output, overlay, detail) {
  /** @type {[number, number] | null} */
  let at = null;
  const texts = new Map(detail.tokens.map(({ slug, text }) => [slug, text]));
  const again = () => {
    if (at === null) {
      fill(output, overlay.problem ?? "Point at the picture to read its attention.");
      return;
    }
    const found = overlay.valueAt(...at);
    const place = make("span", { class: "soft" }, `x ${at[0].toFixed(2)}, y ${at[1].toFixed(2)}`);
    fill(output, place, ...found.map(({ word, value }) => make("span", {}, `${texts.get(word) ?? word} `, make("strong", {}, Number.isFinite(value) ? value.toPrecision(3) : "–"))));
  };
  const move = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = stage.getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
    at = x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : null;
    again();
  };
  stage.onpointermove = stage.onpointerdown = move;
  stage.onpointerleave = () => {
    at = null;
    again();
  };
  again();
  return { again };
}
