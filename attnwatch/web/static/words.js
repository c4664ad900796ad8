/** The tracked words of a batch: which ones stand in the same slot, and which are drawn. */

/**
 * Return the words in groups that are chosen together: alternatives of a slot form one, every other word is its own.
 *
 * @param {Batch} batch
 * @returns {WordRecord[][]}
 */
export function groups(batch) {
  const slots = batch.slots.filter((choices) => choices.length > 1);
  /** @type {Map<string, WordRecord[]>} */
  const found = new Map();
  for (const word of batch.words) {
    const slot = slots.findIndex((choices) => choices.includes(word.text));
    const key = slot < 0 ? `word ${word.slug}` : `slot ${slot}`;
    found.set(key, [...(found.get(key) ?? []), word]);
  }
  return [...found.values()];
}

/**
 * Return the words that are drawn: those that were chosen, or the first group.
 *
 * @param {string[] | null} chosen
 * @param {Batch} batch
 */
export function drawn(chosen, batch) {
  return chosen ?? (groups(batch)[0] ?? []).map(({ slug }) => slug);
}

/**
 * Return the number of the hue of each word of a batch: the same in all cells.
 *
 * @param {Batch} batch
 * @param {number} count number of hues
 * @returns {Record<string, number>}
 */
export function hues(batch, count) {
  return Object.fromEntries(batch.words.map(({ slug }, n) => [slug, n % count]));
}
