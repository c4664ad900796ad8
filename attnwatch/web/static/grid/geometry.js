const GAP = 8;
const EDGE = 16;
/** Height of the line below a picture, in pixels. */
const LINE = 26;
const NARROW = 640;

/** Places and sizes of cells, in pixels of the sheet that scrolls. */
export class Geometry {
  /**
   * @param {import("./arrange.js").Arrangement} arrangement
   * @param {VideoRow[]} rows
   * @param {number} room width of the window onto it
   * @param {number | null} size wanted width of a cell; null: what fits
   */
  constructor(arrangement, rows, room, size) {
    this.table = arrangement.table;
    this.narrow = room < NARROW;
    this._edge = this.narrow ? 10 : EDGE;
    const labelled = this.table && arrangement.lines.some(({ label }) => label !== "");
    this.labelWidth = labelled ? this._labels(room) : 0;
    this._left = this._edge + (labelled && !this.narrow ? this.labelWidth + GAP : 0);
    this._above = labelled && this.narrow ? 26 : 0;
    const cells = arrangement.lines.map((line) => line.cells);
    const { across, tile } = this._fit(cells, room - this._left - this._edge, size);
    this._lines = this.table ? cells : chunks(cells[0] ?? [], across);
    this.tile = tile;
    this.picture = Math.round(tile * tallest(rows));
    this.step = this.picture + LINE + GAP + this._above;
    this.labelHeight = this._above || this.picture;
    this.height = this._lines.length * this.step + EDGE;
    this.width = Math.max(room, this.x(across - 1) + this.tile + this._edge);
    /** @type {Map<string, {line: number, column: number}>} */
    this._places = new Map();
    this._lines.forEach((list, line) => list.forEach((row, column) => row && this._places.set(row.id, { line, column })));
  }

  /** @param {number} room */
  _labels(room) {
    return this.narrow ? room - 2 * this._edge : Math.min(220, Math.max(110, room * 0.17));
  }

  /**
   * Return the number of cells side by side, and their width.
   *
   * @param {(VideoRow | null)[][]} cells
   * @param {number} free
   * @param {number | null} size
   */
  _fit(cells, free, size) {
    if (this.table) {
      const across = Math.max(1, cells[0]?.length ?? 1);
      const fitting = Math.min(Math.max((free + GAP) / across - GAP, this.narrow ? 104 : 112), 280);
      return { across, tile: Math.floor(size ?? fitting) };
    }
    const across = Math.max(1, Math.floor((free + GAP) / ((size ?? (this.narrow ? 110 : 170)) + GAP)));
    return { across, tile: Math.floor((free + GAP) / across - GAP) };
  }

  /** @param {number} column */
  x(column) {
    return this._left + column * (this.tile + GAP);
  }

  /** @param {number} line */
  y(line) {
    return this.labelTop(line) + this._above;
  }

  /** @param {number} line */
  labelTop(line) {
    return GAP + line * this.step;
  }

  /** @param {number} line @param {number} column */
  cell(line, column) {
    return this._lines[line]?.[column] ?? null;
  }

  /** @param {string} id */
  placeOf(id) {
    return this._places.get(id) ?? null;
  }

  /**
   * Return the first and last line and column of which something can be seen.
   *
   * @param {{scrollTop: number, scrollLeft: number, clientWidth: number, clientHeight: number}} window
   */
  visible({ scrollTop, scrollLeft, clientWidth, clientHeight }) {
    const across = Math.max(0, ...this._lines.slice(0, 1).map(({ length }) => length));
    const column = (/** @type {number} */ x) => Math.floor((x - this._left) / (this.tile + GAP));
    return {
      top: Math.max(0, Math.floor((scrollTop - GAP) / this.step)),
      bottom: Math.min(this._lines.length - 1, Math.floor((scrollTop + clientHeight) / this.step)),
      left: Math.max(0, column(scrollLeft)),
      right: Math.min(across - 1, column(scrollLeft + clientWidth)),
    };
  }

  /**
   * Return the video beside another one, over empty cells; null at the edge.
   *
   * @param {string} id
   * @param {number} across
   * @param {number} down
   */
  beside(id, across, down) {
    const place = this.placeOf(id);
    if (!place) return null;
    let { line, column } = place;
    for (;;) {
      line += down;
      column += across;
      const cells = this._lines[line];
      if (!cells || column < 0 || column >= cells.length) return null;
      const row = cells[column];
      if (row) return row.id;
    }
  }
}

/**
 * @template T
 * @param {T[]} list
 * @param {number} length
 */
function chunks(list, length) {
  return Array.from({ length: Math.ceil(list.length / length) }, (_, n) => list.slice(n * length, (n + 1) * length));
}

/** Height of the tallest picture by its width, within reason. @param {VideoRow[]} rows */
function tallest(rows) {
  const shapes = rows.flatMap(({ width, height }) => (width && height ? [height / width] : []));
  return shapes.length ? Math.min(Math.max(...shapes), 1.8) : 9 / 16;
}
