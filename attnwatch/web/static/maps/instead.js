/** @typedef {import("./painter.js").Painter} Painter */

/**
 * Return what is shown if nothing can be painted: the reason, and the address of a rendered overlay, null if there is none.
 *
 * @param {Painter} painter
 * @param {Source} source
 * @param {VideoDetail} detail
 * @param {View} view
 */
export function instead(painter, source, detail, view) {
  if (painter.problem === null) return null;
  const several = view.words.length > 1;
  const output = detail.outputs.find(({ kind, word }) => (several ? kind === "combined" : kind === "overlay" && word === view.words[0]));
  const url = output ? `${source.outputUrl(detail.id, output.n)}?version=${versionOf(detail, output)}` : null;
  const shown = url ? "Shown instead: the rendered overlay" : "This video has no rendered overlay of these words to show instead";
  return { text: `${painter.problem}. ${shown}.`, url };
}

/**
 * Return what changes when a file is rendered again: browsers play what they hold of an address without asking.
 *
 * @param {VideoDetail} detail
 * @param {{bytes: number}} output
 */
function versionOf({ version, attempts }, { bytes }) {
  return encodeURIComponent([version, bytes, attempts.at(-1)?.at].join("-"));
}

/**
 * Let an element play the rendered overlay while nothing can be painted, and the video itself again after that.
 *
 * @param {HTMLVideoElement} video that plays the video, or that overlay
 * @param {Painter} painter
 * @param {Source} source
 * @param {VideoDetail} detail
 * @param {View} view
 * @returns {string | null} why nothing can be painted, and what is shown instead
 */
export function playInstead(video, painter, source, detail, view) {
  const found = instead(painter, source, detail, view);
  if (found?.url) {
    if (video.getAttribute("src") !== found.url) video.src = found.url;
    video.dataset.instead = "";
  } else if ("instead" in video.dataset) {
    delete video.dataset.instead;
    source.play(video, detail);
  }
  return found?.text ?? null;
}
