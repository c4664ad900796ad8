// Answers cases, which come as JSON at standard input, with the programs of the page.
import { readFileSync } from "node:fs";

const at = process.argv[2];
const { Container } = await import(`${at}/container.js`);
const { endsOf, endsOfVideo, toShares, withSet } = await import(`${at}/levels.js`);
const { mapAt, valueAt } = await import(`${at}/moments.js`);
const { pairsLike, wordPairs } = await import(`${at}/compare/pairs.js`);
const { frameAt } = await import(`${at}/difference.js`);

const told = (values) => Array.from(values, (value) => (Number.isNaN(value) ? null : value));

const answers = {
  levels({ packed, timeline, view }) {
    const maps = new Container(Uint8Array.from(Buffer.from(packed, "base64")).buffer).at(view.step ?? null);
    const { vmin = null, vmax = null, clip = null, threshold = 0, invert = false, frame = false, measured = null } = view;
    const settings = { threshold, invert, highIsSet: vmax !== null };
    const ends = frame ? null : withSet(measured ?? endsOfVideo(maps, timeline, clip), vmin, vmax);
    return timeline.lower.map((_, n) => {
      const map = mapAt(maps, timeline, n);
      return told(toShares(map, ends ?? withSet(endsOf(map, clip), vmin, vmax), settings));
    });
  },
  values({ packed, timeline, frame, places, upsampling }) {
    const maps = new Container(Uint8Array.from(Buffer.from(packed, "base64")).buffer).at(null);
    return told(places.map((place) => valueAt(mapAt(maps, timeline, frame), maps, place, upsampling)));
  },
  words: ({ a, b }) => wordPairs(a, b),
  pairs: ({ rows, a, b, words }) => pairsLike(rows, rows[a], rows[b], words).map((pair) => pair.map((row) => rows.indexOf(row))),
  frames: ({ seconds, times }) => times.map((time) => frameAt({ seconds }, time)),
};

const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(({ what, ...given }) => answers[what](given))));
