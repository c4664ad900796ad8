/** How states are told: in words and with a sign, never by colour alone. */

/** @type {Record<VideoState, {text: string, long: string, kind: string, quiet: boolean}>} */
const MARKS = {
  rendered: { text: "✓ rendered", long: "rendered", kind: "good", quiet: true },
  skipped: { text: "– not rendered", long: "not to be rendered", kind: "plain", quiet: false },
  running: { text: "▶ rendering", long: "being rendered", kind: "busy", quiet: false },
  waiting: { text: "… waiting", long: "waiting to be rendered", kind: "plain", quiet: false },
  failed: { text: "✕ failed", long: "failed", kind: "bad", quiet: false },
  pending: { text: "○ planned", long: "planned, not made yet", kind: "plain", quiet: false },
};

/** Why a video that should play does not. */
export const UNPLAYABLE = "This video could not be loaded, or this browser cannot play it.";

/** @type {VideoState[]} */
export const STATES = ["rendered", "running", "waiting", "skipped", "failed", "pending"];

/**
 * Return by which states videos can be told apart: those that every video passes through come together, for they change all the time.
 *
 * @param {{state: VideoState}[]} rows
 */
export function statesOf(rows) {
  const found = new Set(rows.map(({ state }) => state));
  const passing = ["rendered", "running", "waiting"];
  const passes = rows.some(({ state }) => passing.includes(state));
  return STATES.filter((state) => found.has(state) || (passes && passing.includes(state)));
}

/** @param {{state: VideoState}} row */
export function stateMark(row) {
  return MARKS[row.state] ?? MARKS.waiting;
}

/**
 * Return the parts of a batch's progress, in the order in which they are drawn.
 *
 * @param {BatchSummary} batch
 */
export function progress(batch) {
  const { counts } = batch;
  const unmade = counts.unmade ?? 0;
  const known = counts.finished + unmade;
  const pending = Math.max(0, (batch.planned ?? known) - known);
  const parts = [
    { kind: "good", count: counts.rendered, label: "rendered" },
    { kind: "busy", count: counts.running, label: "rendering" },
    { kind: "wait", count: counts.waiting, label: "waiting" },
    { kind: "plain", count: counts.skipped, label: "not to be rendered" },
    { kind: "bad", count: counts.failed + unmade, label: "failed" },
    { kind: "none", count: pending, label: batch.ended ? "not made" : "planned" },
  ];
  return { parts, total: known + pending };
}

/** @param {BatchSummary} batch */
export function progressText(batch) {
  const { parts, total } = progress(batch);
  const said = parts.filter(({ count }) => count > 0).map(({ count, label }) => `${count} ${label}`);
  return `${total} ${total === 1 ? "video" : "videos"}${said.length ? `: ${said.join(", ")}` : ""}`;
}

/** @param {string | null} text a time as RFC 3339 */
export function when(text) {
  if (text === null) return "";
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? text : time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let n = 0;
  let value = bytes;
  while (value >= 1000 && n < units.length - 1) {
    value /= 1000;
    n += 1;
  }
  return `${n === 0 ? value : value.toPrecision(3)} ${units[n]}`;
}
