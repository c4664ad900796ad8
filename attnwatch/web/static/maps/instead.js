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
  const url = output ? source.outputUrl(detail.id, output.n) : null;
  const shown = url === null ? "This video has no rendered overlay of these words to show instead" : "Shown instead: the rendered overlay";
  return { text: `${painter.problem}. ${shown}.`, url };
}
