import { fill, make, renew } from "../dom.js";
import { Overlay } from "../grid/overlay.js";
import { still } from "../maps/index.js";
import { UNPLAYABLE, stateMark } from "../marks.js";
import { reasonOf } from "../overview/missing.js";
import { colourBars } from "./bars.js";
import { Curves } from "./curves.js";
import { facts } from "./facts.js";
import { press, promptOf } from "./prompt.js";
import { readout } from "./readout.js";

/** @typedef {import("../main.js").App} App */

const COPY = "Copy still";

/** One video, large: its picture with the maps, its prompt, its curves, and everything that is known of it. */
export class DetailView {
  /** @param {App} app @param {HTMLElement} element @param {string} id */
  constructor(app, element, id) {
    this.app = app;
    this.id = id;
    this._closed = false;
    this._stamp = "";
    this._detach = () => {};
    /** @type {Overlay | null} */
    this.overlay = null;
    /** @type {VideoDetail | null} */
    this.detail = null;
    this.head = make("header", { class: "detail-head" });
    this.stage = make("div", { class: "stage" });
    this.value = make("p", { class: "readout" });
    this.scale = make("div", { class: "word-scales" });
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ action) => make("button", { type: "button", title, onclick: action }, text);
    const ways = [button("← Grid", "Back (Esc)", () => app.back()), button("Previous", "Previous video (↑)", () => this.beside(-1)), button("Next", "Next video (↓)", () => this.beside(1))];
    this.saver = button("Save still", "Save this frame with its maps as PNG", () => void this._still());
    this.copier = button(COPY, "Copy this frame with its maps, to paste it elsewhere", () => void this._copy());
    this.comparer = button("", "Choose another cell in the grid to compare with this one", () => app.compareWith(this.id));
    this.tools = make("div", { class: "tools" }, ...ways, this.saver, this.copier, this.comparer);
    /** Number of the tool that had the focus when this was closed; -1 for none. */
    this.tool = -1;
    this.charts = make("section", { class: "charts", "aria-label": "Curves" });
    this.curves = new Curves(app, this.charts);
    this.facts = make("section", { class: "facts", "aria-label": "About this video" });
    const left = make("div", { class: "seen" }, this.stage, this.scale, this.value, this.tools);
    this.element = make("div", { class: "detail" }, this.head, left, this.charts, this.facts);
    fill(element, this.element);
    this._offer();
    this._listening = app.session.listen(() => {
      press(app, this.head);
      this._offer();
    });
    this._fit = () => this.stage.style.setProperty("--room", `${Math.max(180, element.clientHeight - 236)}px`);
    this._watched = new ResizeObserver(this._fit);
    this._watched.observe(element);
    void this.refresh();
  }

  get row() {
    return this.app.library.rows.get(this.id) ?? null;
  }

  /** Load what has changed. */
  async refresh() {
    const { row } = this;
    if (row === null || row.stamp === this._stamp) return;
    const { stamp } = row;
    this._stamp = stamp;
    const { library } = this.app;
    try {
      const [detail, measures] = await Promise.all([library.detail(row), row.measures === null ? null : library.measures(row)]);
      if (!this._closed && this._stamp === stamp) this._take(detail, measures);
    } catch (error) {
      if (this._closed || this._stamp !== stamp) return;
      this._stamp = ""; // asked for again as soon as anything is heard
      if (this.detail === null) fill(this.stage, make("p", { class: "missing", role: "alert" }, reasonOf(error)));
    }
  }

  /** The server answers again: load what could not be loaded. */
  again() {
    if (this.detail !== null && this.video?.error) this._play(this.detail);
    this.redraw();
    return this.refresh();
  }

  /** Show what is known now; the video goes on unless it was made again. @param {VideoDetail} detail @param {MeasuresDocument | null} measures */
  _take(detail, measures) {
    const before = this.detail;
    const first = before?.version !== detail.version || before.playable !== detail.playable;
    this.detail = detail;
    if (first) this._play(detail);
    this._say(detail);
    this._offer();
    renew(this.facts, ...facts(this.app, detail));
    this.curves.show(measures, first);
    this.redraw();
  }

  /** @param {VideoDetail} detail */
  _play(detail) {
    this._stop();
    if (!detail.playable) {
      fill(this.stage, make("p", { class: "missing" }, detail.reason ?? stateMark(detail).long));
      this.app.clock.span([]);
      return;
    }
    const video = make("video", { "aria-label": detail.prompt ?? detail.video_id });
    const problem = make("p", { class: "missing", role: "alert", hidden: true }, UNPLAYABLE);
    video.onerror = () => (problem.hidden = false);
    video.onloadeddata = () => (problem.hidden = true);
    this.app.source.play(video, detail);
    const canvas = make("canvas", { class: "maps", "aria-hidden": "true" });
    const { width, height } = { width: detail.width || 16, height: detail.height || 9 };
    this.stage.style.setProperty("--shape", `${width / height}`);
    this.element.classList.toggle("wide", width > 1.2 * height);
    fill(this.stage, problem, video, canvas);
    const overlay = new Overlay(this.app, canvas, video);
    this.overlay = overlay;
    this.video = video;
    this.app.clock.span([detail]);
    this._detach = this.app.clock.attach(video, detail, (frame) => {
      overlay.draw(frame);
      this._tellScale();
      this.reading?.again();
    });
    this.reading = readout(this.stage, this.value, overlay, detail);
  }

  /** Tell the colours, unless a rendered overlay is played instead: that has its own. */
  _tellScale() {
    if (this.overlay && this.detail) fill(this.scale, ...colourBars(this.app, this.detail, this.overlay.layer.problem === null ? this.overlay.layer.scales() : []));
  }

  _stop() {
    this._detach();
    this._detach = () => {};
    this.overlay?.close();
    if (this.video) this.video.onerror = null;
    this.video?.removeAttribute("src");
    this.video?.load();
    this.overlay = null;
  }

  /** Draw the maps as the controls say now. */
  redraw() {
    if (this.detail === null) return;
    this._offer();
    void this.overlay?.show(this.detail, this.app.viewOf(this.detail)).then(() => {
      this._tellScale();
      this.reading?.again();
    });
    this.curves.redraw();
  }

  /** @param {VideoDetail} detail */
  _say(detail) {
    const mark = stateMark(detail);
    const state = make("span", { class: "state", "data-kind": mark.kind }, mark.text);
    const told = make("p", { class: "sub" }, state, make("bdi", {}, detail.choices.join(" · ")), [detail.choices.length ? "" : null, detail.seed === null ? null : `seed ${detail.seed}`, detail.video_id].filter((part) => part !== null).join(" · "));
    renew(this.head, promptOf(this.app, detail), told);
  }

  /** Offer what can be done with it now. */
  _offer() {
    const { detail, app } = this;
    this.comparer.hidden = !detail?.playable;
    this.saver.hidden = this.copier.hidden = this.comparer.hidden || app.painter.problem !== null;
    this.comparer.textContent = app.session.state.compare.includes(this.id) ? "Chosen to compare" : "Compare…";
  }

  async _made() {
    const { detail, overlay, video, app } = this;
    if (!detail || !overlay || !video) throw new Error("found no video that can be shown; expected one on the screen");
    return still(overlay.layer, video, { video_id: detail.video_id, frame: app.clock.frameNumber, words: app.viewOf(detail).words });
  }

  /** Put the frame with its maps into the clipboard. */
  async _copy() {
    const png = this._made().then(({ blob }) => blob);
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
      this.copier.textContent = "Copied";
    } catch {
      this.copier.textContent = "This browser copies no pictures here; save it";
    }
    setTimeout(() => (this.copier.textContent = COPY), 1800);
  }

  async _still() {
    const { blob, name } = await this._made();
    const address = URL.createObjectURL(blob);
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  /** Open the previous or next video of the grid. @param {number} by */
  beside(by) {
    const order = this.app.order.length ? this.app.order : [...this.app.library.rows.keys()];
    const next = order[order.indexOf(this.id) + by];
    if (next !== undefined) this.app.session.change({ video: next });
  }

  close() {
    this._closed = true;
    this._listening();
    this._watched.disconnect();
    this.tool = [...this.tools.children].findIndex((one) => one === document.activeElement);
    this.curves.close();
    this._stop();
  }
}
