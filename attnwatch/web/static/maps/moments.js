/** Maps at the frames of a video: between two latent frames, as attnwatch/render/maps.py (`TimeMapping.at`) mixes them. */

/** @typedef {import("./container.js").Maps} Maps */

/**
 * Mix the maps that a frame of the video shows.
 *
 * @param {Maps} maps
 * @param {Timeline} timeline
 * @param {number} frame number of the video's frame; beyond the last one, that is held
 * @param {Float32Array} [into] of `rows * columns`
 * @returns {Float32Array} `[row, column]`
 */
export function mapAt(maps, timeline, frame, into = new Float32Array(maps.rows * maps.columns)) {
  const at = Math.max(0, Math.min(frame, timeline.lower.length - 1));
  const cells = into.length;
  const first = timeline.lower[at] * cells;
  const second = Math.min(timeline.lower[at] + 1, maps.frames - 1) * cells;
  const share = Math.fround(timeline.share[at]);
  const { values } = maps;
  if (share === 0) {
    into.set(values.subarray(first, first + cells));
    return into;
  }
  const nearest = share < 0.5 ? first : second;
  for (let cell = 0; cell < cells; cell += 1) {
    const mixed = values[first + cell] * (1 - share) + values[second + cell] * share;
    // Masked cells are masked for the time that is nearest to their latent frame.
    into[cell] = Number.isNaN(mixed) ? values[nearest + cell] : mixed;
  }
  return into;
}

/**
 * Return the attention at a place of a picture, as it is drawn; NaN where it is masked.
 *
 * @param {Float32Array} map `[row, column]`
 * @param {{rows: number, columns: number}} grid
 * @param {[number, number]} place from the left and from the top, 0..1
 * @param {"bilinear" | "nearest"} upsampling
 */
export function valueAt(map, { rows, columns }, [x, y], upsampling) {
  const cell = map[whole(y * rows, rows) * columns + whole(x * columns, columns)];
  if (upsampling === "nearest") return cell;
  const [above, below, down] = around(y * rows - 0.5, rows);
  const [left, right, along] = around(x * columns - 0.5, columns);
  const upper = map[above * columns + left] * (1 - along) + map[above * columns + right] * along;
  const lower = map[below * columns + left] * (1 - along) + map[below * columns + right] * along;
  const mixed = upper * (1 - down) + lower * down;
  return Number.isNaN(mixed) ? cell : mixed;
}

/** @param {number} place @param {number} count */
const whole = (place, count) => Math.max(0, Math.min(count - 1, Math.floor(place)));

/**
 * @param {number} place
 * @param {number} count
 * @returns {[number, number, number]} the cells on both sides, and how far it is from the first one
 */
function around(place, count) {
  const first = Math.floor(place);
  return [Math.max(0, Math.min(first, count - 1)), Math.max(0, Math.min(first + 1, count - 1)), place - first];
}
