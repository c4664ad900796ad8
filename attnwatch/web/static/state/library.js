/** Milliseconds after which what could not be loaded is asked for again. */
const AGAIN = 2000;

/**
 * What is known of batches and videos, kept up to date; tells its listeners what has changed: "batches", "rows", "connection".
 */
export class Library {
  /** @param {Source} source */
  constructor(source) {
    this.source = source;
    /** @type {Map<string, BatchSummary>} */
    this.batches = new Map();
    /** @type {WatcherRecord | null} */
    this.watcher = null;
    this.root = "";
    /** @type {Batch | null} */
    this.batch = null;
    /** @type {Map<string, VideoRow>} */
    this.rows = new Map();
    this.connected = true;
    this._unsubscribe = () => {};
    this._revision = 0;
    /** @type {Map<string, {stamp: string, detail: Promise<VideoDetail>, measures?: Promise<MeasuresDocument | null>}>} */
    this._details = new Map();
    /** @type {Set<(what: "batches" | "rows" | "connection") => void>} */
    this._listeners = new Set();
  }

  /** @param {(what: "batches" | "rows" | "connection") => void} listener */
  listen(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /** Load the batches, then follow what changes. */
  async start() {
    await this._loadBatches();
    this._subscribe(null);
  }

  /** Hear of all batches, and of the videos of one. @param {string | null} batch */
  _subscribe(batch) {
    this._unsubscribe();
    if (!this.source.live) return;
    this._unsubscribe = this.source.subscribe(
      {
        batches: (found, revision) => {
          this._revision = revision;
          this._takeBatches(found);
        },
        videos: (of, rows) => this._takeRows(of, rows),
        gone: (of, videos) => this._drop(of, videos),
        watcher: (found) => {
          this.watcher = found;
          this._tell("batches");
        },
        reset: () => void this._reload(),
        connection: (alive) => {
          if (alive === this.connected) return;
          this.connected = alive;
          this._tell("connection");
        },
      },
      this._revision,
      batch,
    );
  }

  /** @param {string} id */
  async open(id) {
    if (this.batch?.id !== id) await this._loadBatch(id);
  }

  /** @param {string} id */
  async _loadBatch(id) {
    // What changes while it is loaded is told afterwards: the revision stays that of before.
    const revision = this._revision;
    const found = await this.source.batch(id);
    this.batch = found;
    this.rows = new Map(found.videos.map((row) => [row.id, row]));
    this._revision = Math.min(revision, this._revision);
    this._subscribe(id);
    this._tell("rows");
  }

  /**
   * Return everything about a video; asked for again only when something of it has changed.
   *
   * @param {VideoRow | {id: string, stamp: string}} row
   */
  detail(row) {
    return this._kept(row).detail;
  }

  /** @param {VideoRow | {id: string, stamp: string}} row */
  measures(row) {
    const kept = this._kept(row);
    if (!kept.measures) {
      kept.measures = this.source.measures(row.id);
      kept.measures.catch(() => (kept.measures = undefined));
    }
    return kept.measures;
  }

  /** @param {{id: string, stamp: string}} row */
  _kept(row) {
    let kept = this._details.get(row.id);
    if (!kept || kept.stamp !== row.stamp) {
      kept = { stamp: row.stamp, detail: this.source.video(row.id) };
      kept.detail.catch(() => this._details.delete(row.id));
    }
    this._details.delete(row.id);
    this._details.set(row.id, kept);
    if (this._details.size > 300) this._details.delete(/** @type {string} */ (this._details.keys().next().value));
    return kept;
  }

  async _loadBatches() {
    const found = await this.source.batches();
    this.batches = new Map(found.batches.map((batch) => [batch.id, batch]));
    this.watcher = found.watcher;
    this.root = found.root;
    this._revision = found.revision;
    this._tell("batches");
  }

  /** Load everything again; if that fails, once more a little later, while the page shows what it knows. */
  async _reload() {
    const open = this.batch?.id;
    try {
      await this._loadBatches();
      if (open !== undefined && this.batches.has(open)) await this._loadBatch(open);
      else {
        this.batch = null;
        this._subscribe(null);
      }
    } catch {
      setTimeout(() => void this._reload(), AGAIN);
      return;
    }
    this._tell("rows");
    this._tell("connection");
  }

  /** @param {BatchSummary[]} found */
  _takeBatches(found) {
    for (const batch of found) {
      this.batches.set(batch.id, batch);
      if (this.batch?.id === batch.id) Object.assign(this.batch, batch);
    }
    this._tell("batches");
  }

  /** @param {string} batch @param {VideoRow[]} rows */
  _takeRows(batch, rows) {
    if (batch !== this.batch?.id) return;
    for (const row of rows) this.rows.set(row.id, row);
    this._tell("rows");
  }

  /** @param {string | null} batch @param {string[]} videos */
  _drop(batch, videos) {
    if (batch !== null && videos.length === 0) {
      this.batches.delete(batch);
      if (this.batch?.id === batch) this.batch = null;
    }
    for (const id of videos) this.rows.delete(id);
    this._tell("batches");
    this._tell("rows");
  }

  /** @param {"batches" | "rows" | "connection"} what */
  _tell(what) {
    for (const listener of this._listeners) listener(what);
  }
}
