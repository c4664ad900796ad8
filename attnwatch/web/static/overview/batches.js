import { bar } from "../controls/top.js";
import { fill, make, renew } from "../dom.js";
import { progressText, when } from "../marks.js";

/** @typedef {import("../main.js").App} App */

/** All batches of the folder, the newest first. */
export class BatchesView {
  /** @param {App} app @param {HTMLElement} element */
  constructor(app, element) {
    this.app = app;
    this.list = make("ul", { class: "batches" });
    this.heading = make("h1", {}, "");
    this.element = make("div", { class: "overview" }, this.heading, this.list);
    fill(element, this.element);
    this.refresh();
  }

  refresh() {
    const { library } = this.app;
    const batches = [...library.batches.values()].sort((a, b) => (b.created ?? b.changed ?? "").localeCompare(a.created ?? a.changed ?? ""));
    this.heading.textContent = batches.length === 0 ? `No batch in ${library.root} yet` : `${batches.length} ${batches.length === 1 ? "batch" : "batches"} in ${library.root}`;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.batch;
    renew(this.list, ...batches.map(card));
    if (batches.length === 0) fill(this.list, make("li", { class: "hint" }, "Batches appear here by themselves as soon as the generator has started one."));
    if (focused) /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-batch="${CSS.escape(focused)}"]`))?.focus();
  }

  close() {
    this.element.remove();
  }
}

/** @param {BatchSummary} batch */
function card(batch) {
  const ended = batch.ended === null ? "in progress" : batch.ended;
  const about = [when(batch.created ?? batch.changed), batch.model, batch.planned === null ? null : ended].filter(Boolean).join(" · ");
  const words = make("div", { class: "words" }, ...batch.words.slice(0, 12).map(({ text }) => make("span", { class: "word" }, text)), batch.words.length > 12 ? `and ${batch.words.length - 12} more` : null);
  return make(
    "li",
    { class: "batch" },
    make("a", { href: `#batch=${batch.id}`, class: "title", "data-batch": batch.id }, batch.name),
    make("div", { class: "about" }, about),
    batch.template && make("p", { class: "template", dir: "auto", title: batch.template }, batch.template),
    bar(batch),
    make("div", { class: "said" }, progressText(batch)),
    words,
  );
}
