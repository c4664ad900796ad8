import { fill, make } from "../dom.js";
import { drawn, hues } from "../words.js";
import { Chart } from "./chart.js";

/** @typedef {import("../main.js").App} App */

/** @type {[string, string][]} */
const SHOWN = [["mass", "Mass: share of the attention"], ["concentration", "Concentration"], ["centroid_x", "Centre, from the left"], ["centroid_y", "Centre, from the top"]];

/** Measures of all words of a video, over time and over denoising steps. */
export class Curves {
  /**
   * @param {App} app
   * @param {HTMLElement} element
   * @param {VideoDetail} detail
   * @param {MeasuresDocument | null} measures
   */
  constructor(app, element, detail, measures) {
    this.app = app;
    this.detail = detail;
    this.measures = measures;
    /** @type {Chart[]} */
    this.charts = [];
    this.kind = Curves.kind;
    this._onTime = () => this._follow();
    if (measures === null) {
      fill(element, make("p", { class: "soft" }, "Curves are drawn from the measures that the watcher writes with each rendering. There are none of this video yet."));
      return;
    }
    this.body = make("div", { class: "chart-grid" });
    const tab = (/** @type {"time" | "steps"} */ kind, /** @type {string} */ text) => make("button", { type: "button", class: "chip", "data-kind": kind, onclick: () => this._choose(kind) }, text);
    this.tabs = [tab("time", "Over time")];
    if (Object.values(measures.words).some(({ steps }) => steps)) this.tabs.push(tab("steps", "Over denoising steps"));
    else this.kind = "time";
    fill(element, make("div", { class: "chart-head", role: "group", "aria-label": "Curves over" }, ...this.tabs), this._legend(), this.body);
    app.clock.addEventListener("time", this._onTime);
    this._build();
  }

  /** What was chosen last, kept from video to video. @type {"time" | "steps"} */
  static kind = "time";

  /** Whether these measures are drawn. @param {MeasuresDocument | null} measures */
  isOf(measures) {
    return JSON.stringify(measures) === JSON.stringify(this.measures);
  }

  close() {
    this.app.clock.removeEventListener("time", this._onTime);
  }

  /** @param {"time" | "steps"} kind */
  _choose(kind) {
    this.kind = Curves.kind = kind;
    this._build();
  }

  _words() {
    const { batch } = this.app.library;
    const { hues: colours } = this.app.tables;
    const hue = batch ? hues(batch, colours.length) : {};
    return Object.entries(this.measures?.words ?? {}).map(([slug, found], n) => ({ slug, found, text: found.text ?? slug, colour: colours[hue[slug] ?? n % colours.length], dash: n }));
  }

  _legend() {
    const keys = this._words().map(({ text, colour, dash }) => {
      const line = make("span", { class: "key", "data-dash": dash % 4 });
      line.style.setProperty("--hue", colour);
      return make("span", { class: "legend-word" }, line, text);
    });
    return make("div", { class: "legend-row" }, ...keys);
  }

  _build() {
    const words = this._words();
    for (const tab of this.tabs ?? []) tab.setAttribute("aria-pressed", String(tab.dataset.kind === this.kind));
    this.charts = this.kind === "time" ? this._overTime(words) : this._overSteps(words);
    if (this.body) fill(this.body, ...this.charts.map(({ element }) => element));
    this.redraw();
  }

  /** @param {ReturnType<Curves["_words"]>} words */
  _overTime(words) {
    const { clock } = this.app;
    const seconds = this.measures?.seconds ?? [];
    return SHOWN.map(([measure, title]) => {
      const lines = words.map((word) => ({ ...word, xs: seconds, ys: word.found.frames[measure] ?? [] }));
      return new Chart(title, lines, { low: 0, high: clock.length || 1, unit: "s", seek: (x) => clock.seek(x) });
    });
  }

  /** @param {ReturnType<Curves["_words"]>} words */
  _overSteps(words) {
    const { session } = this.app;
    const numbers = words.flatMap(({ found }) => found.steps?.numbers ?? []);
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const nearest = (/** @type {number} */ x) => numbers.reduce((best, one) => (Math.abs(one - x) < Math.abs(best - x) ? one : best), low);
    const range = { low, high, unit: "", seek: (/** @type {number} */ x) => session.changeView({ step: nearest(x) }) };
    /** @param {string} title @param {(steps: NonNullable<WordMeasures["steps"]>) => Series} values */
    const chart = (title, values) => new Chart(title, words.flatMap((word) => (word.found.steps ? [{ ...word, xs: word.found.steps.numbers, ys: values(word.found.steps) }] : [])), range);
    return [...SHOWN.map(([measure, title]) => chart(title, ({ frames }) => (frames[measure] ?? []).map(mean))), chart("Likeness to the last step", ({ correlation }) => correlation)];
  }

  /** Show which words are drawn, and where the clock is. */
  redraw() {
    const { batch } = this.app.library;
    const shown = batch ? drawn(this.app.session.state.words, batch) : [];
    for (const chart of this.charts) chart.emphasise(shown);
    this._follow();
  }

  _follow() {
    const { clock, session } = this.app;
    const at = this.kind === "time" ? clock.time : session.state.view.step;
    for (const chart of this.charts) chart.point(at);
  }
}

/** @param {Series} values */
function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
