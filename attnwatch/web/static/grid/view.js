import { keepFocus, make, oncePerFrame, renew } from "../dom.js";
import { arrange } from "./arrange.js";
import { Geometry } from "./geometry.js";
import { Tile } from "./tile.js";

/** @typedef {import("../main.js").App} App */

/** Browsers allow about 75 videos in a page; more than this many cells at once hold none. */
const MOST_VIDEOS = 64;
/** Milliseconds for which the grid must stand still before cells load their videos. */
const STILL = 90;

/** The videos of a batch as a grid, of which only what is visible exists. */
export class GridView {
  /** @param {App} app @param {HTMLElement} element */
  constructor(app, element) {
    this.app = app;
    this.headings = make("div", { class: "headings" });
    this.labels = make("div", { class: "labels" });
    this.tiles = make("div", { class: "tiles", role: "list", "aria-label": "Videos" });
    this.sheet = make("div", { class: "sheet" }, this.labels, this.tiles);
    this.empty = make("div", { class: "empty", hidden: true });
    this.scroller = make("div", { class: "grid" }, this.headings, this.sheet, this.empty);
    this.choosing = make("div", { class: "choosing", role: "status", hidden: true });
    element.replaceChildren(this.scroller, this.choosing);
    /** @type {Map<string, Tile>} */
    this._tiles = new Map();
    /** @type {import("./arrange.js").Arrangement | null} */
    this.arrangement = null;
    /** @type {Geometry | null} */
    this.geometry = null;
    /** @type {string | null} */
    this.focused = null;
    this._waking = 0;
    /** Whether the next layout leaves what is seen where it is. */
    this._still = false;
    this.layout = oncePerFrame(() => this._layout());
    const paint = oncePerFrame(() => this._paint());
    this.scroller.addEventListener("scroll", paint, { passive: true });
    this._watched = new ResizeObserver(() => this.layout());
    this._watched.observe(this.scroller);
    this.tiles.addEventListener("focusin", (event) => this._remember(/** @type {HTMLElement} */ (event.target)));
    this._layout();
  }

  close() {
    clearTimeout(this._waking);
    this._watched.disconnect();
    for (const tile of this._tiles.values()) tile.close();
    this._tiles.clear();
  }

  /** Show what is known now; what is seen stays where it is. */
  refresh() {
    this._still = true;
    this.layout();
  }

  /** The server answers again. */
  again() {
    for (const tile of this._tiles.values()) tile.again();
  }

  /** Draw the maps of all cells again. */
  redraw() {
    for (const tile of this._tiles.values()) tile.redraw();
  }

  /** Identifiers of the shown videos in their order. */
  get order() {
    return (this.arrangement?.lines ?? []).flatMap(({ cells }) => cells.flatMap((row) => (row ? [row.id] : [])));
  }

  _layout() {
    const { app } = this;
    const { batch, rows } = app.library;
    if (batch === null || !this.scroller.isConnected) return;
    const all = [...rows.values()];
    const arrangement = arrange(app.session.state, batch, all);
    this.arrangement = arrangement;
    const before = this._still ? this.geometry : null;
    this._still = false;
    this.geometry = new Geometry(arrangement, arrangement.shown, this.scroller.clientWidth, app.session.state.size);
    this.sheet.style.height = `${this.geometry.height}px`;
    this.sheet.style.width = `${this.geometry.width}px`;
    this.scroller.classList.toggle("narrow", this.geometry.narrow);
    if (before) this._follow(before, this.geometry);
    this._head(arrangement, this.geometry);
    keepFocus(this.empty, () => this._tellEmpty(arrangement.shown.length, all.length), app.main);
    keepFocus(this.choosing, () => this._choosing(), app.main);
    app.clock.span(arrangement.shown);
    app.tellShown(arrangement.shown.length, all.length);
    this._paint();
  }

  /** Scroll as far as the cells that are seen have moved: half of them less far, half of them farther. @param {Geometry} before @param {Geometry} now */
  _follow(before, now) {
    if (this.scroller.scrollTop === 0) return;
    const moved = [...this._tiles.keys()].flatMap((id) => {
      const [from, to] = [before.placeOf(id), now.placeOf(id)];
      return from && to ? [now.y(to.line) - before.y(from.line)] : [];
    });
    moved.sort((a, b) => a - b);
    this.scroller.scrollTop += moved[Math.floor(moved.length / 2)] ?? 0;
  }

  /** Say why nothing is shown, if nothing is. @param {number} shown @param {number} count number of videos */
  _tellEmpty(shown, count) {
    const { session } = this.app;
    const none = count === 0;
    this.empty.hidden = shown > 0;
    if (shown > 0) return;
    const all = make("button", { type: "button", onclick: () => session.change({ find: "", states: [], choices: [], seeds: [], word: null }) }, "Show all videos");
    const text = none ? "No video of this batch has been made yet. They appear here by themselves." : "No video passes the filters.";
    renew(this.empty, make("p", {}, text), !none && all);
  }

  /** Say that one cell is chosen, and what comes next. */
  _choosing() {
    const { session, library } = this.app;
    const [id] = session.state.compare;
    const row = library.rows.get(id ?? "");
    this.choosing.hidden = row === undefined;
    const cancel = make("button", { type: "button", onclick: () => session.change({ compare: [] }) }, "Cancel");
    renew(this.choosing, make("span", {}, `Choose a cell to compare with ${[row?.choices.join(" · ") || row?.video_id, row?.seed].filter(Boolean).join(" · ")}`), cancel);
  }

  /** @param {import("./arrange.js").Arrangement} arrangement @param {Geometry} geometry */
  _head(arrangement, geometry) {
    this.headings.hidden = !arrangement.table || (arrangement.columns.length === 1 && arrangement.columns[0].label === "");
    let at = 0;
    const heads = arrangement.columns.map((column) => {
      const head = make("div", { class: "heading", dir: "auto", title: column.title }, column.label);
      head.style.left = `${geometry.x(at)}px`;
      head.style.width = `${geometry.x(at + column.span - 1) + geometry.tile - geometry.x(at)}px`;
      at += column.span;
      return head;
    });
    renew(this.headings, ...heads);
    this.headings.style.width = `${geometry.width}px`;
  }

  _paint() {
    const { arrangement, geometry, scroller } = this;
    if (!arrangement || !geometry) return;
    const visible = geometry.visible(scroller);
    /** @type {Map<string, {row: VideoRow, x: number, y: number}>} */
    const wanted = new Map();
    const labels = [];
    for (let line = visible.top; line <= visible.bottom; line += 1) {
      if (arrangement.table) labels.push(this._label(arrangement.lines[line], geometry, line));
      for (let column = visible.left; column <= visible.right; column += 1) {
        const row = geometry.cell(line, column);
        if (row) wanted.set(row.id, { row, x: geometry.x(column), y: geometry.y(line) });
      }
    }
    const held = geometry.placeOf(this._held()?.row.id ?? "");
    const row = held && geometry.cell(held.line, held.column);
    if (row) wanted.set(row.id, { row, x: geometry.x(held.column), y: geometry.y(held.line) });
    renew(this.labels, ...labels);
    this.labels.style.transform = `translateX(${scroller.scrollLeft}px)`;
    this._place(wanted, geometry, arrangement);
  }

  /** @param {import("./arrange.js").Line} line @param {Geometry} geometry @param {number} number */
  _label(line, geometry, number) {
    const label = make("div", { class: "label", title: line.title }, make("span", { dir: "auto" }, line.label));
    label.style.transform = `translateY(${geometry.labelTop(number)}px)`;
    label.style.width = `${geometry.labelWidth}px`;
    label.style.height = `${geometry.labelHeight}px`;
    return label;
  }

  /**
   * @param {Map<string, {row: VideoRow, x: number, y: number}>} wanted
   * @param {Geometry} geometry
   * @param {import("./arrange.js").Arrangement} arrangement
   */
  _place(wanted, geometry, arrangement) {
    let left = false;
    for (const [id, tile] of this._tiles) {
      if (wanted.has(id)) continue;
      left ||= tile.element.contains(document.activeElement) && geometry.placeOf(id) === null;
      tile.close();
      this._tiles.delete(id);
    }
    for (const [id, { row, x, y }] of wanted) {
      let tile = this._tiles.get(id);
      if (!tile) {
        tile = new Tile(this.app, row);
        this._tiles.set(id, tile);
        this.tiles.append(tile.element);
      }
      tile.update(row, { x, y, width: geometry.tile, height: geometry.picture, caption: arrangement.captions(row) });
    }
    this._rove();
    if (left && this.focused !== null) this._tiles.get(this.focused)?.link.focus({ preventScroll: true });
    clearTimeout(this._waking);
    this._waking = window.setTimeout(() => this._wake(), this._tiles.size && [...this._tiles.values()].some(({ video }) => video) ? STILL : 0);
  }

  _wake() {
    const some = [...this._tiles.values()].filter(({ row }) => row.playable);
    some.slice(0, MOST_VIDEOS).forEach((tile) => tile.wake());
    for (const tile of some.slice(MOST_VIDEOS)) {
      tile.sleep();
      tile.reason.textContent = "Too many cells to play at once; make them larger.";
    }
  }

  /** One cell can be reached by Tab; from there, arrow keys lead to the others. */
  _rove() {
    if (this.focused === null || !this._tiles.has(this.focused)) this.focused = this._tiles.keys().next().value ?? null;
    for (const [id, { link }] of this._tiles) link.tabIndex = id === this.focused ? 0 : -1;
  }

  /** @param {HTMLElement} target */
  _remember(target) {
    const id = /** @type {HTMLElement | null} */ (target.closest(".tile"))?.dataset.id ?? null;
    if (id === null || id === this.focused) return;
    this.focused = id;
    this._rove();
  }

  /** The cell that has the focus; it stays in the page while it is scrolled out of sight. */
  _held() {
    const tile = this._tiles.get(this.focused ?? "");
    return tile?.element.contains(document.activeElement) ? tile : null;
  }

  /**
   * Move the focus to a cell beside the one that has it; return false if none has.
   *
   * @param {number} across
   * @param {number} down
   */
  move(across, down) {
    const { geometry } = this;
    const tile = this._held();
    if (!geometry || tile === null) return false;
    const next = geometry.beside(tile.row.id, across, down);
    if (next === null) return true;
    this.focus(next);
    return true;
  }

  /** Give a cell the focus, wherever it is. @param {string} id */
  focus(id) {
    this.reveal(id);
    this.focused = id;
    this._paint();
    this._tiles.get(id)?.link.focus({ preventScroll: true });
  }

  /** @param {number} top as far as it was scrolled before */
  restore(top) {
    this.scroller.scrollTop = top;
  }

  /** @param {string} id */
  reveal(id) {
    const { geometry, scroller } = this;
    const place = geometry?.placeOf(id);
    if (!geometry || !place) return;
    const [top, bottom] = [geometry.labelTop(place.line) - 8, geometry.y(place.line) + geometry.step];
    const head = this.headings.hidden ? 0 : this.headings.offsetHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom + head > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom + head - scroller.clientHeight;
    const left = geometry.x(place.column) - geometry.x(0);
    if (left < scroller.scrollLeft) scroller.scrollLeft = left;
    else if (geometry.x(place.column) + geometry.tile > scroller.scrollLeft + scroller.clientWidth) {
      scroller.scrollLeft = geometry.x(place.column) + geometry.tile + 8 - scroller.clientWidth;
    }
  }
}
