/** @typedef {import("./layer.js").Layer} Layer */

/**
 * Return the frame of a video with its maps as PNG, at the video's size, and a name for it.
 *
 * @param {Layer} layer
 * @param {HTMLVideoElement} video
 * @param {{video_id: string, frame: number, words: string[]}} about frame: its number from 0; the name counts from 1, as captions do
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export async function still(layer, video, { video_id: id, frame, words }) {
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
    throw new Error("found no frame of the video yet; expected one on the screen; wait until it shows, then save again");
  }
  if (layer.problem !== null) throw new Error(layer.problem);
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  layer.paint(context, canvas.width, canvas.height, { over: true });
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null) {
    throw new Error(`found no room for a picture of ${canvas.width} x ${canvas.height} pixels; close other pages, then save again`);
  }
  const drawn = words.filter((word) => layer.words.includes(word));
  const parts = [id.replace(/^\W+/u, ""), drawn.join("+"), `frame${String(frame + 1).padStart(4, "0")}`];
  return { blob, name: `${parts.filter(Boolean).join("_").replace(/[^\p{L}\p{N}_+.-]+/gu, "-").slice(0, 200)}.png` };
}
