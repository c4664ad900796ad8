import { fill, make } from "../../dom.js";
import { mountCompare } from "./mount.js";

/** @typedef {import("../../main.js").App} App */

/** The comparison of two videos, as the page opens it and tells it what has changed. */
export class ComparisonView {
  /** @param {App} app @param {HTMLElement} element @param {string[]} ids */
  static async opened(app, element, ids) {
    const rows = ids.map((id) => /** @type {VideoRow} */ (app.library.rows.get(id)));
    const [a, b] = await Promise.all(rows.map((row) => app.library.detail(row)));
    return new ComparisonView(app, element, a, b);
  }

  /** @param {App} app @param {HTMLElement} element @param {VideoDetail} a @param {VideoDetail} b */
  constructor(app, element, a, b) {
    this.app = app;
    /** The cell to come back to. */
    this.id = b.id;
    this._videos = [a, b];
    this._closed = false;
    this.element = make("div", { class: "comparison" });
    fill(element, this.element);
    app.clock.span([a, b]);
    this._mounted = mountCompare(this.element, app, a, b, this._view());
  }

  _view() {
    const [a, b] = this._videos;
    return this.app.viewOf({ ...a, words: [...new Set([...a.words, ...b.words])] });
  }

  redraw() {
    this._mounted.update(this._view());
  }

  /** Take what has changed: measures, rendered files; if it is one of the videos itself, begin anew. */
  async refresh() {
    const { library } = this.app;
    const rows = this._videos.flatMap(({ id }) => library.rows.get(id) ?? []);
    if (rows.length < 2 || rows.every(({ stamp }, n) => stamp === this._videos[n].stamp)) return;
    if (rows.some(({ version }, n) => version !== this._videos[n].version)) return this.app.show();
    const found = await Promise.all(rows.map((row) => library.detail(row))).catch(() => null);
    if (found === null || this._closed) return;
    this._videos = found;
    this._mounted.take(found);
  }

  /** The server answers again: load what could not be loaded. */
  again() {
    if (this._mounted.failed) return this.app.show();
    this._mounted.take(this._videos);
    this.redraw();
    return this.refresh();
  }

  close() {
    this._closed = true;
    this._mounted.close();
  }
}
