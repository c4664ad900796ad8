import { make, set } from "../dom.js";
import { drawn, hues } from "../words.js";

/** @typedef {import("../main.js").App} App */

/**
 * The prompt, its tracked words marked: buttons that show or hide their maps.
 *
 * @param {App} app
 * @param {VideoDetail} detail
 */
export function promptOf(app, detail) {
  const marked = marks(app, detail.prompt ?? detail.video_id, detail.tokens.filter(({ negative }) => !negative));
  const negative = detail.tokens.filter(({ negative: one }) => one);
  const below = detail.negative_prompt ? make("p", { class: "negative", dir: "auto" }, "Without: ", ...marks(app, detail.negative_prompt, negative)) : null;
  const prompt = make("div", { class: "prompt" }, make("h1", { dir: "auto" }, ...marked), below);
  press(app, prompt);
  return prompt;
}

/** Mark which words are drawn now. @param {App} app @param {Element} element that holds a prompt */
export function press({ library, session }, element) {
  const shown = library.batch === null ? [] : drawn(session.state.words, library.batch);
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(".tracked"))) {
    const on = shown.includes(button.dataset.word ?? "");
    set(button, { "aria-pressed": String(on), title: on ? "Hide its maps" : "Show its maps" });
  }
}

/** @param {App} app @param {string} prompt @param {TokenRecord[]} tokens */
function marks(app, prompt, tokens) {
  const letters = [...prompt];
  const order = tokens.filter(({ span }) => span !== null).sort((a, b) => (a.span?.[0] ?? 0) - (b.span?.[0] ?? 0));
  const pieces = [];
  let at = 0;
  for (const token of order) {
    const [start, end] = token.span ?? [0, 0];
    if (start < at || end > letters.length) continue;
    pieces.push(letters.slice(at, start).join(""), word(app, token, letters.slice(start, end).join("")));
    at = end;
  }
  return [...pieces, letters.slice(at).join("")];
}

/** @param {App} app @param {TokenRecord} token @param {string} text */
function word(app, token, text) {
  const { batch } = app.library;
  const button = make("button", { type: "button", class: "tracked", "data-word": token.slug, onclick: () => app.panel?.toggleWords([token]) }, text);
  if (batch !== null) button.style.setProperty("--hue", app.tables.hues[hues(batch, app.tables.hues.length)[token.slug]]);
  return button;
}
