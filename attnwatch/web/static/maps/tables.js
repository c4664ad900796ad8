/** The renderer's tables, as they are sent. */

/**
 * Return bytes that were sent in base64.
 *
 * @param {string} base64
 */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Return red, green and blue, 0..1, of a colour such as `#ED8D00`.
 *
 * @param {string} colour
 */
export function rgbOf(colour) {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
}
