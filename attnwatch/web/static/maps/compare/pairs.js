/** What of two videos belongs together, and which other videos of the batch differ in the same way. */

/**
 * Return the words of two videos that are compared: the same word of both, then what stands in its place.
 *
 * @param {string[]} a words that are shown of the first video, in order
 * @param {string[]} b
 * @returns {[string, string][]}
 */
export function wordPairs(a, b) {
  /** @type {[string, string][]} */
  const same = a.filter((word) => b.includes(word)).map((word) => [word, word]);
  const [left, right] = [a.filter((word) => !b.includes(word)), b.filter((word) => !a.includes(word))];
  const others = left.slice(0, right.length).map((word, n) => /** @type {[string, string]} */ ([word, right[n]]));
  return [...same, ...others];
}

/**
 * Return all pairs of videos of one seed that differ as two videos do: in the same choices, or the same models, and in nothing else.
 *
 * @param {VideoRow[]} rows of the batch
 * @param {VideoRow} a
 * @param {VideoRow} b
 * @param {[string, string]} words that the first, and the second, video of a pair must have
 * @returns {[VideoRow, VideoRow][]} empty if the two differ in their seed, or in nothing but it
 */
export function pairsLike(rows, a, b, words) {
  const slots = a.choices.map((_, n) => n).filter((n) => a.choices[n] !== b.choices[n]);
  if (a.seed === null || a.seed !== b.seed || a.choices.length !== b.choices.length) return [];
  if (slots.length === 0 && a.model === b.model) return [];
  const place = (/** @type {VideoRow} */ row) => JSON.stringify([row.seed, a.model === b.model ? row.model : null, row.choices.filter((_, n) => !slots.includes(n))]);
  const like = (/** @type {VideoRow} */ row, /** @type {VideoRow} */ one) =>
    row.choices.length === one.choices.length && slots.every((n) => row.choices[n] === one.choices[n]) && (a.model === b.model || row.model === one.model);
  const seconds = new Map(rows.filter((row) => like(row, b) && row.words.includes(words[1])).map((row) => [place(row), row]));
  return rows.filter((row) => like(row, a) && row.words.includes(words[0]) && seconds.has(place(row))).map((row) => [row, /** @type {VideoRow} */ (seconds.get(place(row)))]);
}

/**
 * Return what a measure of pairs says: the mean of first minus second, of how many pairs, and in how many the first is higher.
 *
 * @param {[VideoRow, VideoRow][]} pairs
 * @param {string} measure
 * @param {[string, string]} words
 */
export function meanDifference(pairs, measure, [first, second]) {
  const differences = pairs.flatMap(([a, b]) => {
    const [one, other] = [a.measures?.[first]?.[measure], b.measures?.[second]?.[measure]];
    return typeof one === "number" && typeof other === "number" ? [one - other] : [];
  });
  if (differences.length === 0) return null;
  const mean = differences.reduce((sum, one) => sum + one, 0) / differences.length;
  return { mean, pairs: differences.length, higher: differences.filter((one) => one > 0).length };
}

/**
 * Return the value of a measure for a whole video: what it has over time, or the mean of the frames where it is defined.
 *
 * @param {MeasuresDocument | null} measures
 * @param {string} word
 * @param {string} name
 * @returns {number | null}
 */
export function measured(measures, word, name) {
  const found = measures?.words[word];
  if (!found) return null;
  if (name in found.over_time) return found.over_time[name];
  const values = (found.frames[name] ?? []).filter((value) => value !== null);
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}
