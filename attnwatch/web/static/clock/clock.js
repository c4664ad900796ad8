import { Follower } from "./follower.js";
import { Times } from "./times.js";

/** Milliseconds for which the clock waits at most until all videos show where it starts. */
const GATHERING = 1500;
/** A longer gap between two frames of the screen (a page in the background) does not count as time. */
const LONGEST = 250;

/**
 * One clock for all videos. While it plays it never runs further ahead of a visible video than one frame; a video that joins
 * late or was stuck is hidden (`joined` false, attribute `data-joined`) until it is where the clock is.
 *
 * Events: "time" (time has changed), "state" (playing, rate, loop or length have).
 */
export class Clock extends EventTarget {
  constructor() {
    super();
    this.playing = false;
    this.rate = 1;
    this.loop = true;
    /** Seconds. */
    this.length = 0;
    /** Seconds of one frame, by which it steps. */
    this.frame = 1 / 8;
    this._time = 0;
    /** @type {Set<Follower>} */
    this._followers = new Set();
    this._gathering = 0;
    this._last = 0;
    this._tick = this._tick.bind(this);
    /** @type {number | null} */
    this._asked = null;
  }

  get time() {
    return this._time;
  }

  /** Whether it waits until all videos show where it starts. */
  get gathering() {
    return this._gathering > 0;
  }

  /** Whether every video shows the frame of the clock's time, as far as it can. */
  get settled() {
    return [...this._followers].every((one) => one.settled || one.stalled);
  }

  /**
   * Set how long it runs, and by how much it steps.
   *
   * @param {(VideoRow | VideoDetail)[]} videos
   */
  span(videos) {
    const times = videos.filter((video) => video.playable).map(Times.of);
    const length = Math.max(0, ...times.map((one) => one.end));
    const frame = Math.min(...times.map((one) => one.frame), length || 1 / 8);
    if (length === this.length && frame === this.frame) return;
    this.length = length;
    this.frame = frame;
    if (this._time > this.length) this.seek(this.length);
    this._tell("state");
  }

  /** Number of the last frame. */
  get lastFrame() {
    return Math.max(0, Math.round(this.length / this.frame) - 1);
  }

  /** Number of the present frame. */
  get frameNumber() {
    return Math.min(this.lastFrame, Math.floor(this._time / this.frame + 0.02));
  }

  play() {
    if (this.playing || this.length === 0) return;
    this.playing = true;
    this._gather(this.frameNumber >= this.lastFrame ? 0 : this._time);
    this._tell("state");
    this._go();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this._gathering = 0;
    this.seek(this._time);
    this._tell("state");
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /**
   * Show a time everywhere; before anything is there to be shown, start with it.
   *
   * @param {number} time
   */
  seek(time) {
    if (this.length === 0) {
      this._time = Math.max(time, 0);
      return;
    }
    const wanted = Math.min(Math.max(time, 0), this.length);
    if (this.playing) this._gather(wanted);
    else {
      this._set(wanted);
      for (const one of this._followers) one.seek(wanted);
      this._go();
    }
  }

  /**
   * Stop, and go some frames forward, or back.
   *
   * @param {number} count
   */
  step(count) {
    this.playing = false;
    this._gathering = 0;
    const frame = Math.min(Math.max(this.frameNumber + count, 0), this.lastFrame);
    this.seek(frame * this.frame);
    this._tell("state");
  }

  /** @param {number} rate */
  setRate(rate) {
    this.rate = rate;
    this._tell("state");
  }

  /** @param {boolean} loop */
  setLoop(loop) {
    this.loop = loop;
    this._tell("state");
  }

  /**
   * Let a video follow; return what ends this.
   *
   * @param {HTMLVideoElement} video
   * @param {VideoRow | VideoDetail} about
   * @param {(frame: number) => void} onFrame called with the number of each frame when it is on the screen
   */
  attach(video, about, onFrame) {
    const one = new Follower(video, Times.of(about), onFrame);
    this._followers.add(one);
    one.seek(this._time);
    this._go();
    return () => {
      one.close();
      this._followers.delete(one);
    };
  }

  /** Distances of all visible videos from the clock, in frames; for tests and the curious. */
  distances() {
    return [...this._followers].filter((one) => one.joined).map((one) => one.distance(this._time));
  }

  /** @param {number} time */
  _gather(time) {
    this._set(time);
    this._gathering = performance.now() + GATHERING;
    for (const one of this._followers) one.seek(time);
  }

  /** @param {number} time */
  _set(time) {
    if (time === this._time) return;
    this._time = time;
    this._tell("time");
  }

  _go() {
    this._asked ??= requestAnimationFrame(this._tick);
  }

  /** @param {number} now */
  _tick(now) {
    this._asked = null;
    const passed = Math.min(now - this._last, LONGEST) / 1000;
    this._last = now;
    if (this.playing) this._advance(now, passed);
    let open = this.playing;
    for (const one of this._followers) {
      this._join(one);
      open ||= !one.joined || !one.settled;
    }
    if (open) this._go();
  }

  /** Let a video be seen where it is near enough, and hide one that has fallen behind. @param {Follower} one */
  _join(one) {
    const near = one.distance(this._time) <= 1 && (this.playing || one.settled);
    const lost = !near && !this._gathering && (this.playing || one.stalled);
    if (one.joined ? !lost : !near) return;
    one.joined = near;
    one.video.toggleAttribute("data-joined", near);
  }

  /** @param {number} now @param {number} passed */
  _advance(now, passed) {
    if (this._gathering) {
      if (!this.settled && now < this._gathering) return;
      this._gathering = 0;
    } else if (!this._move(passed)) return;
    for (const one of this._followers) {
      if (one.joined || one.settled) one.follow(this._time, this.rate);
      else if (one.stalled) one.seek(this._time);
    }
  }

  /**
   * Let time pass; return whether it goes on from here.
   *
   * @param {number} passed
   */
  _move(passed) {
    const joined = [...this._followers].filter((one) => one.joined);
    const floor = Math.min(...joined.map((one) => one.floor));
    const limit = Math.min(...joined.map((one) => one.limit));
    let time = this._time + passed * this.rate;
    if (floor < Infinity) time = Math.max(time, floor);
    time = Math.min(time, Math.max(this._time, limit));
    if (time < this.length) {
      this._set(time);
      return true;
    }
    if (this.loop) this._gather(0);
    else {
      this._set(this.length);
      this.pause();
    }
    return false;
  }

  /** @param {"time" | "state"} what */
  _tell(what) {
    this.dispatchEvent(new Event(what));
  }
}
