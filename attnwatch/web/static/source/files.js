/** Data of an exported page. It has no server: each file is a script that hands over its content. */

import { Container } from "../maps/container.js";
import { endsOf } from "../maps/levels.js";
import { stepsOf } from "../maps/store.js";

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
async function read(key) {
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
    /** Where the videos are that are not in this folder, by their identifiers. @type {Promise<Record<string, string>>} */
    this._linked = read("films");
  }

  /** @returns {Promise<BatchesDocument>} */
  batches() {
    return read("batches");
  }

  /** @param {string} id @returns {Promise<Batch>} */
  batch(id) {
    return read(`batch-${id}`);
  }

  /** @param {string} id @returns {Promise<VideoDetail>} */
  video(id) {
    return read(`video-${id}`);
  }

  /** @param {string} id @returns {Promise<MeasuresDocument | null>} */
  measures(id) {
    return read(`measures-${id}`);
  }

  /** @param {string} id @param {string} word @param {MapsPart} part */
  maps(id, word, { steps }) {
    return unpacked(`maps-${id}-${hex(word)}-${steps}`);
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
    const step = steps === "mean" ? null : Number(steps);
    let [low, high] = [Infinity, -Infinity];
    for (const { id, words } of (await this.batch(batch)).videos) {
      const stored = words.includes(word) ? (await this.video(id)).maps[word] : undefined;
      if (stored === undefined) continue;
      const part = { steps: stepsOf(stored, step), layers: null, heads: null };
      const maps = new Container(await this.maps(id, word, part)).at(step);
      if (maps === null) continue;
      const ends = endsOf(maps.values, percentiles);
      [low, high] = [Math.min(low, ends.low), Math.max(high, ends.high)];
    }
    return low <= high ? { low, high } : { low: 0, high: 0 };
  }

  /** @returns {Promise<Tables>} */
  tables() {
    return read("tables");
  }

  /**
   * Have an element play a video: from its own bytes, because a page from a folder may not read the pixels of another file.
   *
   * @param {HTMLVideoElement} element @param {{id: string}} about
   */
  async play(element, { id }) {
    try {
      const address = (await this._linked)[id] ?? (await this._film(id));
      if (element.isConnected) element.src = address;
    } catch {
      element.dispatchEvent(new Event("error"));
    }
  }

  /** @param {string} id @returns {Promise<string>} */
  _film(id) {
    const known = this._films.get(id);
    if (known) return known;
    const film = load(`film-${id}`).then((data) => URL.createObjectURL(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (data)], { type: "video/mp4" })));
    this._films.set(id, film);
    return film;
  }

  /** Videos are in the data of the page, not in files that could be saved. */
  videoUrl() {
    return "";
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
