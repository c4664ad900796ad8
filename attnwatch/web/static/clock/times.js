/** When each frame of a video is shown. */
export class Times {
  /**
   * @param {number[]} starts seconds from the first frame at which each frame appears
   * @param {number} last seconds for which the last one stays
   */
  constructor(starts, last) {
    this.starts = starts;
    this.end = starts[starts.length - 1] + last;
  }

  /**
   * @param {VideoRow | VideoDetail} video
   * @returns {Times}
   */
  static of(video) {
    const known = "timeline" in video ? video.timeline?.seconds : null;
    if (known?.length) {
      const mean = known.length > 1 ? known[known.length - 1] / (known.length - 1) : 1 / (video.fps || 8);
      return new Times(known, mean);
    }
    const fps = video.fps || 8;
    const count = Math.max(1, video.frames ?? Math.round((video.seconds ?? 0) * fps));
    return new Times(Array.from({ length: count }, (_, n) => n / fps), 1 / fps);
  }

  get last() {
    return this.starts.length - 1;
  }

  /** Seconds between frames, on average. */
  get frame() {
    return this.end / this.starts.length;
  }

  /**
   * Return the number of the frame that is shown at a time. Times of files are rounded, so a little is forgiven.
   *
   * @param {number} time
   */
  at(time) {
    const wanted = time + this.frame * 0.02;
    let low = 0;
    let high = this.last;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= wanted) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Return a time within a frame, from which every decoder shows that frame.
   *
   * @param {number} frame
   */
  inside(frame) {
    const start = this.starts[frame];
    const end = frame < this.last ? this.starts[frame + 1] : this.end;
    return start + (end - start) / 2;
  }
}
