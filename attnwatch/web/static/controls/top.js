import { fill, keepFocus, make, renew } from "../dom.js";
import { progress, progressText } from "../marks.js";
import { helpButton } from "./help.js";
import { Showing } from "./showing.js";

/** @typedef {import("../main.js").App} App */

/** Milliseconds that may pass in a run between one video and the next. */
const PAUSE = 3000;

/** The line at the top: where we are, how far the batch is, and whether the page still hears from the server. */
export class Top {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this._seen = -Infinity;
    this._ran = false;
    this._looking = 0;
    this.where = make("nav", { class: "where", "aria-label": "Place" });
    this.progress = make("div", { class: "overall" });
    this.status = make("span", { class: "status", role: "status" });
    this.panelButton = make("button", { type: "button", class: "quiet panel-button", onclick: () => app.session.change({ panel: !app.session.state.panel }) }, "Controls");
    this.showing = new Showing(() => app.isOpen);
    this.copyButton = make("button", { type: "button", class: "quiet", onclick: () => this._copy() }, "Copy link");
    fill(/** @type {HTMLElement} */ (document.getElementById("top")), this.where, this.progress, this.status, this.showing.button, this.copyButton, this.panelButton, helpButton());
    const skip = /** @type {HTMLElement} */ (document.getElementById("skip"));
    skip.addEventListener("click", (event) => {
      event.preventDefault(); // what is in the address is the state of the page
      app.main.focus();
    });
    app.library.listen(() => this.refresh());
    app.session.listen(() => this._panel());
    this.refresh();
  }

  refresh() {
    const { library, session, isOpen } = this.app;
    const batch = isOpen ? library.batch : null;
    const home = make("a", { href: "#", class: "home" }, "attnwatch");
    const place = batch ? make("a", { href: `#batch=${batch.id}`, class: "batch-name", title: batch.path }, batch.name) : null;
    const row = session.state.video === null ? null : library.rows.get(session.state.video);
    const names = session.state.compare.length === 2 ? "comparison" : (row?.video_id ?? null);
    renew(this.where, home, place, names && isOpen ? make("span", { class: "leaf" }, names) : null);
    document.title = [names, batch?.name, "attnwatch"].filter(Boolean).join(" – ");
    renew(this.progress, batch ? bar(batch) : null, batch ? make("span", { class: "said" }, progressText(batch)) : null);
    this._status();
    this._panel();
  }

  _status() {
    const { library } = this.app;
    const { watcher } = library;
    const single = watcher === null && this._sees(library);
    const heard = single ? "a single run is rendering" : watching(watcher);
    const text = library.connected ? (library.source.live ? heard : "") : "connection lost; trying again";
    if (this.status.textContent !== text) this.status.textContent = text;
    const works = watcher ? !watcher.silent : single;
    this.status.dataset.kind = library.connected ? (works ? "live" : "off") : "lost";
  }

  /**
   * Whether videos are being rendered, or were just now, before the next one: a run with `--once` tells nothing, its locks do.
   *
   * @param {import("../state/library.js").Library} library
   */
  _sees(library) {
    const batches = [...library.batches.values()];
    const running = batches.some(({ counts }) => counts.running > 0);
    if (running || this._ran) {
      this._seen = performance.now();
      clearTimeout(this._looking);
      this._looking = window.setTimeout(() => this._status(), PAUSE + 50);
    }
    this._ran = running;
    return running || (batches.some(({ counts }) => counts.waiting > 0) && performance.now() - this._seen < PAUSE);
  }

  _panel() {
    const { panel } = this.app.session.state;
    this.panelButton.hidden = this.copyButton.hidden = this.showing.button.hidden = !this.app.isOpen;
    this.panelButton.setAttribute("aria-expanded", String(panel));
    const controls = /** @type {HTMLElement} */ (document.getElementById("panel"));
    keepFocus(controls, () => document.body.classList.toggle("panel-open", panel && this.app.isOpen), this.panelButton);
  }

  async _copy() {
    const said = this.copyButton.textContent;
    try {
      this.app.session.keepTime(this.app.clock.time);
      await navigator.clipboard.writeText(this.app.session.link);
      this.copyButton.textContent = "Copied";
    } catch {
      this.copyButton.textContent = "Copy the address above";
    }
    setTimeout(() => (this.copyButton.textContent = said), 1800);
  }
}

/** @param {WatcherRecord | null} watcher */
function watching(watcher) {
  if (watcher === null) return "no watcher at work";
  if (watcher.silent) return "watcher not heard of for a while";
  if (watcher.paused) return `watcher paused: ${watcher.paused}`;
  return watcher.running + watcher.waiting ? `watcher: ${watcher.running} rendering, ${watcher.waiting} waiting` : "watcher idle";
}

/** @param {BatchSummary} batch */
export function bar(batch) {
  const { parts, total } = progress(batch);
  const pieces = parts
    .filter(({ count }) => count > 0)
    .map(({ kind, count, label }) => {
      const piece = make("span", { class: "piece", "data-kind": kind, title: `${count} ${label}` });
      piece.style.flexGrow = String(count);
      return piece;
    });
  return make("div", { class: "bar", role: "img", "aria-label": total ? progressText(batch) : "no videos yet" }, ...pieces);
}
