import { GridView } from "../grid/view.js";
import { groups } from "../words.js";
import { RATES } from "./transport.js";
import { showHelp } from "./help.js";

/** @typedef {import("../main.js").App} App */

const OF_SLIDERS = /^(Arrow|Page|Home|End)/;

/** What keys do. Fields and buttons keep their own keys; with the focus in a cell, arrows go to the cells beside it. */
export class Keys {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.key === "Escape" ? this._escape(event) : this._pressed(event)) event.preventDefault();
    });
  }

  /** @param {KeyboardEvent} event */
  _escape(event) {
    if (isField(event.target) && !isSlider(event.target)) /** @type {HTMLElement} */ (event.target).blur();
    else if (this.app.top?.showing.on) void this.app.top.showing.toggle();
    else this.app.back();
    return true;
  }

  /** @param {KeyboardEvent} event */
  _pressed(event) {
    const { key } = event;
    if (isField(event.target) && !(isSlider(event.target) && !OF_SLIDERS.test(key))) return false;
    if (key === "?") return this._do(showHelp);
    if (!this.app.isOpen) return false;
    if (key.startsWith("Arrow")) return this._arrow(event);
    if (key === " ") return !isButton(event.target) && this._do(() => this.app.clock.toggle());
    if (/^[1-9]$/.test(key)) return this._do(() => this._word(Number(key) - 1));
    const action = this._named()[key];
    return action ? this._do(action) : false;
  }

  /** @returns {Record<string, () => void>} */
  _named() {
    const { app } = this;
    const { clock, session } = app;
    return {
      ",": () => clock.step(-1),
      ".": () => clock.step(1),
      "<": () => clock.step(-10),
      ">": () => clock.step(10),
      Home: () => clock.step(-clock.lastFrame),
      End: () => clock.step(clock.lastFrame),
      "[": () => this._rate(-1),
      "]": () => this._rate(1),
      f: () => void app.top?.showing.toggle(),
      l: () => clock.setLoop(!clock.loop),
      m: () => session.change({ panel: !session.state.panel }),
      x: () => app.view instanceof GridView && app.view.focused !== null && app.choose(app.view.focused),
      "/": () => {
        if (!session.state.panel) session.change({ panel: true });
        app.panel?.focusFind();
      },
    };
  }

  /** @param {KeyboardEvent} event */
  _arrow({ key, shiftKey }) {
    const across = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
    const down = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
    const { view, clock } = this.app;
    if (view instanceof GridView && !shiftKey && view.move(across, down)) return true;
    if (across !== 0) return this._do(() => clock.step(across * (shiftKey ? 10 : 1)));
    if (view?.beside) return this._do(() => view.beside(down));
    return false;
  }

  /** @param {number} by */
  _rate(by) {
    const { clock } = this.app;
    const at = RATES.findIndex((rate) => rate >= clock.rate);
    clock.setRate(RATES[Math.min(Math.max(at + by, 0), RATES.length - 1)]);
  }

  /** @param {number} number */
  _word(number) {
    const { batch } = this.app.library;
    const group = batch && groups(batch)[number];
    if (group) this.app.panel?.toggleWords(group);
  }

  /** @param {() => unknown} action */
  _do(action) {
    action();
    return true;
  }
}

/** @param {EventTarget | null} target */
function isField(target) {
  if (!(target instanceof HTMLElement)) return false;
  return target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
}

/** @param {EventTarget | null} target */
function isSlider(target) {
  return target instanceof HTMLElement && target.matches("input[type=range]");
}

/** @param {EventTarget | null} target */
function isButton(target) {
  return target instanceof HTMLElement && target.matches("button, input:not([type=range]), summary, label");
}
