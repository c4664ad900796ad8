import { make } from "../dom.js";
import { size, when } from "../marks.js";

/** @typedef {import("../main.js").App} App */

/** Settings that are told elsewhere, or are only of use to programs. */
const LEFT_OUT = new Set(["prompt", "negative_prompt", "choices", "prompt_id", "variation", "seed", "template"]);

/**
 * Everything that is known of a video, as text.
 *
 * @param {App} app
 * @param {VideoDetail} detail
 * @returns {Node[]}
 */
export function facts(app, detail) {
  return [
    block("Generation", table(generation(detail))),
    block("Maps", table(stored(detail))),
    detail.notes.length ? block("Notes", list(detail.notes)) : null,
    detail.attempts.length ? block("Attempts", table(detail.attempts.map(({ at, error }) => [when(at), error ?? "succeeded"]))) : null,
    block("Files", files(app, detail)),
  ].filter((one) => one !== null);
}

/** @param {VideoDetail} detail @returns {[string, string][]} */
function generation(detail) {
  const known = Object.entries(detail.generation).filter(([name, value]) => !LEFT_OUT.has(name) && value !== null && value !== undefined && typeof value !== "object");
  /** @type {[string, string][]} */
  const rows = [["seed", String(detail.seed ?? "unknown")], ...known.map(([name, value]) => /** @type {[string, string]} */ ([name.replaceAll("_", " "), String(value)]))];
  if (detail.worker) rows.push(["rendered by", detail.worker]);
  return rows;
}

/** What is stored of which words; words of which the same is stored share a line. @param {VideoDetail} detail @returns {[string, string][]} */
function stored(detail) {
  /** @type {Map<string, string[]>} */
  const words = new Map();
  for (const [word, maps] of Object.entries(detail.maps)) words.set(told(maps), [...(words.get(told(maps)) ?? []), textOf(detail, word)]);
  return [...words].map(([text, names]) => [names.join(", "), text]);
}

/** @param {MapsRecord} maps */
function told({ grid: [frames, height, width], steps, layers, heads, means }) {
  const parts = [`${width} × ${height} cells`, `${frames} latent frames`, `${steps.length} ${steps.length === 1 ? "step" : "steps"}`];
  parts.push(means.includes("layers") ? "mean over layers" : `${layers} layers`, means.includes("heads") ? "mean over heads" : `${heads} heads`);
  return parts.join(", ");
}

/** @param {VideoDetail} detail @param {string} slug */
function textOf(detail, slug) {
  return detail.tokens.find((token) => token.slug === slug)?.text ?? slug;
}

/** @param {App} app @param {VideoDetail} detail */
function files({ source }, detail) {
  const film = detail.playable ? source.videoUrl(detail.id) : "";
  const links = film ? [make("li", {}, make("a", { href: film, download: "" }, "the video itself"))] : [];
  for (const { n, name, bytes } of detail.outputs) links.push(make("li", {}, make("a", { href: source.outputUrl(detail.id, n), target: "_blank", rel: "noopener" }, name), ` ${size(bytes)}`));
  return links.length ? make("ul", { class: "files" }, ...links) : make("p", { class: "soft" }, "None yet.");
}

/** @param {string} title @param {Node} content */
function block(title, content) {
  return make("div", { class: "block", "data-title": title }, make("h2", {}, title), content); // by its title, `renew` finds it again
}

/** @param {[string, string][]} rows */
function table(rows) {
  return make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** @param {string[]} lines */
function list(lines) {
  return make("ul", {}, ...lines.map((line) => make("li", {}, line)));
}
