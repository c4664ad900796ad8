/** Everything that the page uses to show maps. */

export { Container } from "./container.js";
export { instead } from "./instead.js";
export { Layer } from "./layer.js";
export { Painter } from "./painter.js";
export { MapStore } from "./store.js";
export function mountCompare(element) { element.textContent = "compare"; return { update() {}, close() {} }; }
export async function still() { return { blob: new Blob(), name: "still.png" }; }
