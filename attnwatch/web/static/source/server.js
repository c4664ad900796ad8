/** Data from `attnwatch view`. All addresses are relative: the page may stand behind the prefix of a proxy. */

/**
 * @param {string} path
 * @returns {Promise<Response>}
 */
async function get(path) {
  const response = await fetch(path, { credentials: "same-origin" });
  if (!response.ok) {
    const text = (await response.text()).trim();
    throw new Error(`${response.status}: ${text || response.statusText}`);
  }
  return response;
}

/** @param {string} id */
const safe = (id) => encodeURIComponent(id);

/** @param {Record<string, string | null>} part what is null is left out */
function query(part) {
  return new URLSearchParams(Object.entries(part).flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
}

/** @implements {Source} */
export class ServerSource {
  live = true;

  /** @returns {Promise<BatchesDocument>} */
  async batches() {
    return (await get("api/batches")).json();
  }

  /** @param {string} id @returns {Promise<Batch>} */
  async batch(id) {
    return (await get(`api/batches/${safe(id)}`)).json();
  }

  /** @param {string} id @returns {Promise<VideoDetail>} */
  async video(id) {
    return (await get(`api/videos/${safe(id)}`)).json();
  }

  /** @param {string} id @returns {Promise<MeasuresDocument | null>} */
  async measures(id) {
    const response = await fetch(`api/videos/${safe(id)}/measures`, { credentials: "same-origin" });
    return response.ok ? response.json() : null;
  }

  /**
   * @param {string} id
   * @param {string} word
   * @param {MapsPart} part
   */
  async maps(id, word, part) {
    return (await get(`api/videos/${safe(id)}/maps/${safe(word)}?${query({ ...part })}`)).arrayBuffer();
  }

  /** @param {string} batch @param {string} word @param {ScalePart} part */
  async scale(batch, word, part) {
    return (await get(`api/batches/${safe(batch)}/scales/${safe(word)}?${query({ ...part })}`)).json();
  }

  /** @returns {Promise<Tables>} */
  async tables() {
    return (await get("api/tables")).json();
  }

  /**
   * Browsers play what they hold of an address without asking: a video that was made again has another one.
   *
   * @param {HTMLVideoElement} element @param {{id: string, version: string}} about
   */
  play(element, { id, version }) {
    element.src = `${this.videoUrl(id)}?${query({ version })}`;
  }

  /** @param {string} id */
  videoUrl(id) {
    return `files/${safe(id)}/video`;
  }

  /** @param {string} id @param {number} n */
  outputUrl(id, n) {
    return `files/${safe(id)}/outputs/${n}`;
  }

  /**
   * Listen to changes; the browser comes back by itself after a break, and tells what it received last.
   *
   * @param {SourceHandler} handler
   * @param {number} after the revision that is known
   * @param {string | null} batch whose videos are of interest; null: of none
   */
  subscribe(handler, after, batch) {
    const events = new EventSource(`api/events?${query({ after: String(after), batch: batch ?? "none" })}`);
    /** @param {string} name @param {(data: any, revision: number) => void} action */
    const on = (name, action) => events.addEventListener(name, ({ data, lastEventId }) => action(JSON.parse(data), Number(lastEventId)));
    on("batches", (found, revision) => handler.batches(found, revision));
    on("videos", ({ batch: of, videos }) => handler.videos(of, videos));
    on("gone", ({ batch: of, videos }) => handler.gone(of ?? null, videos));
    on("watcher", (found) => handler.watcher(found));
    events.addEventListener("reset", () => handler.reset());
    events.onopen = () => handler.connection(true);
    events.onerror = () => handler.connection(false);
    return () => events.close();
  }
}
