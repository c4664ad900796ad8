import { keepFocus, make } from "../dom.js";

/** The whole screen for what is open, as at a talk: without the lines and controls around it. */
export class Showing {
  /** @param {() => boolean} isOpen whether there is something to show */
  constructor(isOpen) {
    this._isOpen = isOpen;
    /** @type {HTMLElement | null} */
    this._before = null;
    this.button = make("button", { type: "button", class: "quiet show-button", onclick: () => void this.toggle(), title: "Whole screen (f)" }, "Show");
    document.addEventListener("fullscreenchange", () => this._mark(document.fullscreenElement !== null));
  }

  /** Whether it is shown now. */
  get on() {
    return document.body.classList.contains("showing");
  }

  /** Show it, or no longer. Where a browser grants no full screen, what is around goes all the same. */
  async toggle() {
    if (this.on) {
      this._mark(false);
      if (document.fullscreenElement !== null) await document.exitFullscreen();
    } else if (this._isOpen()) {
      this._mark(true);
      await document.documentElement.requestFullscreen?.().catch(() => undefined);
    }
  }

  /** Show it or not; what had the focus before gets it back afterwards. @param {boolean} on */
  _mark(on) {
    if (on === this.on) return;
    const main = /** @type {HTMLElement} */ (document.getElementById("main"));
    if (on) this._before = /** @type {HTMLElement | null} */ (document.activeElement);
    keepFocus(document.body, () => document.body.classList.toggle("showing", on), main);
    if (!on && document.activeElement === main) this._before?.focus({ preventScroll: true });
  }
}
