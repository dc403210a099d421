/**
 * One release of a bundle. What is published anew keeps its addresses, so manifest and files may
 * come from two releases: by chance of the moment, or because a cache holds some of the older one.
 * The first file that is not the manifest's says so; then all is read once more, past every cache.
 * @module
 */

import { messageOf } from "./errors.js";
import { WrongFile } from "./fetch.js";
import { parseManifest } from "./manifest.js";

/**
 * @typedef {import("./fetch.js").Reader} Reader
 *
 * @typedef {object} Release
 * @property {() => Promise<import("./manifest.js").Manifest>} readManifest
 * @property {Reader} read Paths of the bundle; fetches none twice.
 * @property {(error: unknown) => boolean} isMixed Whether an error says that a file is perhaps of
 *   another release; in what was read afresh it is simply wrong.
 */

/**
 * What `use` makes of a release whose files belong together; it is called once, or twice.
 * @template T
 * @param {Reader} place Its path "" is the manifest.
 * @param {AbortSignal | undefined} signal
 * @param {(release: Release) => Promise<T>} use Throws where a file is wrong.
 * @returns {Promise<T>}
 * @throws {WrongFile} A file that was read afresh is not the manifest's, either.
 */
export async function inOneRelease(place, signal, use, fresh = false) {
  /** @type {Map<string, Promise<Uint8Array<ArrayBuffer>>>} */
  const held = new Map();
  /** @type {Reader} */
  const read = (path, sizeBytes) => {
    let bytes = held.get(path);
    if (!bytes) held.set(path, (bytes = place(path, sizeBytes, fresh).catch(refuse)));
    return bytes;
  };
  const refuse = (/** @type {unknown} */ error) => {
    throw new WrongFile(messageOf(error), read, { cause: error });
  };
  const isMixed = (/** @type {any} */ error) => !fresh && error.read === read;
  const readManifest = async () => parseManifest(new TextDecoder().decode(await read("")));
  try {
    return await use({ readManifest, read, isMixed });
  } catch (error) {
    signal?.throwIfAborted();
    if (!isMixed(error)) throw error;
  } finally {
    held.clear();
  }
  return inOneRelease(place, signal, use, true);
}
