/** Everything that the page uses to show maps. */

export { Container } from "./container.js";
export { instead } from "./instead.js";
export { Layer } from "./layer.js";
export { Painter } from "./painter.js";
export { MapStore } from "./store.js";
