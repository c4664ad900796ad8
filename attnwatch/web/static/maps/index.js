/** Everything that the page uses to show maps. */

export { instead, playInstead } from "./instead.js";
export { Layer } from "./layer.js";
export { Painter } from "./painter.js";
export { still } from "./still.js";
export { MapStore } from "./store.js";
export { strip } from "./strip.js";
