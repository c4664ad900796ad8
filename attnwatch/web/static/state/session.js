import { read, written } from "./address.js";

/** Milliseconds after which the address follows what a hand is changing: browsers refuse too many changes of it. */
const CALM = 250;

/**
 * The state of the page. Whoever changes it calls `change`; whoever shows it listens. The address follows.
 */
export class Session {
  /** @param {Partial<View>} usual how maps are drawn where a link does not say it */
  constructor(usual) {
    this.usual = usual;
    // A phone has no room for the controls beside the videos.
    this.state = { ...read(location.hash.slice(1), usual), panel: matchMedia("(min-width: 761px)").matches };
    /** @type {Set<(state: PageState, before: PageState) => void>} */
    this._listeners = new Set();
    this._written = location.hash.slice(1);
    this._waiting = 0;
    /** @type {string | null} */
    this._link = this._written;
    window.addEventListener("hashchange", () => this._readBack());
  }

  /** @param {(state: PageState, before: PageState) => void} listener */
  listen(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /**
   * @param {Partial<PageState>} changes
   * @param {{visit?: boolean}} [how] visit: the browser's way back leads to the state before
   */
  change(changes, { visit = false } = {}) {
    if (visit) this._put(false);
    const before = this.state;
    const names = /** @type {(keyof PageState)[]} */ (Object.keys(changes));
    if (names.every((name) => before[name] === changes[name])) return;
    this.state = { ...before, ...changes };
    if (visit) this._put(true);
    else this._putSoon();
    for (const listener of this._listeners) listener(this.state, before);
  }

  /** @param {Partial<View>} changes */
  changeView(changes) {
    this.change({ view: { ...this.state.view, ...changes } });
  }

  /**
   * Keep the time in the address, without telling anyone.
   *
   * @param {number} time
   */
  keepTime(time) {
    this.state = { ...this.state, time };
    this._putSoon();
  }

  /** Return the link that the state was read from, once; null if the page itself has made the state. */
  takeLink() {
    const link = this._link;
    this._link = null;
    return link;
  }

  /** The address of what is shown now. */
  get link() {
    this._put(false);
    return location.href;
  }

  _putSoon() {
    clearTimeout(this._waiting);
    this._waiting = window.setTimeout(() => this._put(false), CALM);
  }

  /** @param {boolean} visit */
  _put(visit) {
    clearTimeout(this._waiting);
    const text = written(this.state);
    if (text === this._written) return;
    this._written = text;
    const address = `${location.pathname}${location.search}#${text}`;
    if (visit) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }

  _readBack() {
    const text = location.hash.slice(1);
    if (text === this._written) return;
    clearTimeout(this._waiting);
    const before = this.state;
    this._written = this._link = text;
    this.state = { ...read(text, this.usual), panel: before.panel };
    for (const listener of this._listeners) listener(this.state, before);
  }
}
