/** Milliseconds after which a video that shows nothing new no longer holds up the others. */
const PATIENCE = 1500;

/** One video that follows the clock: it knows which frame is on the screen, and how to get to another. */
export class Follower {
  /**
   * @param {HTMLVideoElement} video
   * @param {import("./times.js").Times} times
   * @param {(frame: number) => void} onFrame
   */
  constructor(video, times, onFrame) {
    this.video = video;
    this.times = times;
    this._onFrame = onFrame;
    /** Number of the frame on the screen; -1 before the first. */
    this.shown = -1;
    /** Whether it is near enough to the clock to be looked at. */
    this.joined = false;
    this._since = performance.now();
    /** @type {number | null} */
    this._wanted = null;
    this._closed = false;
    video.muted = true;
    video.playsInline = true;
    video.preload = "auto";
    this._onSeeked = () => this._arrive();
    this._onLoaded = () => this._wanted !== null && this._send();
    this._onEmptied = () => this._begin();
    video.addEventListener("emptied", this._onEmptied);
    video.addEventListener("seeked", this._onSeeked);
    video.addEventListener("loadeddata", this._onLoaded);
    this._ask();
  }

  /** Whether the frame that was asked for last is on the screen. */
  get settled() {
    return this._wanted === null || this.video.error !== null;
  }

  /** Whether nothing new has come for so long that others need not wait. */
  get stalled() {
    return performance.now() - this._since > PATIENCE;
  }

  /**
   * Show the frame of a time, and stay there.
   *
   * @param {number} time
   */
  seek(time) {
    const frame = this.times.at(time);
    this.pause();
    if (this.shown === frame && this._wanted === null && !this.video.seeking) return;
    this._since = performance.now();
    this._wanted = frame;
    if (this.video.readyState >= 2 && !this.video.seeking) this._send();
  }

  /**
   * Play along: called in every frame of the screen.
   *
   * @param {number} time
   * @param {number} rate
   */
  follow(time, rate) {
    const { video, times } = this;
    if (video.readyState < 2 || this._wanted !== null) return;
    if (time >= times.starts[times.last]) {
      if (this.shown !== times.last && !video.seeking) this.seek(times.end);
      return;
    }
    const off = video.currentTime - time;
    if (Math.abs(off) > Math.max(0.3, 2.5 * times.frame)) {
      if (!video.seeking) video.currentTime = Math.max(0, time + (video.paused ? 0 : 0.05 * rate));
    } else if (off > 0.8 * times.frame) {
      this.pause();
      return;
    }
    this._run(rate, off);
  }

  /**
   * Play at a rate, a little slower or faster to come nearer.
   *
   * @param {number} rate
   * @param {number} off seconds ahead of the clock
   */
  _run(rate, off) {
    const { video, times } = this;
    const nudge = Math.abs(off) < times.frame / 6 ? 0 : Math.min(Math.max(-off / 0.4, -0.25), 0.25);
    const wanted = Math.min(Math.max(rate * (1 + nudge), 0.0625), 8);
    if (Math.abs(video.playbackRate - wanted) > 0.01) video.playbackRate = wanted;
    if (video.paused && !video.ended) video.play().catch(() => undefined);
  }

  pause() {
    if (!this.video.paused) this.video.pause();
  }

  /**
   * Return how far from the frame of a time the screen is, in frames.
   *
   * @param {number} time
   */
  distance(time) {
    return this.shown < 0 ? Infinity : Math.abs(this.shown - this.times.at(time));
  }

  /** Time that the clock must not pass, so that the screen is at most one frame behind. */
  get limit() {
    const next = this.shown + 2;
    return this.shown < 0 || this.stalled || next > this.times.last ? Infinity : this.times.starts[next] - this.times.frame * 0.04;
  }

  /** Time that the clock must not stay behind, so that the screen is at most one frame ahead: videos go on while the page is busy. */
  get floor() {
    return this.shown < 0 || this.stalled || this.shown === this.times.last ? Infinity : this.times.starts[this.shown] - this.times.frame;
  }

  close() {
    this._closed = true;
    this.video.removeEventListener("emptied", this._onEmptied);
    this.video.removeEventListener("seeked", this._onSeeked);
    this.video.removeEventListener("loadeddata", this._onLoaded);
    this.video.pause();
  }

  _ask() {
    this.video.requestVideoFrameCallback((_, { mediaTime }) => {
      if (this._closed) return;
      this._show(this.times.at(mediaTime));
      this._ask();
    });
  }

  /** @param {number} frame */
  _show(frame) {
    this._since = performance.now();
    if (this._wanted !== null && frame === this._wanted && !this.video.seeking) this._wanted = null;
    this.shown = frame;
    this._onFrame(frame);
  }

  /** Another file is loaded: go where the one before was. */
  _begin() {
    this._wanted ??= Math.max(this.shown, 0);
    this.shown = -1;
    this._since = performance.now();
  }

  _send() {
    if (this._wanted !== null) this.video.currentTime = this.times.inside(this._wanted);
  }

  /** The decoder has arrived: go on if something else is wanted by now; a frame that was there already is not announced again. */
  _arrive() {
    const wanted = this._wanted;
    if (wanted === null) return;
    if (this.times.at(this.video.currentTime) !== wanted) {
      this._send();
      return;
    }
    setTimeout(() => {
      if (!this._closed && this._wanted === wanted && !this.video.seeking) this._show(wanted);
    }, 80);
  }
}
