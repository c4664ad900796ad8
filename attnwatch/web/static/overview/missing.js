import { fill, make } from "../dom.js";
import { written } from "../state/address.js";

/** @typedef {import("../state/library.js").Library} Library */

const ALL = { text: "All batches", href: "#" };

/**
 * What a link names and is not here, and the ways on.
 *
 * @typedef {object} Missing
 * @property {string} title
 * @property {string} reason
 * @property {{text: string, href: string}[]} ways
 */

/**
 * Return what of a state is not, or no longer, here; null if everything is.
 *
 * @param {Library} library
 * @param {PageState} state
 * @returns {Missing | null}
 */
export function missingFrom(library, state) {
  const { batch, video, compare } = state;
  if (batch === null) return null;
  if (!library.batches.has(batch)) {
    const reason = "The link names a batch that was renamed, moved or deleted, that is in another folder than the one that is shown, or that has not been found yet. It opens as soon as it is here.";
    return { title: "This batch is not here", reason, ways: [ALL] };
  }
  const asked = video === null ? (compare.length === 2 ? compare : []) : [video];
  const lost = asked.filter((id) => !library.rows.has(id));
  return lost.length === 0 ? null : missingVideos(library, state, asked, lost);
}

/**
 * @param {Library} library
 * @param {PageState} state
 * @param {string[]} asked
 * @param {string[]} lost
 * @returns {Missing}
 */
function missingVideos(library, state, asked, lost) {
  const name = library.batch?.name ?? "";
  const ways = [{ text: `All videos of ${name}`, href: `#${written({ ...state, video: null, compare: [] })}` }, ALL];
  const kept = asked.find((id) => !lost.includes(id));
  if (kept !== undefined) {
    ways.unshift({ text: `Choose another video to compare with ${library.rows.get(kept)?.video_id}`, href: `#${written({ ...state, compare: [kept] })}` });
  }
  const title = asked.length === 1 ? "This video is not in the batch" : kept === undefined ? "Neither of the two videos is in the batch" : "One of the two videos is not in the batch";
  const reason = `The link names a video that was deleted or renamed, or that belongs to another batch than ${name}. It opens as soon as it is here.`;
  return { title, reason, ways };
}

/** Return what is told of something that could not be loaded. @param {unknown} error @returns {Missing} */
export function failed(error) {
  return { title: "This cannot be shown", reason: reasonOf(error), ways: [ALL] };
}

/** @param {unknown} error */
export function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {Missing} missing */
export function notice({ title, reason, ways }) {
  const links = ways.map(({ text, href }) => make("li", {}, make("a", { href }, text)));
  return make("div", { class: "failure", role: "alert" }, make("h1", {}, title), make("p", {}, reason), make("ul", { class: "ways" }, ...links));
}

/** Instead of something that is not, or no longer, here. It is shown as soon as it is. */
export class MissingView {
  /** @param {import("../main.js").App} app @param {HTMLElement} element @param {Missing} missing */
  constructor(app, element, missing) {
    this.app = app;
    this.element = notice(missing);
    fill(element, this.element);
  }

  /** The server answers again. */
  again() {
    this.refresh();
  }

  refresh() {
    if (missingFrom(this.app.library, this.app.session.state) === null) void this.app.show();
  }

  close() {
    this.element.remove();
  }
}
