/** Numbers by chance that are the same for the same seed, everywhere. */

/** A whole number from 0 up to, not including, this one. */
export type Random = (below: number) => number

/** The generator of one document of a run (xorshift32, begun from seed and number mixed), so that any document can be made alone. */
export function randomOf(seed: number, document: number): Random {
  let state = mixed(mixed(seed) ^ mixed(document + 0x9e3779b9)) || 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** MurmurHash3's last step: neighbours become strangers. */
function mixed(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
