import { fill, make, set } from "../../dom.js";
import { Difference } from "../difference.js";
import { endsOfVideo } from "../levels.js";
import { colourBar } from "./bars.js";
import { fillNumbers, number, signed } from "./numbers.js";
import { wordPairs } from "./pairs.js";
import { Side, described } from "./side.js";
import { DIFFERENCES, strip } from "../strip.js";

/**
 * What of the page a comparison uses.
 *
 * @typedef {object} Parts
 * @property {Source} source
 * @property {import("../store.js").MapStore} store
 * @property {import("../painter.js").Painter} painter
 * @property {import("../../clock/clock.js").Clock} clock
 * @property {import("../../state/library.js").Library} library
 */

/** @type {["sides" | "wipe" | "difference", string, string][]} */
const MODES = [
  ["sides", "Side by side", "Both videos beside each other"],
  ["wipe", "Wipe", "One video over the other; drag the line between them"],
  ["difference", "Difference", "Attention of A minus attention of B, beside both"],
];

/**
 * Compare two videos: side by side, as a wipe, and as the difference of their attention, with the numbers.
 *
 * @param {HTMLElement} element what it fills
 * @param {Parts} parts
 * @param {VideoDetail} a
 * @param {VideoDetail} b
 * @param {View} view with the words of both
 */
export function mountCompare(element, parts, a, b, view) {
  const comparison = new Comparison(element, parts, a, b);
  comparison.update(view);
  return comparison;
}

class Comparison {
  /** @param {HTMLElement} element @param {Parts} parts @param {VideoDetail} a @param {VideoDetail} b */
  constructor(element, parts, a, b) {
    this._parts = parts;
    this._texts = new Map([...b.tokens, ...a.tokens].map(({ slug, text }) => [slug, text]));
    this._sides = [new Side(parts, a, "A", described(a, b)), new Side(parts, b, "B", described(b, a))];
    this._canvas = make("canvas", { role: "img", "aria-label": "Attention of A minus attention of B" });
    this._difference = new Difference(parts.painter, this._canvas);
    this._told = make("p", { class: "told soft", role: "status" });
    const picture = make("div", { class: "seen-picture" }, this._canvas);
    this._caption = make("figcaption");
    const third = make("figure", { class: "side difference" }, this._caption, picture, this._told);
    this._stage = make("div", { class: "sides" }, ...this._sides.map((one) => one.element), third);
    this._wipe = make("input", { type: "range", min: 0, max: 100, value: 50, step: 0.5, "aria-label": "Place of the line between A and B", oninput: () => this._placeWipe() });
    const modes = MODES.map(([name, text, title]) => make("button", { type: "button", title, "data-mode": name, onclick: () => this._choose(name) }, text));
    this._modes = make("div", { class: "modes", role: "group", "aria-label": "How the two are shown" }, ...modes);
    this._words = make("select", { onchange: () => this._refresh() });
    this._chooser = make("label", { class: "chooser" }, "Compared word", this._words);
    this._bars = make("div", { class: "bars" });
    this._values = make("p", { class: "readout" });
    this._numbers = make("section", { class: "compared", "aria-label": "Measures of both" });
    this._element = make("div", { class: "compare" }, make("div", { class: "compare-head" }, this._modes, this._chooser, this._bars), this._stage, this._wipe, this._values, this._numbers);
    fill(element, this._element);
    for (const side of this._sides) side.play();
    /** @type {"sides" | "wipe" | "difference"} */
    this._mode = "sides";
    /** @type {View | null} */
    this._view = null;
    this._request = 0;
    /** @type {(() => void)[]} */
    this._listening = [];
    /** @type {[number, number] | null} */
    this._pointed = null;
    /** @type {[MeasuresDocument | null, MeasuresDocument | null]} */
    this._measures = [null, null];
    this._shape(a);
    this._listen();
    this._choose("sides");
  }

  /** Whether one of the videos could not be loaded. */
  get failed() {
    return this._sides.some(({ video }) => video.error !== null);
  }

  /** Take what is known of the same two videos now. @param {VideoDetail[]} videos */
  take(videos) {
    videos.forEach((detail, n) => (this._sides[n].detail = detail));
    this._measure();
    this._refresh();
  }

  /** @param {View} view */
  update(view) {
    this._view = view;
    void this._load(view);
  }

  close() {
    this._request += 1;
    for (const stop of this._listening) stop();
    for (const side of this._sides) side.close();
    this._difference.close();
  }

  /** @param {VideoDetail} a */
  _shape({ width, height }) {
    this._element.style.setProperty("--shape", `${(width || 16) / (height || 9)}`);
  }

  _listen() {
    const { clock, painter } = this._parts;
    const again = () => this._refresh();
    painter.addEventListener("change", again);
    const followed = this._sides.map((side, n) => clock.attach(side.video, side.detail, (frame) => this._draw(n, frame)));
    this._listening = [...followed, () => painter.removeEventListener("change", again)];
    this._stage.addEventListener("pointermove", (event) => this._point(event));
    this._stage.addEventListener("pointerdown", (event) => this._point(event));
    this._stage.addEventListener("pointerleave", () => this._point(null));
    this._measure();
  }

  _measure() {
    for (const [n, { detail }] of this._sides.entries()) {
      if (detail.measures === null) continue;
      this._parts.library.measures(detail).then(
        (found) => {
          this._measures[n] = found;
          this._showNumbers();
        },
        () => undefined,
      );
    }
  }

  /**
   * @param {number} n number of the side
   * @param {number} frame
   */
  _draw(n, frame) {
    this._sides[n].layer.draw(frame);
    if (n === 0 && this._mode === "difference") this._difference.draw(frame);
    if (n === 0 && this._view?.scale === "frame") this._showBars();
    this._read();
  }

  /** @param {View} view */
  async _load(view) {
    const request = ++this._request;
    try {
      const loaded = await Promise.all(this._sides.map(({ detail }) => this._parts.store.get(detail, view)));
      if (request !== this._request) return;
      this._sides.forEach((side, n) => {
        side.loaded = loaded[n];
      });
      this._refresh();
    } catch (error) {
      if (request === this._request) fill(this._values, error instanceof Error ? error.message : String(error));
    }
  }

  /** Words of both that belong together. */
  get _pairs() {
    const [a, b] = this._sides.map(({ loaded }) => (this._view?.words ?? []).filter((word) => word in loaded));
    return wordPairs(a, b);
  }

  /** The words whose difference and numbers are shown. */
  get _pair() {
    const pairs = this._pairs;
    return pairs.find((pair) => pair.join("\n") === this._words.value) ?? pairs[0] ?? null;
  }

  /** Show everything again, from what is loaded. */
  _refresh() {
    const view = this._view;
    if (view === null) return;
    this._shareScales(view);
    for (const side of this._sides) side.show(view);
    this._showWords();
    this._showDifference(view);
    this._showBars();
    this._showNumbers();
    this._read();
  }

  /**
   * Give the words of both videos one scale, where each would have its own: the same colour means the same attention.
   *
   * @param {View} view
   */
  _shareScales(view) {
    if (view.scale === "frame" || view.scale === "batch") return;
    for (const pair of this._pairs) {
      const ends = pair.flatMap((word, n) => {
        const { detail, loaded } = this._sides[n];
        const maps = loaded[word].container.at(view.step);
        return maps && detail.timeline ? [endsOfVideo(maps, detail.timeline, view.clip ?? null)] : [];
      });
      const scale = { low: Math.min(...ends.map(({ low }) => low)), high: Math.max(...ends.map(({ high }) => high)) };
      pair.forEach((word, n) => {
        const side = this._sides[n];
        side.loaded = { ...side.loaded, [word]: { ...side.loaded[word], scale } };
      });
    }
  }

  _showWords() {
    const pairs = this._pairs;
    const chosen = this._pair?.join("\n");
    const options = pairs.map((pair) => make("option", { value: pair.join("\n"), selected: pair.join("\n") === chosen }, this._named(pair)));
    fill(this._words, ...options);
    this._chooser.hidden = pairs.length < 2;
  }

  /** Say which words are compared, as A − B if they are two. @param {[string, string] | null} pair */
  _named(pair) {
    const texts = new Set(pair?.map((word) => this._texts.get(word) ?? word));
    return [...texts].join(" − ");
  }

  /** @param {View} view */
  _showDifference(view) {
    const pair = this._pair;
    fill(this._caption, make("strong", {}, "A − B"), ` ${this._named(pair)}`);
    const [a, b] = this._sides.map(({ detail, loaded }, n) => {
      const maps = pair && loaded[pair[n]].container.at(view.step);
      return maps && detail.timeline ? { maps, timeline: detail.timeline } : null;
    });
    const { width, height } = this._sides[0].detail;
    this._difference.show(a, b, view, { width: width ?? 0, height: height ?? 0 });
    const grids = a && b && (a.maps.rows !== b.maps.rows || a.maps.columns !== b.maps.columns);
    const missing = this._parts.painter.problem ?? (a && b ? null : "One of the two has no such maps.");
    this._told.textContent = grids ? "The grids of the two differ, so there is no difference to be shown." : (missing ?? "");
  }

  _showBars() {
    const { painter } = this._parts;
    const bars = this._sides[0].layer.scales().map(({ word, hue, low, high }, _, all) => {
      const view = /** @type {View} */ (this._view);
      return colourBar(strip(painter, view, all.length > 1 ? hue : null), [low, high], `${this._texts.get(word) ?? word}, both`);
    });
    if (this._mode === "difference") {
      const { limit } = this._difference;
      bars.push(colourBar(strip(painter, DIFFERENCES), [signed(-limit), "0", signed(limit)], `A − B, ${this._named(this._pair)}`));
    }
    fill(this._bars, ...bars);
  }

  _showNumbers() {
    const { library, painter } = this._parts;
    const [a, b] = this._sides.map(({ detail }) => detail);
    fillNumbers(this._numbers, painter.measures, { rows: [...library.rows.values()], a, b, measures: this._measures, words: this._pair });
  }

  /** @param {"sides" | "wipe" | "difference"} mode */
  _choose(mode) {
    this._mode = mode;
    this._element.dataset.mode = mode;
    this._wipe.hidden = mode !== "wipe";
    for (const button of this._modes.children) set(button, { "aria-pressed": String(button.getAttribute("data-mode") === mode) });
    this._placeWipe();
    this._difference.draw(this._sides[0].layer.frame);
    this._showBars();
  }

  _placeWipe() {
    this._stage.style.setProperty("--wipe", `${this._wipe.value}%`);
  }

  /** @param {PointerEvent | null} event */
  _point(event) {
    const picture = event && /** @type {Element} */ (event.target).closest(".seen-picture");
    if (!event || !picture) this._pointed = null;
    else {
      const { left, top, width, height } = picture.getBoundingClientRect();
      this._pointed = [(event.clientX - left) / width, (event.clientY - top) / height];
      if (this._mode === "wipe" && event.buttons === 1) {
        this._wipe.value = `${100 * this._pointed[0]}`;
        this._placeWipe();
      }
    }
    this._read();
  }

  /** Tell the attention under the pointer, at the same place of both. */
  _read() {
    const [at, pair] = [this._pointed, this._pair];
    if (at === null || pair === null) {
      fill(this._values, "Point at a picture to read the attention of both at that place.");
      return;
    }
    const [a, b] = this._sides.map(({ layer }, n) => layer.valueAt(...at).find(({ word }) => word === pair[n])?.value ?? NaN);
    const told = (/** @type {string} */ name, /** @type {string} */ value) => make("span", {}, `${name} `, make("strong", {}, value));
    fill(this._values, this._named(pair), told("A", number(a)), told("B", number(b)), told("A − B", signed(a - b)));
  }
}
