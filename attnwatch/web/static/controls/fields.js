import { fill, make } from "../dom.js";

/**
 * A control with its label, and how it is made to show a state.
 *
 * @typedef {{element: HTMLElement, sync: (state: PageState) => void}} Field
 * @typedef {{value: string, label: string}} Choice
 */

let numbers = 0;

/**
 * @param {string} label
 * @param {HTMLElement} control
 * @param {Node | null} [beside]
 */
export function labelled(label, control, beside = null) {
  const id = `field${(numbers += 1)}`;
  control.id = id;
  return make("div", { class: "field" }, make("label", { for: id }, label), control, beside);
}

/**
 * @param {string} label
 * @param {Choice[]} choices
 * @param {(state: PageState) => string} get
 * @param {(value: string) => void} set
 * @returns {Field}
 */
export function select(label, choices, get, set) {
  const control = make("select", { onchange: () => set(control.value) });
  fill(control, ...choices.map((choice) => make("option", { value: choice.value }, choice.label)));
  return {
    element: labelled(label, control),
    sync: (state) => {
      control.value = get(state);
    },
  };
}

/**
 * @param {string} label
 * @param {{min: number, max: number, step: number, told: (value: number) => string}} range
 * @param {(state: PageState) => number} get
 * @param {(value: number) => void} set
 * @returns {Field}
 */
export function slider(label, { min, max, step, told }, get, set) {
  const control = make("input", { type: "range", min, max, step });
  const output = make("output", {});
  const tell = () => {
    output.textContent = told(Number(control.value));
    control.setAttribute("aria-valuetext", output.textContent);
    control.style.setProperty("--done", `${max > min ? (100 * (Number(control.value) - min)) / (max - min) : 0}%`);
  };
  control.addEventListener("input", () => {
    tell();
    set(Number(control.value));
  });
  return {
    element: labelled(label, control, output),
    sync: (state) => {
      control.value = String(get(state));
      tell();
    },
  };
}

/**
 * Buttons of which any number may be pressed.
 *
 * @param {string} label
 * @param {{value: string, content: (Node | string)[], title?: string}[]} choices
 * @param {(state: PageState) => string[]} get
 * @param {(value: string) => void} toggle
 * @returns {Field}
 */
export function chips(label, choices, get, toggle) {
  const buttons = choices.map(({ value, content, title }) => make("button", { type: "button", class: "chip", title, "data-value": value, onclick: () => toggle(value) }, ...content));
  return {
    element: make("div", { class: "field chips", role: "group", "aria-label": label }, make("span", { class: "legend" }, label), make("div", { class: "chip-row" }, ...buttons)),
    sync: (state) => {
      const pressed = get(state);
      for (const button of buttons) button.setAttribute("aria-pressed", String(pressed.includes(button.dataset.value ?? "")));
    },
  };
}

/**
 * @param {string} label
 * @param {(state: PageState) => boolean} get
 * @param {(value: boolean) => void} set
 * @returns {Field}
 */
export function check(label, get, set) {
  const control = make("input", { type: "checkbox", onchange: () => set(control.checked) });
  return {
    element: make("label", { class: "check" }, control, label),
    sync: (state) => {
      control.checked = get(state);
    },
  };
}
