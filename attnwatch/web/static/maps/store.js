import { Container } from "./container.js";

/** @typedef {import("./levels.js").Ends} Ends */
/** @typedef {Record<string, {container: Container, scale: Ends | null}>} Loaded */

/** Bytes of maps that are kept for videos that may be looked at again. */
const MOST_BYTES = 192 * 2 ** 20;
/** Bytes above which the steps of a word are loaded one by one (attnwatch/web/maps/container.py). */
const MOST_AT_ONCE = 48 * 2 ** 20;
/** Milliseconds for which the scale of a batch counts: meanwhile the batch may grow. */
const SCALE_AGE = 60_000;

/** Loads maps and keeps them: after the first step of a word, every other one is there. */
export class MapStore {
  /**
   * @param {Source} source
   * @param {number} [mostBytes]
   */
  constructor(source, mostBytes = MOST_BYTES) {
    this._source = source;
    this._mostBytes = mostBytes;
    /** @type {Map<string, {loading: Promise<Container>, bytes: number}>} */
    this._kept = new Map();
    /** @type {Map<string, {loading: Promise<Ends>, at: number}>} */
    this._scales = new Map();
    this._bytes = 0;
  }

  /**
   * Return the maps that a view of a video needs; words that the video lacks are left out.
   *
   * @param {VideoDetail} detail
   * @param {View} view
   * @returns {Promise<Loaded>}
   */
  async get(detail, view) {
    const words = view.words.filter((word) => word in detail.maps);
    const found = await Promise.all(words.map((word) => this._word(detail, word, view)));
    return Object.fromEntries(words.map((word, n) => [word, found[n]]));
  }

  /**
   * @param {VideoDetail} detail
   * @param {string} word
   * @param {View} view
   */
  async _word(detail, word, view) {
    const part = { steps: stepsOf(detail.maps[word], view.step), layers: view.layers, heads: view.heads };
    const [container, scale] = await Promise.all([
      this._container(detail, word, part),
      view.scale === "batch" ? this._scale(detail.batch, word, { ...part, steps: `${view.step ?? "mean"}`, clip: view.clip?.join(",") ?? null }) : null,
    ]);
    return { container, scale };
  }

  /**
   * @param {VideoDetail} detail
   * @param {string} word
   * @param {MapsPart} part
   */
  _container(detail, word, part) {
    const key = [detail.id, detail.version, word, part.steps, part.layers, part.heads].join("\n");
    const known = this._kept.get(key);
    if (known) {
      this._kept.delete(key);
      this._kept.set(key, known);
      return known.loading;
    }
    const loading = this._source.maps(detail.id, word, part).then((buffer) => new Container(buffer));
    const entry = { loading, bytes: 0 };
    this._kept.set(key, entry);
    loading.then(
      ({ bytes }) => {
        if (this._kept.get(key) !== entry) return;
        entry.bytes = bytes;
        this._bytes += bytes;
        this._drop();
      },
      () => this._kept.delete(key),
    );
    return loading;
  }

  _drop() {
    for (const [key, { bytes }] of this._kept) {
      if (this._bytes <= this._mostBytes || this._kept.size === 1) return;
      if (bytes === 0) continue;
      this._kept.delete(key);
      this._bytes -= bytes;
    }
  }

  /**
   * @param {string} batch
   * @param {string} word
   * @param {ScalePart} part
   */
  _scale(batch, word, part) {
    const key = JSON.stringify([batch, word, part]);
    const known = this._scales.get(key);
    if (known && performance.now() - known.at < SCALE_AGE) return known.loading;
    const loading = this._source.scale(batch, word, part);
    this._scales.set(key, { loading, at: performance.now() });
    loading.catch(() => this._scales.delete(key));
    return loading;
  }
}

/**
 * Return which steps are loaded: all of them if one is looked at, because the next ones are too.
 *
 * @param {MapsRecord} stored
 * @param {number | null} step
 */
export function stepsOf({ grid: [frames, rows, columns], steps }, step) {
  if (step === null || steps.length === 0) return "mean";
  return 2 * frames * rows * columns * steps.length > MOST_AT_ONCE ? `${step}` : "each";
}
