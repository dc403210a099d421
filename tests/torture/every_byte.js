/**
 * Loads a bundle with each of its bytes flipped in turn, in a browser or in Node, with the player's
 * own modules; nothing else is between the flipped byte and the player.
 * @module
 */

/**
 * @param {(url: string, options: object) => Promise<{close?: () => void}>} load The player's.
 * @param {Record<string, Uint8Array<ArrayBuffer>>} files By their paths in the bundle.
 * @param {readonly object[]} choices What is asked of the player, one after the other.
 * @param {number} step Every how many-th byte; 1: all.
 * @returns {Promise<Record<string, {fetched: boolean, bytes: number, missed: number[]}>>} By path.
 */
export async function flipAll(load, files, choices, step = 1) {
  const found = Object.fromEntries(
    Object.keys(files).map((path) => [path, { fetched: false, bytes: 0, missed: /** @type {number[]} */ ([]) }]),
  );
  for (const choice of choices) {
    const wanted = new Set();
    await load("https://bundle.example/manifest.json", { ...choice, read: async (path) => {
      wanted.add(path);
      return files[path].slice();
    } });
    for (const path of wanted) {
      if (found[path].fetched) continue;
      found[path].fetched = true;
      for (let at = 0; at < files[path].length; at += step) {
        found[path].bytes++;
        if (await isTaken(load, files, choice, path, at)) found[path].missed.push(at);
      }
    }
  }
  return found;
}

/** Whether the player takes the bundle with that byte flipped. */
async function isTaken(load, files, choice, flipped, at) {
  const read = async (path) => {
    if (!files[path]) throw new Error(`${path}: not there`);
    const bytes = files[path].slice();
    if (path === flipped) bytes[at] ^= 0xff;
    return bytes;
  };
  try {
    await load("https://bundle.example/manifest.json", { ...choice, read });
    return true;
  } catch {
    return false;
  }
}
