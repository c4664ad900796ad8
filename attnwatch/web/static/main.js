import { Clock } from "./clock/clock.js";
import { Keys } from "./controls/keys.js";
import { Panel } from "./controls/panel.js";
import { Top } from "./controls/top.js";
import { Transport } from "./controls/transport.js";
import { DetailView } from "./detail/view.js";
import { fill, focused, keepFocus, make, renew } from "./dom.js";
import { GridView } from "./grid/view.js";
import { ComparisonView } from "./maps/compare/view.js";
import { MapStore, Painter } from "./maps/index.js";
import { dimensions } from "./grid/arrange.js";
import { STATES } from "./marks.js";
import { BatchesView } from "./overview/batches.js";
import { MissingView, failed, missingFrom, notice } from "./overview/missing.js";
import { openSource } from "./source/open.js";
import { DEFAULT_VIEW, STYLES, written } from "./state/address.js";
import { Library } from "./state/library.js";
import { unknown } from "./state/links.js";
import { Session } from "./state/session.js";
import { drawn, hues } from "./words.js";

/** Everything that the parts of the page share, and which of its views is open. */
export class App {
  /** @param {Source} source @param {Tables} tables */
  constructor(source, tables) {
    this.source = source;
    this.tables = tables;
    this.session = new Session(usualView(tables));
    this.library = new Library(source);
    this.clock = new Clock();
    this.painter = new Painter(tables);
    this.store = new MapStore(source);
    this.main = /** @type {HTMLElement} */ (document.getElementById("main"));
    /** @type {any} the view that is open */
    this.view = null;
    this._opened = "";
    this._unknown = "";
    this._scrolled = 0;
    /** @type {string[]} the videos of the grid in their order, for the way to the next one */
    this.order = [];
  }

  async start() {
    const { session, clock, library } = this;
    this.top = new Top(this);
    this.panel = new Panel(this);
    this.transport = new Transport(this);
    this.keys = new Keys(this);
    clock.rate = session.state.rate;
    clock.loop = session.state.loop;
    clock.seek(session.state.time);
    clock.addEventListener("state", () => {
      if (clock.playing) return;
      session.change({ rate: clock.rate, loop: clock.loop, time: clock.time });
    });
    clock.addEventListener("time", () => !clock.playing && session.keepTime(clock.time));
    session.listen((state, before) => void this._follow(state, before));
    library.listen((what) => this._changed(what));
    this.painter.addEventListener("change", () => {
      this._warn();
      this.view?.redraw?.();
    });
    this._warn();
    await library.start();
    await this.show();
  }

  /** Whether the panel and the clock have something to act on. */
  get isOpen() {
    const { batch } = this.session.state;
    return batch !== null && this.library.batch?.id === batch && !(this.view instanceof MissingView);
  }

  /** How the maps of a video are drawn. @param {VideoRow} row @returns {View} */
  viewOf(row) {
    const { batch } = this.library;
    const { state } = this.session;
    if (batch === null) return state.view;
    const words = drawn(state.words, batch).filter((word) => row.words.includes(word));
    return { ...state.view, words, hues: hues(batch, this.tables.hues.length) };
  }

  /** Return the address of a video in this page, at the time that is shown now. @param {string} id */
  linkTo(id) {
    return `#${written({ ...this.session.state, time: this.clock.time, video: id, compare: [] })}`;
  }

  /** @param {string | null} id */
  openVideo(id) {
    this.session.change({ video: id, compare: [] }, { visit: true });
  }

  /** Choose a video to compare, or no longer; the second one opens the comparison. @param {string} id */
  choose(id) {
    const { compare } = this.session.state;
    const next = compare.includes(id) ? compare.filter((one) => one !== id) : [...compare, id].slice(-2);
    this.session.change({ compare: next }, { visit: next.length === 2 });
  }

  /** Choose a video to compare, and go to the grid for the other one. @param {string} id */
  compareWith(id) {
    this.session.change({ video: null, compare: [id] }, { visit: true });
  }

  /** Go one level up. */
  back() {
    const { state } = this.session;
    if (state.video !== null) this.session.change({ video: null }, { visit: true });
    else if (state.compare.length > 0) this.session.change({ compare: [] }, { visit: true });
    else if (!this.isOpen) this.session.change({ batch: null }, { visit: true });
  }

  /** @param {number} shown @param {number} all */
  tellShown(shown, all) {
    this.panel?.tellShown(shown, all);
  }

  /** @param {string} text what of a link is not here */
  _tellUnknown(text) {
    this._unknown = text;
    this._warn();
  }

  /** Say it if maps cannot be drawn here, or if a link names what is not here. */
  _warn() {
    const { problem } = this.painter;
    const note = /** @type {HTMLElement} */ (document.getElementById("note"));
    const told = [problem === null ? "" : `${problem}. Rendered overlays are played instead, where there are any.`, this._unknown].filter(Boolean);
    const close = make("button", { type: "button", class: "quiet", onclick: () => this._tellUnknown("") }, "Close");
    const tell = () => {
      note.hidden = told.length === 0;
      renew(note, make("span", {}, told.join(" ")), this._unknown && close);
    };
    keepFocus(note, tell, this.main);
  }

  /** @param {PageState} state @param {PageState} before */
  async _follow(state, before) {
    if (place(state) !== this._opened) await this.show();
    else {
      if (this.view instanceof GridView) this.view.layout();
      void this._check();
    }
    if (state.view !== before.view || state.words !== before.words) this.view?.redraw?.();
    if (state.time !== before.time && Math.abs(state.time - this.clock.time) > 1e-3) this.clock.seek(state.time);
    if (state.rate !== this.clock.rate) this.clock.setRate(state.rate);
    if (state.loop !== this.clock.loop) this.clock.setLoop(state.loop);
  }

  /** @param {"batches" | "rows" | "connection"} what */
  _changed(what) {
    const { library, view } = this;
    const there = view !== null && !(view instanceof MissingView);
    if (what === "connection") {
      if (library.connected) view?.again?.();
    } else if (there && missingFrom(library, this.session.state) !== null) void this.show();
    else view?.refresh?.();
  }

  /** Say what a link names and is not here, and show the rest of it. */
  async _check() {
    const { library, session, tables } = this;
    const { batch } = library;
    const link = this.isOpen ? session.takeLink() : null;
    if (link === null || batch === null) return;
    const stored = (await this.panel?.stored()) ?? null;
    if (library.batch !== batch) return;
    const words = [...new Set([...batch.words.map(({ slug }) => slug), ...[...library.rows.values()].flatMap((row) => row.words)])];
    const known = { words, dimensions: dimensions(batch, [...library.rows.values()]).map(({ key }) => key), states: STATES, stored, tables };
    const { said, changes } = unknown(link, session.state, known);
    this._tellUnknown(said.length ? `This link names what is not here: ${said.join(", ")}. The rest of it is shown.` : "");
    if (said.length) session.change(changes);
  }

  /** Open the view that the address names. */
  async show() {
    const { state } = this.session;
    const opened = place(state);
    this._opened = opened;
    const left = this._leave();
    let view = null;
    try {
      if (state.batch !== null && this.library.batches.has(state.batch)) await this.library.open(state.batch);
      if (this._opened === opened) view = await this._made(state);
    } catch (error) {
      if (this._opened === opened) view = new MissingView(this, this.main, failed(error));
    }
    if (this._opened !== opened) {
      view?.close();
      return;
    }
    this.view = view;
    if (view instanceof GridView) view.restore(this._scrolled);
    document.body.dataset.view = opened.split(" ")[0];
    for (const part of [this.panel, this.top, this.transport]) part?.refresh();
    this._focus(view, left);
    await this._check();
  }

  /**
   * Lead the focus on if it was in what is gone or hidden now: into the new view, to the same tool of the video beside, or back to
   * the cell that was open.
   *
   * @param {any} view
   * @param {any} left
   */
  _focus(view, left) {
    const now = focused();
    if (left === null || (now !== null && now !== this.main)) return;
    this.main.focus({ preventScroll: true });
    if (view instanceof GridView && left.id !== undefined && view.geometry?.placeOf(left.id)) view.focus(left.id);
    if (view instanceof DetailView && left instanceof DetailView) /** @type {HTMLElement | undefined} */ (view.tools.children[left.tool])?.focus();
  }

  /** Close the view that is open, and return it; the grid is found again where it was left. */
  _leave() {
    const left = this.view;
    if (this.view instanceof GridView) {
      this._scrolled = this.view.scroller.scrollTop;
      this.order = this.view.order;
    }
    this.view?.close();
    this.view = null;
    this.clock.pause();
    return left;
  }

  /** @param {PageState} state */
  async _made(state) {
    if (state.batch === null) return new BatchesView(this, this.main);
    const absent = missingFrom(this.library, state);
    if (absent !== null) return new MissingView(this, this.main, absent);
    if (state.video !== null) return new DetailView(this, this.main, state.video);
    if (state.compare.length === 2) return ComparisonView.opened(this, this.main, state.compare);
    return new GridView(this, this.main);
  }
}

/** What of a state says which view is open. @param {PageState} state */
function place(state) {
  if (state.batch === null) return "batches";
  if (state.video !== null) return `video ${state.batch} ${state.video}`;
  return state.compare.length === 2 ? `compare ${state.batch} ${state.compare.join(" ")}` : `grid ${state.batch}`;
}

/** The renderer's own defaults. @param {Tables} tables @returns {Partial<View>} */
function usualView(tables) {
  const { colormap, overlay, overlay_alpha: alpha } = /** @type {Record<string, any>} */ (tables.settings);
  return {
    colormap: colormap in tables.colormaps ? colormap : DEFAULT_VIEW.colormap,
    alpha: typeof alpha === "number" ? alpha : DEFAULT_VIEW.alpha,
    style: STYLES.find((style) => style === overlay) ?? DEFAULT_VIEW.style,
  };
}

/** The cookie has it by now; a link that is copied from the address must not carry it. */
function forgetToken() {
  const query = new URLSearchParams(location.search);
  if (!query.has("token")) return;
  query.delete("token");
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
}

/** @returns {Promise<void>} */
async function start() {
  const source = openSource();
  forgetToken();
  try {
    const app = new App(source, await source.tables());
    Object.assign(window, { attnwatch: app });
    await app.start();
  } catch (error) {
    fill(/** @type {HTMLElement} */ (document.getElementById("main")), notice(failed(error)));
  }
}

void start();
