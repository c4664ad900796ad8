import { playInstead } from "../maps/index.js";

/** @typedef {import("../main.js").App} App */

/** The maps over one video: loads what the view needs, and draws each frame. Of several requests, only the last one counts. */
export class Overlay {
  /** @param {App} app @param {HTMLCanvasElement} canvas @param {HTMLVideoElement} video below it */
  constructor(app, canvas, video) {
    this._app = app;
    this._video = video;
    this._layer = app.painter.layer(canvas);
    this._request = 0;
    this._frame = 0;
    this._closed = false;
    /** @type {string | null} why nothing is drawn */
    this.problem = null;
    /** @type {[VideoDetail | Promise<VideoDetail>, View] | null} */
    this._asked = null;
    this._again = () => this._asked && void this.show(...this._asked);
    app.painter.addEventListener("change", this._again);
  }

  /**
   * @param {VideoDetail | Promise<VideoDetail>} about
   * @param {View} view
   */
  async show(about, view) {
    const request = ++this._request;
    this._asked = [about, view];
    try {
      const detail = await about;
      const maps = await this._app.store.get(detail, view);
      if (request !== this._request || this._closed) return;
      this._layer.show(detail, maps, view);
      this._layer.draw(this._frame);
      this.problem = playInstead(this._video, this._app.painter, this._app.source, detail, view);
    } catch (error) {
      if (request === this._request) this.problem = error instanceof Error ? error.message : String(error);
    }
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
    this._app.painter.removeEventListener("change", this._again);
    this._layer.close();
  }
}
