import { fill, make, set } from "../dom.js";

/** @typedef {import("../main.js").App} App */

export const RATES = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];

/** The clock's own line at the bottom: play, step, scrub, speed, loop. */
export class Transport {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    const { clock } = app;
    const button = (/** @type {string} */ label, /** @type {string} */ sign, /** @type {() => void} */ action) =>
      make("button", { type: "button", class: "sign", "aria-label": label, title: label, onclick: action }, sign);
    this.playButton = button("Play", "", () => clock.toggle());
    this.scrubber = make("input", { type: "range", class: "scrubber", min: 0, max: 0, step: 1, value: 0, "aria-label": "Frame" });
    this.scrubber.addEventListener("input", () => clock.seek(Number(this.scrubber.value) * clock.frame));
    this.seconds = make("span", {});
    this.frames = make("span", {});
    this.told = make("div", { class: "told" }, this.seconds, this.frames);
    this.rate = make("select", { "aria-label": "Speed", title: "Speed ([ and ])", onchange: () => clock.setRate(Number(this.rate.value)) });
    fill(this.rate, ...RATES.map((rate) => make("option", { value: rate }, `${rate}×`)));
    this.loop = make("button", { type: "button", class: "toggle", onclick: () => clock.setLoop(!clock.loop), title: "Loop (l)" }, "Loop");
    this.element = /** @type {HTMLElement} */ (document.getElementById("transport"));
    const back = button("One frame back (,)", "", () => clock.step(-1));
    const forward = button("One frame forward (.)", "", () => clock.step(1));
    back.classList.add("back");
    forward.classList.add("forward");
    this.playButton.classList.add("play");
    fill(this.element, back, this.playButton, forward, this.scrubber, this.told, this.rate, this.loop);
    clock.addEventListener("time", () => this._time());
    clock.addEventListener("state", () => this.refresh());
    this.refresh();
  }

  refresh() {
    const { clock, isOpen } = this.app;
    this.element.hidden = !isOpen;
    this.playButton.classList.toggle("playing", clock.playing);
    set(this.playButton, { "aria-label": clock.playing ? "Pause" : "Play", title: clock.playing ? "Pause (space)" : "Play (space)", disabled: clock.length === 0 });
    this.scrubber.max = String(clock.lastFrame);
    this.scrubber.disabled = clock.length === 0;
    if (!RATES.includes(clock.rate)) this.rate.append(make("option", { value: clock.rate }, `${clock.rate}×`));
    this.rate.value = String(clock.rate);
    this.loop.setAttribute("aria-pressed", String(clock.loop));
    this._time();
  }

  _time() {
    const { clock } = this.app;
    const frame = clock.frameNumber;
    if (Number(this.scrubber.value) !== frame) this.scrubber.value = String(frame);
    const done = clock.lastFrame ? frame / clock.lastFrame : 0;
    this.scrubber.style.setProperty("--done", `${100 * done}%`);
    this.seconds.textContent = clock.length ? `${clock.time.toFixed(2)} / ${clock.length.toFixed(2)} s` : "nothing to play";
    this.frames.textContent = clock.length ? `frame ${frame + 1} of ${clock.lastFrame + 1}` : "";
    this.scrubber.setAttribute("aria-valuetext", `frame ${frame + 1} of ${clock.lastFrame + 1}`);
  }
}
