import { Layer } from "./layer.js";
import { FRAGMENT, MOST_WORDS, STYLES, VERTEX } from "./shaders.js";
import { bytesOf, rgbOf } from "./tables.js";

/**
 * What is painted.
 *
 * @typedef {object} Picture
 * @property {{shares: Float32Array, rows: number, columns: number}[]} maps positions in the colormap, `[row, column]`, one map for each word
 * @property {string | null} colormap its name, `diverging` for differences; null: each word in its hue
 * @property {number[]} hues numbers of the hues of the words
 * @property {keyof typeof STYLES} style
 * @property {number} alpha
 * @property {boolean} inverted
 * @property {"bilinear" | "nearest"} upsampling
 * @property {number[]} luma what red, green and blue add to that of the video
 */

const NO_WEBGL =
  "This browser draws no maps: found no WebGL 2; expected it for colours over the video; turn on hardware or software rendering in its settings";
const LOST = "The graphics driver has stopped drawing; maps come back as soon as the browser restores it, or when the page is loaded again";

/**
 * Paints maps with the one WebGL context of the page, because browsers allow about 16, and copies them to any number of canvases.
 *
 * Event "change": `problem` has changed.
 */
export class Painter extends EventTarget {
  /** @param {Tables} tables */
  constructor(tables) {
    super();
    this._tables = tables;
    this._canvas = document.createElement("canvas");
    /** Why nothing can be painted; null if it can. @type {string | null} */
    this.problem = null;
    /** What is shown with it; each says so itself. @type {Set<import("./surface.js").Surface>} */
    this.surfaces = new Set();
    this._gl = this._canvas.getContext("webgl2", { alpha: true, premultipliedAlpha: true, antialias: false, depth: false });
    this._canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this._tell(LOST);
    });
    this._canvas.addEventListener("webglcontextrestored", () => this._begin());
    this._begin();
  }

  /**
   * Return a layer that draws the maps of a video into a canvas.
   *
   * @param {HTMLCanvasElement} canvas
   */
  layer(canvas) {
    return new Layer(this, canvas);
  }

  /** Colours of a colormap, 256 times red, green, blue. @param {string} name */
  colours(name) {
    return bytesOf(name === "diverging" ? this._tables.diverging : this._tables.colormaps[name] ?? Object.values(this._tables.colormaps)[0]);
  }

  /** How measures are called, and their units. */
  get measures() {
    return this._tables.measures;
  }

  /** Colour of a hue, such as `#ED8D00`. @param {number} number */
  hue(number) {
    return this._tables.hues[number % this._tables.hues.length];
  }

  /**
   * Paint into a canvas, over what is there.
   *
   * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} target
   * @param {number} width
   * @param {number} height
   * @param {Picture} picture
   */
  paint(target, width, height, picture) {
    const gl = this._gl;
    if (gl === null || this.problem !== null) return;
    if (this._canvas.width < width) this._canvas.width = width;
    if (this._canvas.height < height) this._canvas.height = height;
    this._upload(gl, picture.maps.slice(0, MOST_WORDS));
    this._useColours(gl, picture);
    gl.uniform1i(this._at("style"), picture.colormap === null ? STYLES.mixed : STYLES[picture.style]);
    gl.uniform1f(this._at("alpha"), picture.alpha);
    gl.uniform3fv(this._at("luma"), picture.luma);
    gl.uniform1i(this._at("inverted"), picture.inverted ? 1 : 0);
    gl.uniform1i(this._at("nearest"), picture.upsampling === "nearest" ? 1 : 0);
    gl.uniform2f(this._at("size"), width, height);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    target.drawImage(this._canvas, 0, this._canvas.height - height, width, height, 0, 0, width, height);
  }

  _begin() {
    const gl = this._gl;
    if (gl === null) {
      this._tell(NO_WEBGL);
      return;
    }
    this._program = programOf(gl);
    /** @type {Map<string, WebGLUniformLocation | null>} */
    this._places = new Map();
    /** @type {Map<string, WebGLTexture>} */
    this._colours = new Map();
    /** @type {{rows: number, columns: number}} */
    this._room = { rows: 0, columns: 0 };
    /** @type {WebGLTexture | null} */
    this._maps = null;
    gl.useProgram(this._program);
    gl.disable(gl.BLEND);
    gl.disable(gl.DITHER);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.uniform1i(this._at("maps"), 0);
    gl.uniform1i(this._at("colours"), 1);
    this._tell(null);
    for (const surface of this.surfaces) surface.again();
  }

  /** @param {string | null} problem */
  _tell(problem) {
    if (problem === this.problem) return;
    this.problem = problem;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} name */
  _at(name) {
    const places = /** @type {Map<string, WebGLUniformLocation | null>} */ (this._places);
    const gl = /** @type {WebGL2RenderingContext} */ (this._gl);
    if (!places.has(name)) places.set(name, gl.getUniformLocation(/** @type {WebGLProgram} */ (this._program), name));
    return places.get(name) ?? null;
  }

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {Picture["maps"]} maps
   */
  _upload(gl, maps) {
    gl.activeTexture(gl.TEXTURE0);
    this._makeRoom(gl, Math.max(...maps.map((one) => one.rows)), Math.max(...maps.map((one) => one.columns)));
    maps.forEach(({ shares, rows, columns }, word) => {
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, word, columns, rows, 1, gl.RED, gl.FLOAT, shares);
    });
    gl.uniform2iv(this._at("grids"), maps.flatMap(({ rows, columns }) => [columns, rows]));
    gl.uniform1i(this._at("words"), maps.length);
  }

  /**
   * Make the texture large enough for maps of some rows and columns.
   *
   * @param {WebGL2RenderingContext} gl
   * @param {number} rows
   * @param {number} columns
   */
  _makeRoom(gl, rows, columns) {
    const room = /** @type {{rows: number, columns: number}} */ (this._room);
    if (rows <= room.rows && columns <= room.columns) return;
    this._room = { rows: Math.max(rows, room.rows), columns: Math.max(columns, room.columns) };
    if (this._maps) gl.deleteTexture(this._maps);
    this._maps = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this._maps);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.R32F, this._room.columns, this._room.rows, MOST_WORDS);
    unfiltered(gl, gl.TEXTURE_2D_ARRAY);
  }

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {Picture} picture
   */
  _useColours(gl, { colormap, hues }) {
    if (colormap === null) {
      gl.uniform3fv(this._at("hues"), hues.slice(0, MOST_WORDS).flatMap((number) => rgbOf(this.hue(number))));
      return;
    }
    const kept = /** @type {Map<string, WebGLTexture>} */ (this._colours);
    gl.activeTexture(gl.TEXTURE1);
    const texture = kept.get(colormap);
    if (texture) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      return;
    }
    const made = /** @type {WebGLTexture} */ (gl.createTexture());
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, this.colours(colormap));
    unfiltered(gl, gl.TEXTURE_2D);
    kept.set(colormap, made);
  }
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {number} target
 */
function unfiltered(gl, target) {
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
}

/** @param {WebGL2RenderingContext} gl */
function programOf(gl) {
  const program = /** @type {WebGLProgram} */ (gl.createProgram());
  for (const [kind, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`found a graphics driver that refuses the program for maps: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
