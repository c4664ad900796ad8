/** Milliseconds after which a server that refused its stream is asked for it again. */
const AGAIN = 2000;

/** Data from `attnwatch view`. All addresses are relative: the page may stand behind the prefix of a proxy. */

/** @param {string} path @returns {Promise<Response>} */
function ask(path) {
  return fetch(path, { credentials: "same-origin" }).catch(() => {
    throw new Error("The server does not answer: it may have been stopped, or the connection to it is lost. This goes on by itself as soon as it answers.");
  });
}

/**
 * @param {string} path
 * @returns {Promise<Response>}
 */
async function get(path) {
  const response = await ask(path);
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
    const response = await ask(`api/videos/${safe(id)}/measures`);
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
    let known = after;
    let waiting = 0;
    /** @type {EventSource} */
    let events;
    const listen = () => {
      events = new EventSource(`api/events?${query({ after: String(known), batch: batch ?? "none" })}`);
      /** @param {string} name @param {(data: any, revision: number) => void} action */
      const on = (name, action) =>
        events.addEventListener(name, ({ data, lastEventId }) => {
          known = Number(lastEventId) || known;
          action(JSON.parse(data), known);
        });
      on("batches", (found, revision) => handler.batches(found, revision));
      on("videos", ({ batch: of, videos }) => handler.videos(of, videos));
      on("gone", ({ batch: of, videos }) => handler.gone(of ?? null, videos));
      on("watcher", (found) => handler.watcher(found));
      on("reset", () => handler.reset());
      events.onopen = () => handler.connection(true);
      events.onerror = () => {
        handler.connection(false);
        // A browser gives up after an answer that is no stream, such as that of a proxy while the server starts again.
        if (events.readyState === EventSource.CLOSED) waiting = window.setTimeout(listen, AGAIN);
      };
    };
    listen();
    return () => {
      clearTimeout(waiting);
      events.close();
    };
  }
}
