import { fill, make } from "../dom.js";
import { statesOf } from "../marks.js";
import { drawn } from "../words.js";
import { findFields } from "./find.js";
import { mapFields } from "./maps.js";

/** @typedef {import("../main.js").App} App @typedef {import("./fields.js").Field} Field */

/** The controls beside the videos: how maps are drawn, how videos are arranged, which ones are shown. */
export class Panel {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.element = /** @type {HTMLElement} */ (document.getElementById("panel"));
    this.count = make("span", { class: "count", role: "status" });
    /** @type {Field[]} */
    this.fields = [];
    /** @type {HTMLElement[]} what is of use in the grid only */
    this._ofGrid = [];
    this._built = "";
    this.element.addEventListener("focusout", ({ relatedTarget }) => !this.element.contains(/** @type {Node | null} */ (relatedTarget)) && this.refresh());
    app.session.listen((state) => this._sync(state));
    app.library.listen((what) => what !== "connection" && this.refresh());
  }

  /** Build it for what is open; only again if what can be chosen has changed. */
  refresh() {
    const { app } = this;
    const { batch, rows } = app.library;
    this.element.hidden = !app.isOpen;
    if (!app.isOpen || batch === null) return;
    for (const section of this._ofGrid) section.hidden = document.body.dataset.view !== "grid";
    const made = choosable(batch, [...rows.values()], this._sample());
    if (made === this._built || this.element.contains(document.activeElement)) {
      this._sync(app.session.state);
      return;
    }
    this._built = made;
    void this._build(batch, made);
  }

  /** @param {Batch} batch @param {string} made */
  async _build(batch, made) {
    const stored = await this.stored();
    if (this._built !== made) return;
    if (this.element.contains(document.activeElement)) {
      this._built = ""; // when nobody is at work here any more
      return;
    }
    const maps = mapFields(this.app, batch, stored);
    const { arrange, find } = findFields(this.app, batch);
    this.fields = [...maps, ...arrange, ...find];
    const section = (/** @type {string} */ title, /** @type {Field[]} */ fields, /** @type {Node | null} */ beside = null) => make("section", {}, make("h2", {}, title, beside), ...fields.map(({ element }) => element));
    this._ofGrid = [section("Arrange", arrange), section("Find", find, this.count), ...this._foot()];
    fill(this.element, section("Attention", maps), ...this._ofGrid);
    this.refresh();
  }

  /** What is stored of the maps of a video: of the open one, or of the first of the batch. */
  async stored() {
    const row = this._sample();
    if (!row) return null;
    try {
      return Object.values((await this.app.library.detail(row)).maps)[0] ?? null;
    } catch {
      return null;
    }
  }

  _sample() {
    const { library, session } = this.app;
    const rows = [...library.rows.values()];
    return rows.find(({ id }) => id === session.state.video) ?? rows.find(({ playable, words }) => playable && words.length > 0);
  }

  /** How to keep the page: nothing, where it is kept already. */
  _foot() {
    const { library } = this.app;
    if (!library.source.live) return [];
    const folder = [library.root, library.batch?.path].filter((part) => part && part !== ".").join("/");
    const command = `attnwatch export ${quoted(folder)} page/`;
    return [make("section", { class: "foot" }, make("h2", {}, "Keep"), make("p", {}, "The same page as a folder of files, to send to someone:"), make("code", { class: "command" }, command))];
  }

  /** @param {PageState} state */
  _sync(state) {
    for (const field of this.fields) field.sync(state);
  }

  /** @param {number} shown @param {number} all */
  tellShown(shown, all) {
    const text = shown === all ? `all ${all}` : `${shown} of ${all}`;
    if (this.count.textContent !== text) this.count.textContent = text;
  }

  /** Show or hide words. @param {{slug: string}[]} group */
  toggleWords(group) {
    const { session, library } = this.app;
    if (library.batch === null) return;
    const shown = drawn(session.state.words, library.batch);
    const slugs = group.map(({ slug }) => slug);
    const on = slugs.every((slug) => shown.includes(slug));
    const next = on ? shown.filter((slug) => !slugs.includes(slug)) : [...new Set([...shown, ...slugs])];
    session.change({ words: next });
  }

  focusFind() {
    /** @type {HTMLInputElement | null} */ (this.element.querySelector("input[type=search]"))?.focus();
  }
}

/**
 * Return a text that changes with what the controls let people choose, and with nothing else.
 *
 * @param {Batch} batch
 * @param {VideoRow[]} rows
 * @param {VideoRow | undefined} sample the video whose stored maps are offered
 */
function choosable(batch, rows, sample) {
  const measures = rows.flatMap(({ measures: found }) => Object.values(found ?? {}).flatMap(Object.keys));
  /** @type {unknown[][]} */
  const lists = [rows.map(({ seed }) => seed), statesOf(rows), rows.map(({ model }) => model), measures];
  return JSON.stringify([batch.id, batch.words, batch.slots, sample?.id, sample?.version, ...lists.map((list) => [...new Set(list)].sort())]);
}

/** A path as a shell takes it. @param {string} path */
function quoted(path) {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
