import { instead } from "../maps/index.js";

/** @typedef {import("../main.js").App} App */

/** The maps over one video: loads what the view needs, and draws each frame. Of several requests, only the last one counts. */
export class Overlay {
  /** @param {App} app @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas */
  constructor(app, video, canvas) {
    this._app = app;
    this._video = video;
    /** @type {string | null} address of the rendered overlay that is played where nothing can be drawn */
    this._rendered = null;
    this._layer = app.painter.layer(canvas);
    this._request = 0;
    this._frame = 0;
    this._closed = false;
    /** @type {string | null} why nothing is drawn */
    this.problem = null;
  }

  /**
   * @param {VideoDetail | Promise<VideoDetail>} about
   * @param {View} view
   */
  async show(about, view) {
    const request = ++this._request;
    try {
      const detail = await about;
      if (request !== this._request || this._closed) return;
      const other = instead(this._app.painter, this._app.source, detail, view);
      this._swap(detail, other?.url || null);
      if (other) throw new Error(other.text);
      const maps = await this._app.store.get(detail, view);
      if (request !== this._request || this._closed) return;
      this._layer.show(detail, maps, view);
      this._layer.draw(this._frame);
      this.problem = null;
    } catch (error) {
      if (request === this._request) this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {VideoDetail} detail @param {string | null} rendered */
  _swap(detail, rendered) {
    if (rendered === this._rendered) return;
    this._rendered = rendered;
    if (rendered === null) this._app.source.play(this._video, detail.id);
    else this._video.src = rendered;
  }

  /** @param {number} frame */
  draw(frame) {
    this._frame = frame;
    if (!this._closed) this._layer.draw(frame);
  }

  /** @param {number} x share of the width @param {number} y share of the height */
  valueAt(x, y) {
    return this._layer.valueAt(x, y);
  }

  get layer() {
    return this._layer;
  }

  close() {
    this._closed = true;
    this._layer.close();
  }
}
