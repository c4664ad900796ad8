export class Painter { constructor(tables) { this.tables = tables; } layer(canvas) { return { show() {}, draw() {}, valueAt() { return []; }, close() {} }; } }
export class MapStore { constructor(source) { this.source = source; } async get() { return {}; } }
export function mountCompare(element) { element.textContent = "compare"; return { update() {}, close() {} }; }
export async function still() { return { blob: new Blob(), name: "still.png" }; }
