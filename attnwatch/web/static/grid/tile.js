import { make, set } from "../dom.js";
import { UNPLAYABLE, stateMark } from "../marks.js";
import { measured } from "./arrange.js";
import { Overlay } from "./overlay.js";

/** @typedef {import("../main.js").App} App */

/** One cell: a picture with its state, the maps over it, and a line below. */
export class Tile {
  /** @param {App} app @param {VideoRow} row */
  constructor(app, row) {
    this.app = app;
    this.row = row;
    // Time goes on after its address was written, also for the browser's own menu.
    const aim = () => (this.link.href = app.linkTo(this.row.id));
    this.link = make("a", { class: "open", tabindex: "-1", onclick: aim, onpointerdown: aim, oncontextmenu: aim });
    this.mark = make("span", { class: "mark" });
    this.reason = make("span", { class: "reason" });
    this.box = make("div", { class: "picture" }, this.reason, this.mark, this.link);
    this.caption = make("span", { class: "caption", dir: "auto" });
    this.value = make("span", { class: "value" });
    this.chosen = make("input", { type: "checkbox", class: "choose", onchange: () => app.choose(this.row.id) });
    this.element = make("div", { class: "tile", role: "listitem" }, this.box, make("div", { class: "line" }, this.caption, this.value, this.chosen));
    /** @type {HTMLVideoElement | null} */
    this.video = null;
    /** @type {Overlay | null} */
    this.overlay = null;
    this._detach = () => {};
    this._shown = false;
  }

  /**
   * Place it, and show what is known of its video now.
   *
   * @param {VideoRow} row
   * @param {{x: number, y: number, width: number, height: number, caption: string}} place
   */
  update(row, { x, y, width, height, caption }) {
    const { state } = this.app.session;
    const before = this.row;
    this.row = row;
    this.element.style.transform = `translate(${x}px, ${y}px)`;
    this.element.style.width = `${width}px`;
    this.box.style.height = `${height}px`;
    this.caption.textContent = caption;
    this.caption.title = row.prompt ?? "";
    const value = state.sort === null ? null : measured(row, state.sort);
    this.value.textContent = state.sort === null ? "" : value === null ? "–" : Number(value.toPrecision(3)).toString();
    this._describe(row, caption);
    if (this.video && (row.version !== before.version || !row.playable)) {
      this.sleep();
      this.wake();
    } else if (row.stamp !== before.stamp) this.redraw();
  }

  /** @param {VideoRow} row @param {string} caption */
  _describe(row, caption) {
    const { state } = this.app.session;
    const mark = stateMark(row);
    this.element.dataset.state = row.state;
    this.element.dataset.id = row.id;
    const where = row.state === "running" && row.reason ? ` ${row.reason}` : "";
    this.mark.textContent = `${mark.text}${where}`;
    this.mark.title = row.reason ?? "";
    this.mark.hidden = mark.quiet;
    this.mark.dataset.kind = mark.kind;
    this.reason.textContent = row.playable ? (this.video?.error ? UNPLAYABLE : "") : (row.reason ?? mark.long);
    const seed = row.seed === null ? "" : `, seed ${row.seed}`;
    const label = `${row.prompt ?? row.video_id}${seed}: ${mark.long}`;
    set(this.link, { href: this.app.linkTo(row.id), "aria-label": `${label}${where}` });
    const chosen = state.compare.includes(row.id);
    this.chosen.checked = chosen;
    set(this.chosen, { "aria-label": `Compare ${caption || label}`, title: "Compare (x)", disabled: !row.playable });
    this.element.classList.toggle("chosen", chosen);
  }

  /** Hold a video from now on. */
  wake() {
    if (this.video || !this.row.playable) return;
    this.reason.textContent = "";
    this.video = make("video", { tabindex: "-1", "aria-hidden": "true" });
    this.app.source.play(this.video, this.row);
    this.video.disablePictureInPicture = true;
    const canvas = make("canvas", { class: "maps", "aria-hidden": "true" });
    this.box.prepend(this.video, canvas);
    this.overlay = new Overlay(this.app, canvas, this.video);
    const { overlay } = this;
    this._detach = this.app.clock.attach(this.video, this.row, (frame) => {
      overlay.draw(frame);
      if (!this._shown) this._begin();
    });
    this.video.onerror = () => {
      this.reason.textContent = UNPLAYABLE;
    };
  }

  /** Its picture is there: only now ask for its maps, so that they do not hold up the pictures of other cells. */
  _begin() {
    this._shown = true;
    this.redraw();
  }

  /** Draw the maps as the controls say now. */
  redraw() {
    if (!this.overlay || !this._shown) return;
    const view = this.app.viewOf(this.row);
    void this.overlay.show(this.app.library.detail(this.row), view);
  }

  /** The server answers again: load what could not be loaded. */
  again() {
    if (this.video?.error) {
      this.sleep();
      this.wake();
    } else if (this.overlay?.problem) this.redraw();
  }

  /** Let go of the video. */
  sleep() {
    this._detach();
    this.overlay?.close();
    if (this.video) {
      this.video.onerror = null;
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.box.querySelectorAll("video, canvas").forEach((one) => one.remove());
    this.video = this.overlay = null;
    this._shown = false;
    this._detach = () => {};
  }

  close() {
    this.sleep();
    this.element.remove();
  }
}
