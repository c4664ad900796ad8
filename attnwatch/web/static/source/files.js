/** Data of an exported page. It has no server: each file is a script that hands over its content. */

import { Container } from "../maps/container.js";
import { endsOf } from "../maps/levels.js";

const CLIP = /^([0-9.]+),([0-9.]+)$/;

/** @type {Map<string, {promise: Promise<Uint8Array>, resolve: (data: Uint8Array) => void}>} */
const expected = new Map();

/** Take what a script hands over. @param {string} key @param {string} text in base64 */
function take(key, text) {
  const characters = atob(text);
  const data = new Uint8Array(characters.length);
  for (let at = 0; at < characters.length; at += 1) data[at] = characters.charCodeAt(at);
  expected.get(key)?.resolve(data);
}

/** Load a file. @param {string} key @returns {Promise<Uint8Array>} */
function load(key) {
  const known = expected.get(key);
  if (known) return known.promise;
  /** @type {(data: Uint8Array) => void} */
  let resolve = () => {};
  const script = document.createElement("script");
  const promise = new Promise((resolved, rejected) => {
    resolve = resolved;
    script.onerror = () => rejected(new Error(`found no data/${key}.js; expected it beside this page; export the page again`));
  });
  expected.set(key, { promise, resolve });
  const forget = () => {
    expected.delete(key); // what was loaded is kept by who has asked for it
    script.remove();
  };
  promise.then(forget, forget);
  script.src = `data/${key}.js`;
  document.head.append(script);
  return promise;
}

/** @param {string} key @returns {Promise<ArrayBuffer>} */
async function unpacked(key) {
  const data = /** @type {Uint8Array<ArrayBuffer>} */ (await load(key));
  return new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** @param {string} key @returns {Promise<any>} */
async function document_(key) {
  return JSON.parse(new TextDecoder().decode(await unpacked(key)));
}

/** @param {string} word */
const hex = (word) => [...new TextEncoder().encode(word)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** @implements {Source} */
export class FilesSource {
  live = false;

  constructor() {
    Object.assign(window, { attnwatchData: take });
    /** @type {Map<string, Promise<string>>} */
    this._films = new Map();
    /** @type {Promise<Record<string, string>> | null} */
    this._addresses = null;
  }

  /** @returns {Promise<BatchesDocument>} */
  batches() {
    return document_("batches");
  }

  /** @param {string} id @returns {Promise<Batch>} */
  batch(id) {
    return document_(`batch-${id}`);
  }

  /** @param {string} id @returns {Promise<VideoDetail>} */
  video(id) {
    return document_(`video-${id}`);
  }

  /** @param {string} id @returns {Promise<MeasuresDocument | null>} */
  measures(id) {
    return document_(`measures-${id}`);
  }

  /** @param {string} id @param {string} word @param {MapsPart} part */
  maps(id, word, { steps }) {
    return unpacked(`maps-${id}-${hex(word)}-${steps === "mean" ? "mean" : "each"}`);
  }

  /**
   * Return the scale over all exported videos of a batch.
   *
   * @param {string} batch @param {string} word @param {ScalePart} part
   */
  async scale(batch, word, { steps, clip }) {
    const given = CLIP.exec(clip ?? "");
    /** @type {[number, number] | null} */
    const percentiles = given ? [Number(given[1]), Number(given[2])] : null;
    const part = { steps, layers: null, heads: null };
    let [low, high] = [Infinity, -Infinity];
    for (const { id, words } of (await this.batch(batch)).videos) {
      if (!words.includes(word)) continue;
      const maps = new Container(await this.maps(id, word, part)).at(steps === "mean" ? null : Number(steps));
      if (maps === null) continue;
      const ends = endsOf(maps.values, percentiles);
      [low, high] = [Math.min(low, ends.low), Math.max(high, ends.high)];
    }
    return low <= high ? { low, high } : { low: 0, high: 0 };
  }

  /** @returns {Promise<Tables>} */
  tables() {
    return document_("tables");
  }

  /**
   * Return the address of a video: of its own bytes, because a page from a folder may not read the pixels of another file.
   *
   * @param {string} id @returns {Promise<string>}
   */
  videoUrl(id) {
    const known = this._films.get(id);
    if (known) return known;
    const address = this._address(id);
    this._films.set(id, address);
    return address;
  }

  /** @param {string} id @returns {Promise<string>} */
  async _address(id) {
    this._addresses ??= document_("films");
    const linked = (await this._addresses)[id];
    if (linked) return linked;
    const data = /** @type {Uint8Array<ArrayBuffer>} */ (await load(`film-${id}`));
    return URL.createObjectURL(new Blob([data], { type: "video/mp4" }));
  }

  /** Rendered files are not exported: the page draws them itself. */
  outputUrl() {
    return "";
  }

  /** Nothing changes. */
  subscribe() {
    return () => {};
  }
}
