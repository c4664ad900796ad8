import { fill, make } from "../dom.js";
import { drawn, hues } from "../words.js";
import { Chart } from "./chart.js";

/** @typedef {import("../main.js").App} App */

/** @type {[string, string][]} */
const SHOWN = [["mass", "Mass: share of the attention"], ["concentration", "Concentration"], ["centroid_x", "Centre, from the left"], ["centroid_y", "Centre, from the top"]];

/** Measures of all words of a video, over time and over denoising steps. */
export class Curves {
  /** @param {App} app @param {HTMLElement} element */
  constructor(app, element) {
    this.app = app;
    /** @type {MeasuresDocument | null} */
    this.measures = null;
    /** @type {Chart[]} */
    this.charts = [];
    this.kind = Curves.kind;
    this._onTime = () => this._follow();
    const tab = (/** @type {"time" | "steps"} */ kind, /** @type {string} */ text) => make("button", { type: "button", class: "chip", "data-kind": kind, onclick: () => this._choose(kind) }, text);
    this.tabs = [tab("time", "Over time"), tab("steps", "Over denoising steps")];
    this.none = make("p", { class: "soft", hidden: true }, "Curves are drawn from the measures that the watcher writes with each rendering. There are none of this video yet.");
    this.legend = make("div", { class: "legend-row" });
    this.body = make("div", { class: "chart-grid" });
    this.drawn = make("div", { class: "drawn", hidden: true }, make("div", { class: "chart-head", role: "group", "aria-label": "Curves over" }, ...this.tabs), this.legend, this.body);
    fill(element, this.none, this.drawn);
    app.clock.addEventListener("time", this._onTime);
  }

  /** What was chosen last, kept from video to video. @type {"time" | "steps"} */
  static kind = "time";

  /** Draw measures, unless they are drawn already. @param {MeasuresDocument | null} measures @param {boolean} again draw them in any case */
  show(measures, again) {
    if (!again && JSON.stringify(measures) === JSON.stringify(this.measures)) return;
    this.measures = measures;
    const hasSteps = Object.values(measures?.words ?? {}).some(({ steps }) => steps);
    this.kind = hasSteps ? Curves.kind : "time";
    this.tabs[1].hidden = !hasSteps;
    this.none.hidden = measures !== null;
    this.drawn.hidden = measures === null;
    fill(this.legend, ...this._keys());
    this._build();
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

  /** The legend. */
  _keys() {
    return this._words().map(({ text, colour, dash }) => {
      const line = make("span", { class: "key", "data-dash": dash % 4 });
      line.style.setProperty("--hue", colour);
      return make("span", { class: "legend-word" }, line, text);
    });
  }

  _build() {
    const words = this._words();
    for (const tab of this.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.kind === this.kind));
    this.charts = this.measures === null ? [] : this.kind === "time" ? this._overTime(words) : this._overSteps(words);
    fill(this.body, ...this.charts.map(({ element }) => element));
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
