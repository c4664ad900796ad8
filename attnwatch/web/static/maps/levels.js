/** Attention as positions in the colormap, exactly as attnwatch/render/maps.py (`to_levels`) places it. */

import { mapAt } from "./moments.js";

/** @typedef {import("./container.js").Maps} Maps */
/** @typedef {{low: number, high: number}} Ends */

/**
 * What the ends of a scale are: measured ones, those of a batch, or set ones.
 *
 * @typedef {object} Fixed
 * @property {Ends | null} measured ends that were measured elsewhere, such as over a batch
 * @property {number | null} low set by the user
 * @property {number | null} high
 */

/**
 * Return the ends of values, of which some may be masked; 0 and 0 if all are.
 *
 * @param {Float32Array} values
 * @param {[number, number] | null} clip percentiles; null: minimum and maximum
 * @returns {Ends}
 */
export function endsOf(values, clip) {
  if (clip) return percentiles(values, clip);
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? { low, high } : { low: 0, high: 0 };
}

/**
 * Return the ends over all frames of a video.
 *
 * @param {Maps} maps
 * @param {Timeline} timeline
 * @param {[number, number] | null} clip
 * @returns {Ends}
 */
export function endsOfVideo(maps, timeline, clip) {
  const frames = timeline.lower.length;
  const cells = maps.rows * maps.columns;
  if (clip) {
    const all = new Float32Array(frames * cells);
    for (let frame = 0; frame < frames; frame += 1) mapAt(maps, timeline, frame, all.subarray(frame * cells, (frame + 1) * cells));
    return percentiles(all, clip);
  }
  const map = new Float32Array(cells);
  const ends = [];
  for (let frame = 0; frame < frames; frame += 1) ends.push(endsOf(mapAt(maps, timeline, frame, map), null));
  return { low: Math.min(...ends.map((one) => one.low)), high: Math.max(...ends.map((one) => one.high)) };
}

/**
 * Set the ends that are not measured. One that was set stays where it is, also if it is beyond the one that was measured.
 *
 * @param {Ends} measured
 * @param {number | null} low
 * @param {number | null} high
 * @returns {Ends}
 */
export function withSet(measured, low, high) {
  const ends = { low: low ?? measured.low, high: high ?? measured.high };
  return low === null ? { low: Math.min(ends.low, ends.high), high: ends.high } : { low: ends.low, high: Math.max(ends.low, ends.high) };
}

/**
 * Turn a map into positions in the colormap, 0..1, in place.
 *
 * @param {Float32Array} map
 * @param {Ends} ends
 * @param {{threshold: number, invert: boolean, highIsSet: boolean}} settings
 * @returns {Float32Array} the same array
 */
export function toShares(map, { low, high }, { threshold, invert, highIsSet }) {
  const span = high > low ? high - low : Infinity;
  const least = Math.fround(threshold);
  for (let cell = 0; cell < map.length; cell += 1) {
    const value = map[cell];
    let share = Math.fround((value - low) / span);
    if (highIsSet && low === high && value > high) share = 1;
    share = Math.min(Math.max(share, 0), 1);
    if (!(share >= least)) share = 0; // also where it is masked
    map[cell] = invert ? 1 - share : share;
  }
  return map;
}

/**
 * @param {Float32Array} values
 * @param {[number, number]} clip
 * @returns {Ends}
 */
function percentiles(values, clip) {
  const seen = values.filter((value) => !Number.isNaN(value));
  if (seen.length === 0) return { low: 0, high: 0 };
  const [low, high] = clip.map((percent) => {
    const place = (percent / 100) * (seen.length - 1);
    const rank = Math.floor(place);
    const first = ranked(seen, rank);
    let second = first; // the least of those after it
    if (place > rank) second = seen.subarray(rank + 1).reduce((least, value) => Math.min(least, value), Infinity);
    return Math.fround(first + (second - first) * (place - rank));
  });
  return { low, high };
}

/**
 * Return the value of a rank, and put no larger ones before it and no smaller ones after it. To sort all would take ten times as long.
 *
 * @param {Float32Array} values
 * @param {number} rank from 0
 */
function ranked(values, rank) {
  let [from, to] = [0, values.length - 1];
  while (from < to) {
    const pivot = values[(from + to) >> 1];
    let [left, right] = [from, to];
    while (left <= right) {
      while (values[left] < pivot) left += 1;
      while (values[right] > pivot) right -= 1;
      if (left > right) break;
      [values[left], values[right]] = [values[right], values[left]];
      left += 1;
      right -= 1;
    }
    if (rank <= right) to = right;
    else if (rank >= left) from = left;
    else break;
  }
  return values[rank];
}
