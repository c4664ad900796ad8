import { make } from "../dom.js";
import { drawn, groups, hues } from "../words.js";
import { chips, check, select, slider } from "./fields.js";

/** @typedef {import("../main.js").App} App @typedef {import("./fields.js").Field} Field */

/** The overlays of the renderer, in words. @type {Record<View["style"], string>} */
const STYLES = { weighted: "by attention", uniform: "evenly", contour: "contour lines", spotlight: "spotlight" };

/**
 * The controls of how maps are drawn; those without anything to choose are left out.
 *
 * @param {App} app
 * @param {Batch} batch
 * @param {MapsRecord | null} stored
 * @returns {Field[]}
 */
export function mapFields(app, batch, stored) {
  const { session } = app;
  const percent = (/** @type {number} */ value) => `${Math.round(100 * value)} %`;
  return [
    words(app, batch),
    ...(stored ? parts(app, stored) : []),
    slider("Opacity", { min: 0, max: 1, step: 0.05, told: percent }, ({ view }) => view.alpha, (alpha) => session.changeView({ alpha })),
    ofOneWord(app, batch, select("Overlay", options(STYLES), ({ view }) => view.style, (style) => session.changeView({ style: /** @type {View["style"]} */ (style) }))),
    ofOneWord(app, batch, colours(app), ({ view }) => (view.style === "spotlight" ? "A spotlight has no colours: it darkens the video where attention is low" : "")),
    slider("Hide below", { min: 0, max: 0.95, step: 0.05, told: (value) => (value ? percent(value) : "off") }, ({ view }) => view.threshold, (threshold) => session.changeView({ threshold })),
    scale(app),
    select("Between cells", options({ bilinear: "smooth", nearest: "as stored" }), ({ view }) => view.upsampling, (value) => session.changeView({ upsampling: /** @type {View["upsampling"]} */ (value) })),
    check("Invert colours", ({ view }) => view.invert, (invert) => session.changeView({ invert })),
  ];
}

/**
 * A control without an effect where videos show several words, each in its own hue.
 *
 * @param {App} app
 * @param {Batch} batch
 * @param {Field} field
 * @param {(state: PageState) => string} [why] why it has none with one word; "" if it has
 * @returns {Field}
 */
function ofOneWord(app, batch, field, why = () => "") {
  const control = /** @type {HTMLSelectElement} */ (field.element.querySelector("select"));
  return {
    element: field.element,
    sync: (state) => {
      field.sync(state);
      const shown = drawn(state.words, batch);
      const several = [...app.library.rows.values()].some(({ words: own }) => own.filter((word) => shown.includes(word)).length > 1);
      control.title = several ? "Several words are drawn, each in its own hue" : why(state);
      control.disabled = control.title !== "";
    },
  };
}

/** @param {App} app @param {Batch} batch @returns {Field} */
function words(app, batch) {
  const all = groups(batch);
  const hue = hues(batch, app.tables.hues.length);
  const swatch = (/** @type {WordRecord} */ word) => {
    const mark = make("span", { class: "swatch" });
    mark.style.background = app.tables.hues[hue[word.slug]];
    return make("span", { class: "chip-word" }, mark, word.text);
  };
  const choices = all.map((group, n) => ({ value: String(n), content: group.map(swatch), title: n < 9 ? `Key ${n + 1}` : undefined }));
  const pressed = (/** @type {PageState} */ state) => {
    const shown = drawn(state.words, batch);
    return all.flatMap((group, n) => (group.some(({ slug }) => shown.includes(slug)) ? [String(n)] : []));
  };
  return chips("Words", choices, pressed, (value) => app.panel?.toggleWords(all[Number(value)]));
}

/** What of the maps is averaged: steps, layers, heads. @param {App} app @param {MapsRecord} stored @returns {Field[]} */
function parts({ session }, stored) {
  const found = [];
  const { steps, layers, heads, means } = stored;
  if (steps.length > 1) {
    const told = (/** @type {number} */ value) => (value < 0 ? "mean" : `${steps[value]} / ${steps[steps.length - 1]}`);
    const get = (/** @type {PageState} */ { view }) => (view.step === null ? -1 : steps.indexOf(view.step));
    found.push(slider("Denoising", { min: -1, max: steps.length - 1, step: 1, told }, get, (n) => session.changeView({ step: n < 0 ? null : steps[n] })));
  }
  for (const [name, count, label] of /** @type {["layers" | "heads", number, string][]} */ ([["layers", layers, "Layer"], ["heads", heads, "Head"]])) {
    if (count < 2 || means.includes(name)) continue;
    const numbers = Object.fromEntries(Array.from({ length: count }, (_, n) => [String(n), String(n)]));
    found.push(select(label, [{ value: "", label: `mean of ${count}` }, ...options(numbers)], ({ view }) => view[name] ?? "", (value) => session.changeView({ [name]: value || null })));
  }
  return found;
}

/** @param {App} app @returns {Field} */
function colours(app) {
  const field = select("Colours", options(Object.fromEntries(Object.keys(app.tables.colormaps).map((name) => [name, name]))), ({ view }) => view.colormap, (colormap) => app.session.changeView({ colormap }));
  const strip = make("canvas", { class: "strip", width: 256, height: 1, "aria-hidden": "true" });
  field.element.append(strip);
  return {
    element: field.element,
    sync: (state) => {
      field.sync(state);
      const bytes = Uint8Array.from(atob(app.tables.colormaps[state.view.colormap] ?? ""), (one) => one.charCodeAt(0));
      const image = new ImageData(256, 1);
      for (let n = 0; n < 256; n += 1) {
        const from = state.view.invert ? 255 - n : n;
        image.data.set([bytes[3 * from], bytes[3 * from + 1], bytes[3 * from + 2], 255], 4 * n);
      }
      strip.getContext("2d")?.putImageData(image, 0, 0);
    },
  };
}

/** @param {App} app @returns {Field} */
function scale({ session }) {
  const kinds = { video: "of each video", frame: "of each frame", batch: "of the batch", fixed: "fixed" };
  const get = (/** @type {PageState} */ { view }) => (typeof view.scale === "object" ? "fixed" : view.scale);
  const ends = /** @type {const} */ (["low", "high"]).map((name) => {
    const input = make("input", { type: "number", min: 0, step: "any", "aria-label": name === "low" ? "Attention at the lowest colour" : "Attention at the highest colour" });
    input.addEventListener("change", () => {
      const now = session.state.view.scale;
      if (typeof now === "object" && input.value !== "") session.changeView({ scale: { ...now, [name]: Number(input.value) } });
    });
    return input;
  });
  const field = select("Scale", options(kinds), get, (value) => session.changeView({ scale: value === "fixed" ? { low: 0, high: 0.01 } : /** @type {Scale} */ (value) }));
  const pair = make("div", { class: "pair" }, ...ends);
  field.element.append(pair);
  return {
    element: field.element,
    sync: (state) => {
      field.sync(state);
      const now = state.view.scale;
      pair.hidden = typeof now !== "object";
      if (typeof now === "object") [ends[0].value, ends[1].value] = [String(now.low), String(now.high)];
    },
  };
}

/** @param {Record<string, string>} labels */
export function options(labels) {
  return Object.entries(labels).map(([value, label]) => ({ value, label }));
}
