import { make } from "../../dom.js";
import { UNPLAYABLE } from "../../marks.js";
import { playInstead } from "../instead.js";

/** @typedef {import("../store.js").Loaded} Loaded */
/** @typedef {import("./mount.js").Parts} Parts */

/** One of the two videos of a comparison, with its maps. */
export class Side {
  /**
   * @param {Parts} parts
   * @param {VideoDetail} detail
   * @param {string} name A or B
   * @param {string} text what it is, in a few words
   */
  constructor({ source, painter }, detail, name, text) {
    this.detail = detail;
    this._source = source;
    this._painter = painter;
    this.video = make("video", { "aria-label": `${name}: ${detail.prompt ?? detail.video_id}` });
    this.video.onerror = () => detail.playable && (this.told.textContent = UNPLAYABLE);
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.told = make("p", { class: "told soft", role: "status" });
    this.picture = make("div", { class: "seen-picture" }, this.video, this.canvas);
    this.element = make("figure", { class: "side" }, make("figcaption", {}, make("strong", {}, name), " ", make("bdi", {}, text)), this.picture, this.told);
    this.layer = painter.layer(this.canvas);
    /** @type {Loaded} */
    this.loaded = {};
  }

  /** @param {View} view */
  show(view) {
    const told = playInstead(this.video, this._painter, this._source, this.detail, view);
    const why = this.video.error ? UNPLAYABLE : "";
    this.told.textContent = told ?? (this.detail.playable ? why : (this.detail.reason ?? "This video cannot be played."));
    this.layer.show(this.detail, this.loaded, view);
  }

  /** Load the video: once its element is in the page. */
  play() {
    this._source.play(this.video, this.detail);
  }

  close() {
    this.layer.close();
    this.video.onerror = null;
    this.video.removeAttribute("src");
    this.video.load();
  }
}

/**
 * Say what one video is, as far as it differs from the other.
 *
 * @param {VideoDetail} video
 * @param {VideoDetail} other
 */
export function described(video, other) {
  const choices = video.choices.filter((choice, n) => choice !== other.choices[n]);
  const parts = [choices.map((choice) => choice || "(nothing)").join(" · ") || (video.prompt ?? video.video_id)];
  if (video.seed !== null) parts.push(`seed ${video.seed}`);
  if (video.model !== other.model && video.model) parts.push(video.model);
  return parts.join(" · ");
}
