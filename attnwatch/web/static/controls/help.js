import { make } from "../dom.js";

const KEYS = [
  ["Space", "play, pause"],
  ["← →  or  , .", "one frame back, forward; with Shift ten"],
  ["Home, End", "first, last frame"],
  ["[ ]", "slower, faster"],
  ["l", "loop"],
  ["f", "whole screen, as for a talk; Esc leaves it"],
  ["Tab, then arrow keys", "go from cell to cell"],
  ["Enter", "open the cell"],
  ["x", "choose the cell for a comparison; the second one opens it"],
  ["↑ ↓", "previous, next video, where one is open"],
  ["Esc", "back"],
  ["1 to 9", "show or hide a word"],
  ["/", "find"],
  ["m", "show or hide the controls"],
  ["?", "this list"],
];

/** @type {HTMLDialogElement | null} */
let dialog = null;

export function showHelp() {
  if (dialog === null) {
    const rows = KEYS.map(([keys, what]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, keys)), make("td", {}, what)));
    const close = make("button", { type: "submit" }, "Close");
    dialog = make("dialog", { class: "help", "aria-label": "Keys" }, make("h2", {}, "Keys"), make("table", {}, make("tbody", {}, ...rows)), make("form", { method: "dialog" }, close));
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}

export function helpButton() {
  return make("button", { type: "button", class: "quiet help-button", onclick: showHelp, "aria-label": "Keys", title: "Keys (?)" }, "?");
}
